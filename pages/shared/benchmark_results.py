"""Results of a run: by model, by category, answers one by one, downloads, selectors from them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.shared.frame import bench, literal, plot_text
from pages.shared.many import to_csv
from pages.shared.people import may, writer

BLUE, GREY = "#0072b2", "#8a94a3"
SHOWN = 200


@st.cache_data(max_entries=16, show_spinner="Reading the answers …")
def _results(name: str, stamp: tuple[int, int]) -> dict[str, Any]:
    return bench().benchmark_results(name)


def results_view(run) -> None:
    stamp = bench().benchmark_stamp(run.id)
    results = _results(run.id, stamp)
    if not results["by_model"]:
        st.info("No answers yet.", icon=":material/info:")
        return
    st.subheader("Results by model", anchor=False)
    frame = _by_model(results)
    _chart(results["by_model"])
    st.subheader("By category", anchor=False)
    _by_category(results["by_category"])
    _train(run)
    _answers(run.id)
    _downloads(run, frame, stamp)


def _by_model(results: dict[str, Any]) -> pd.DataFrame:
    frame = pd.DataFrame(
        [
            {
                "Model": one["model"], "Quality": one["quality"], "Low": one["low"], "High": one["high"], "n": one["n"], "Shared": one["quality_shared"],
                "Answers": one["answers"], "Failed": one["failed"], "p50, s": one["latency_p50_s"], "p95, s": one["latency_p95_s"], "1st token, s": one["first_token_s"],
                "Cost, $": one["cost_usd"], "With cost": one["costed"],
            }
            for one in results["by_model"]
        ]
    )  # fmt: skip
    three = st.column_config.NumberColumn(format="%.3f")
    st.dataframe(
        frame, hide_index=True, placeholder="–", key="benchmark-models", column_order=[name for name in frame.columns if name not in ("Answers", "With cost")],
        column_config={key: three for key in ("Quality", "Low", "High", "p95, s", "1st token, s")}
        | {
            "n": st.column_config.NumberColumn(help="Answers with a score."), "p50, s": st.column_config.NumberColumn(format="%.3f", help="Latency: half of the answers were faster."),
            "Shared": st.column_config.NumberColumn(format="%.3f", help="Quality on the queries that all models have a score for."),
            "Cost, $": st.column_config.NumberColumn(format="%.4f", help="Of the answers that report their tokens; their number is in the CSV."),
        },
    )  # fmt: skip
    st.caption(
        f"Quality is the mean score of the n scored answers, Low and High its 95 % interval. {results['shared']:,} queries have a score from each of {results['compared']} models: compare models "
        f"on these (Shared). Failed calls and answers without a score count neither for nor against a model. Rows {results['sha256'][:12]}."
    )
    return frame


def _chart(lines: list[dict[str, Any]]) -> None:
    scored = [one for one in lines if one["quality"] is not None]
    if not scored:
        return
    high = [(one["high"] if one["high"] is not None else one["quality"]) - one["quality"] for one in scored]
    low = [one["quality"] - (one["low"] if one["low"] is not None else one["quality"]) for one in scored]
    figure = go.Figure(
        go.Scatter(
            x=[one["quality"] for one in scored], y=[plot_text(one["model"]) for one in scored], mode="markers", marker={"size": 10, "color": BLUE},
            error_x={"type": "data", "symmetric": False, "array": high, "arrayminus": low, "color": GREY}, hovertemplate="%{y}: %{x:.3f}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_layout(height=80 + 26 * len(scored), margin={"l": 10, "r": 20, "t": 10, "b": 30})
    figure.update_xaxes(range=[-0.02, 1.02], title="quality, with its 95 % interval")
    figure.update_yaxes(autorange="reversed", automargin=True, type="category")
    st.plotly_chart(figure, width="stretch", key="benchmark-chart", alt="Quality by model with intervals; the table above has the figures")


def _by_category(lines: list[dict[str, Any]]) -> None:
    rows = [
        {
            "Category": one["category"], "Model": one["model"], "Quality": one["quality"], "Low": one["low"], "High": one["high"], "n": one["n"], "Failed": one["failed"],
            "p50, s": one["latency_p50_s"], "Cost, $": one["cost_usd"],
        }
        for one in sorted(lines, key=lambda one: (one["category"], -(one["quality"] or 0)))
    ]  # fmt: skip
    three = st.column_config.NumberColumn(format="%.3f")
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, placeholder="–", key="benchmark-categories",
        column_config={key: three for key in ("Quality", "Low", "High", "p50, s")} | {"Cost, $": st.column_config.NumberColumn(format="%.4f")},
    )  # fmt: skip


def _train(run) -> None:
    st.subheader("Selectors from these answers", anchor=False)
    if not may("maintainer"):
        st.caption("Training needs a maintainer.")
        return
    told = bench().benchmark_training(run.id)
    active = told["phase"] in ("starting", "running")
    if not active:
        with st.form("benchmark_train", border=False):
            cells = st.columns([2, 2, 2], vertical_alignment="bottom")
            name = cells[0].text_input("Name", f"run-{run.id[:8]}-{run.id[-4:]}", help="Letters, digits, '-' and '_'.")
            if cells[1].form_submit_button("Train selectors", type="primary", icon=":material/model_training:"):
                person = writer("maintainer")
                if person is not None:
                    bench().train_on_benchmark(person, run.id, name.strip())
                    st.rerun()
    st.fragment(_training, run_every=1.0 if active else None)(run.id, active)


def _training(name: str, active: bool) -> None:
    told = bench().benchmark_training(name)
    if active and told["phase"] not in ("starting", "running"):
        st.rerun()
    if told["phase"] in ("starting", "running"):
        of = told["of"]
        st.progress(told["done"] / of if of else 0.0, f"{told['stage']} {told['done']:,} of {of:,}" if of else told["stage"])
    elif told["phase"] == "failed":
        st.error(literal(told.get("message", "It failed.")), icon=":material/error:")
    elif told["phase"] == "done":
        st.success(literal(f"{told['name']}: trained on {told['n']:,} queries, judged on {told['held_out_n'] or 0:,} held out. {told['sentence']}"), icon=":material/check:")
        st.page_link("pages/selectors.py", label=f"See {literal(told['name'])} on the page Selectors", icon=":material/alt_route:", query_params={"set": told["name"]})


def _answers(name: str) -> None:
    with st.expander(f"The last {SHOWN} answers", icon=":material/list:"):
        failed = st.toggle("Failed calls only", key="benchmark_failed_only")
        rows = [
            {
                "Query": row.get("query"), "Model": row.get("model_name"), "Score": row.get("performance"), "Rule": row.get("rule") or row.get("cause"), "Why": row.get("explanation"),
                "Response": str(row.get("response", ""))[:2_000], "Ground truth": str(row.get("ground_truth", "")), "Latency, s": row.get("response_time"), "Tries": row.get("attempts"),
            }
            for row in bench().benchmark_last_rows(name, SHOWN, failed)
        ]  # fmt: skip
        st.dataframe(pd.DataFrame(rows), hide_index=True, height=420, placeholder="–", key="benchmark-answers")


def _downloads(run, frame: pd.DataFrame, stamp: tuple[int, int]) -> None:
    with st.container(horizontal=True):
        st.download_button("Answers (JSONL)", lambda: bench().benchmark_export(run.id), f"{run.id}.jsonl", "application/jsonl", icon=":material/download:")
        st.download_button(
            "For training (JSONL)", lambda: bench().benchmark_export(run.id, training=True), f"{run.id}-outcomes.jsonl", "application/jsonl", icon=":material/download:",
            help="Scored answers only, as the semantic router's training reads them.",
        )  # fmt: skip
        st.download_button("Table (CSV)", to_csv(frame), f"{run.id}.csv", "text/csv", icon=":material/download:")
        models, queries = bench().benchmark_files(run.id)
        if models:
            st.download_button("models.yaml", models, "models.yaml", "application/yaml", icon=":material/download:")
            st.download_button("queries.jsonl", queries, "queries.jsonl", "application/jsonl", icon=":material/download:")
