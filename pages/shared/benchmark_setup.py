"""The two files of a run, their check, and the start."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lab.benchmark.plan import MOST_AT_ONCE, Plan
from lab.benchmark.templates import MODELS
from lab.errors import InputError, LabError
from pages.shared.frame import bench, literal, show_error
from pages.shared.people import writer

CODE = "<style>" + ", ".join(f".st-key-{key} textarea" for key in ("benchmark_models", "benchmark_queries_text")) + " { font-family: monospace; font-size: 0.85rem; white-space: pre; }</style>"
EDITABLE = 200_000
"""Bytes up to which queries are shown in a field."""


def setup_view() -> None:
    st.caption("Ask your models your queries at OpenAI-compatible endpoints, score the answers, and train selectors on them.")
    person = writer("maintainer", "A run says who started it.")
    if person is None:
        return
    state = st.session_state
    if "benchmark_kept" not in state:  # what a widget holds is gone when its page is left
        models, queries = bench().benchmark_templates()
        state.benchmark_kept, state.benchmark_queries = models, queries.encode()
    if "benchmark_models" not in state:
        state.benchmark_models = state.benchmark_kept
    st.html(CODE)
    left, right = st.columns(2, gap="large")
    with left:
        models = _models()
    with right:
        _queries()
    plan = _options()
    checked = models != MODELS and _checked(models)
    if models == MODELS:
        st.info("This is a template: put your own models and queries in its place.", icon=":material/edit:")
    with st.container(horizontal=True, vertical_alignment="center"):
        health = st.button("Check the models", icon=":material/health_and_safety:", disabled=not checked, help="One small request to each model.")
        dry = st.button("Dry run", icon=":material/visibility:", disabled=not checked, help="Counts and the greatest cost; nobody is asked.")
        start = st.button("Start", type="primary", icon=":material/play_arrow:", disabled=not checked)
    if health:
        with st.spinner("Asking each model …"):
            state.benchmark_health = (models, bench().benchmark_health(person, models))
    if state.get("benchmark_health", ("",))[0] == models:
        _health(state.benchmark_health[1])
    if dry:
        _preview(models, plan)
    if start:
        state.benchmark_open = bench().start_benchmark(person, models, state.benchmark_queries, plan)
        state.benchmark_go = "Runs"
        st.rerun()


def _models() -> str:
    st.subheader("Models", anchor=False)
    upload = st.file_uploader("A models.yaml", type=["yaml", "yml"], key="models_file")
    _take(upload, "models")
    text = st.text_area("models.yaml", key="benchmark_models", height=420, help="Keys are variables of the server's environment: ${NAME}. A key itself is refused.")
    st.session_state.benchmark_kept = text
    st.download_button("Download models.yaml", text, "models.yaml", "application/yaml", icon=":material/download:")
    return text


def _queries() -> None:
    state = st.session_state
    st.subheader("Queries", anchor=False)
    upload = st.file_uploader("Queries, one JSON object a line", type=["jsonl"], key="queries_file")
    _take(upload, "queries")
    if len(state.benchmark_queries) <= EDITABLE:
        if "benchmark_queries_text" not in state:
            state.benchmark_queries_text = state.benchmark_queries.decode("utf-8", "replace")
        text = st.text_area("queries.jsonl", key="benchmark_queries_text", height=420, help="query; and best also category, ground_truth, metric, choices")
        state.benchmark_queries = text.encode()
    else:
        st.caption(f"{len(state.benchmark_queries):,} bytes: too long to edit here.")
        st.code("\n".join(line[:300] for line in state.benchmark_queries[:20_000].decode("utf-8", "replace").split("\n")[:12]), language=None)
    st.download_button("Download queries.jsonl", state.benchmark_queries, "queries.jsonl", "application/jsonl", icon=":material/download:")


def _take(upload, what: str) -> None:
    """A new upload replaces what is in the field, once."""
    state = st.session_state
    if upload is None or state.get(f"benchmark_{what}_id") == upload.file_id:
        return
    state[f"benchmark_{what}_id"] = upload.file_id
    try:
        text = upload.getvalue().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{upload.name} is not UTF-8 (byte {error.start}).", "Save it as UTF-8.") from None
    if what == "models":
        state.benchmark_models = text
    else:
        state.benchmark_queries = text.encode()
        state.pop("benchmark_queries_text", None)


def _options() -> Plan:
    cells = st.columns(3)
    concurrency = cells[0].number_input("Calls at once", 1, MOST_AT_ONCE, 4, key="benchmark_concurrency", help="Over all models; models.yaml can set less for one.")
    calls = cells[1].number_input("At most so many requests", 0, None, 0, key="benchmark_calls", help="0: no limit. Retries count.")
    cost = cells[2].number_input("At most so many dollars", 0.0, None, 0.0, key="benchmark_cost", help="0: no limit. Every model needs its prices. Never passed.")
    allowed = bench().benchmark_rules.code
    with st.container(horizontal=True, gap="large"):
        concise = st.checkbox("Short answers", key="benchmark_concise", help="Each question asks for a short answer.")
        skip = st.checkbox("Leave out models that do not answer", key="benchmark_skip")
        code = st.checkbox(
            "Run models' code", key="benchmark_code", disabled=not allowed,
            help="For the metric code_eval, in a sandbox without files and network." + ("" if allowed else " Not enabled on this server: ROUTER_LAB_CODE_EVAL=1."),
        )  # fmt: skip
    return Plan(int(concurrency), concise, int(calls) or None, float(cost) or None, code=bool(code), skip_unhealthy=skip)


def _checked(models: str) -> bool:
    """What is in the two files, in one line; what is refused, listed. False if a run cannot start with them."""
    try:
        read, queries = bench().benchmark_models(models), bench().benchmark_queries(st.session_state.benchmark_queries)
    except LabError as error:
        show_error(error)
        return False
    told = f"**{len(queries.rows):,} queries × {len(read.endpoints)} models = {len(queries.rows) * len(read.endpoints):,} calls.**"
    if queries.without_truth:
        told += f" {queries.without_truth:,} queries have no ground truth: their answers get no score."
    if queries.repeated:
        told += f" {queries.repeated:,} lines repeat a query; the first counts."
    st.markdown(told)
    for note in read.notes:
        st.caption(literal(note))
    if queries.refused:
        with st.expander(f"{len(queries.refused):,} lines cannot be asked"):
            st.dataframe(pd.DataFrame(queries.refused[:200], columns=["Line", "Why"]), hide_index=True)
    return True


def _health(found) -> None:
    rows = [
        {
            "Model": one.name, "Answers": "yes" if one.ok else "no", "Latency, s": one.latency_s, "First token, s": one.first_token_s,
            "Asked by": one.mode if one.ok else "–", "Reports tokens": "yes" if one.tokens else "no", "What is wrong": f"{one.cause}: {one.message}" if not one.ok else "",
        }
        for one in found
    ]  # fmt: skip
    ill = sum(not one.ok for one in found)
    if ill:
        st.warning(f"{ill} of {len(found)} models do not answer.", icon=":material/warning:")
    else:
        st.success(f"All {len(found)} models answer.", icon=":material/check:")
    seconds = st.column_config.NumberColumn(format="%.3f")
    st.dataframe(pd.DataFrame(rows), hide_index=True, placeholder="–", column_config={"Latency, s": seconds, "First token, s": seconds}, key="benchmark-health")


def _preview(models: str, plan: Plan) -> None:
    seen = bench().benchmark_preview(models, st.session_state.benchmark_queries, plan)
    cost = "unknown, as some model has no price" if seen["cost_usd_at_most"] is None else f"at most ${seen['cost_usd_at_most']:.4f} without retries"
    st.info(literal(f"{seen['calls']:,} calls, cost {cost}. Nobody was asked."), icon=":material/visibility:")
    with st.expander("The first request to each model"):
        st.json(seen["examples"], expanded=2)
