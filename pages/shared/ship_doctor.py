"""The taxonomy doctor: which domains need prompts, which borders need care, what a merge or a split would do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from lab.curation.state import Actor
from lab.errors import LabError
from lab.release.doctor import Simulation
from lab.release.learning import Curve
from lab.use_cases.examining import LEARNING
from pages.shared import people
from pages.shared.frame import bench, literal, show_error
from pages.shared.ship_common import NAME_FIRST, STATES, doing, moment, signed

VIEWS = ("More prompts", "Borders", "Merge or split")
BLUE, ORANGE = "#0072b2", "#d55e00"
MOST_PAIRS = 20


def doctor(actor: Actor | None) -> None:
    view = st.segmented_control("Question", VIEWS, default=VIEWS[0], required=True, key="doctor", bind="query-params", label_visibility="collapsed")
    {"More prompts": _learning, "Borders": _borders, "Merge or split": _tries}[view](actor)


def _bar() -> tuple[Callable[[str, int, int], None], Callable[[], None]]:
    room = st.empty()
    return lambda stage, done, of: room.progress(min(1.0, done / max(1, of)), f"{stage}: {done:,} of {of:,}"), room.empty


# more prompts


def _learning(actor: Actor | None) -> None:
    st.markdown("What more prompts would bring a domain: each domain is trained on an eighth, a quarter, a half and three quarters of its prompts, and a power law is fitted.")
    running = [one for one in bench().open_jobs() if one.kind == LEARNING]
    if running:
        st.fragment(_progress, run_every=2.0)(running[0].id, actor)
    elif people.may("curator"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            target = st.slider("F1 to reach", 0.50, 0.99, 0.85, 0.01, key="target", width=260)
            st.button(
                "Fit the curves", icon=":material/show_chart:", type="primary", disabled=actor is None, help=NAME_FIRST if actor is None else "Some minutes, in a process of its own",
                on_click=doing(_fit, actor, target), key="fit",
            )  # fmt: skip
    known = bench().learning_curves()
    if known is None:
        if not running:
            st.info("The curves have not been fitted yet.", icon=":material/show_chart:")
        return
    job, curves = known
    corpus = bench().dataset_now()[0].corpus_sha256
    _curves(curves)
    old = "" if corpus == job.result["corpus_sha256"] else " **Labels have changed since.**"
    st.caption(
        f"Fitted {moment(job.finished_at_utc)} for {literal(signed(job.who, job.verified))} on {job.result['rows']:,} training prompts, corpus `{job.result['corpus_sha256'][:12]}`; "
        f"scored on held-out fifths of the train and valid sides, test prompts were not looked at. Intervals 80 %.{old}"
    )


def _fit(actor: Actor, target: float) -> str:
    bench().start_learning(actor, target)
    return "The curves are being fitted; this page may be closed."


def _progress(job_id: str, actor: Actor | None) -> None:
    bench().open_jobs()
    job = bench().job(job_id)
    if not job.open:
        st.rerun()
    share = job.done / job.total if job.total else 0.0
    st.progress(min(1.0, share), f"{STATES[job.status][0]} {job.status} · {job.stage or 'starting'} {job.done} of {job.total}")
    if people.may("curator"):
        st.button("Stopping …" if job.cancel else "Cancel", icon=":material/cancel:", disabled=actor is None or job.cancel, key="cancel-fit", on_click=doing(_cancel, actor, job_id))


def _cancel(actor: Actor, job_id: str) -> str:
    bench().cancel_job(actor, job_id)
    return "The fit will stop within a few seconds."


def _curves(curves: list[Curve]) -> None:
    frame = pd.DataFrame(
        {
            "Domain": [one.domain for one in curves], "F1": [round(one.f1, 3) for one in curves], "Prompts": [one.n for one in curves],
            "More": [one.more for one in curves], "Low": [one.more_interval[0] if one.more_interval else None for one in curves],
            "High": [one.more_interval[1] if one.more_interval else None for one in curves], "In words": [one.sentence for one in curves],
        }
    )  # fmt: skip
    left, right = st.columns([3, 2], gap="medium")
    with left:
        event = st.dataframe(
            frame, hide_index=True, height=440, key="curves", on_select="rerun", selection_mode="single-row",
            column_config={"F1": st.column_config.ProgressColumn(format="%.2f", min_value=0, max_value=1), "In words": st.column_config.TextColumn(width="large")},
        )  # fmt: skip
    rows = event["selection"]["rows"]
    one = curves[rows[0] if rows and rows[0] < len(curves) else 0]
    with right:
        st.markdown(f"**{literal(one.sentence)}**")
        st.plotly_chart(_figure(one), width="stretch", key="curve", config={"displayModeBar": False}, alt=one.sentence)


def _figure(one: Curve) -> go.Figure:
    points = [(point.n, 2 * point.tp / (point.support + point.predicted)) for point in one.points if point.n and point.support + point.predicted]
    size = np.geomspace(min((n for n, _ in points), default=1), max(one.n, one.n + (one.more or 0), 2), 60)
    figure = go.Figure(go.Scatter(x=[n for n, _ in points], y=[f1 for _, f1 in points], mode="markers", marker_color=BLUE, name="refits"))
    figure.add_scatter(x=size, y=1 - one.a * size**-one.b, mode="lines", line_color=BLUE, name="power law")
    figure.add_hline(y=one.target, line_dash="dash", line_color=ORANGE, annotation_text=f"target {one.target:.2f}")
    figure.add_vline(x=one.n, line_dash="dot", annotation_text="now")
    figure.update_layout(height=330, margin={"l": 10, "r": 10, "t": 20, "b": 10}, showlegend=False)
    figure.update_xaxes(title="training prompts")
    figure.update_yaxes(title="F1", range=[0, 1], automargin=True)
    return figure


# borders


@st.cache_data(max_entries=4, show_spinner=False)
def _confused(address: str, newest: int, champion: str) -> list[tuple[str, str, int]]:
    return bench().confused_pairs(MOST_PAIRS)


def _key() -> tuple[str, int, str]:
    return bench().database.address, bench().newest_event(), bench().champion().id


def _borders(actor: Actor | None) -> None:
    st.markdown("Can two domains be told apart by their vectors at all? If not, more prompts will not help: the border has to be sharper, or the two are one.")
    pairs = _confused(*_key())
    if not pairs:
        st.info("The champion confuses no pair with enough prompts on the validation side.", icon=":material/done_all:")
        return
    kept = st.session_state.get("apart", (None, []))
    if kept[0] != _key():
        st.caption(f"The {len(pairs)} pairs that the champion confuses most on the validation side.")
        st.dataframe(pd.DataFrame(pairs, columns=["A", "B", "Confused"]), hide_index=True, height=320, key="pairs")
        if not st.button(f"Look at these {len(pairs)} pairs", type="primary", icon=":material/balance:", key="look", help="Five small regressions a pair, some seconds"):
            return
        tell, done = _bar()
        kept = (_key(), bench().pair_separability([(a, b) for a, b, _ in pairs], tell))
        st.session_state["apart"] = kept
        done()
        st.rerun()
    confused = {(a, b): n for a, b, n in pairs}
    frame = pd.DataFrame(
        {
            "A": [one.a for one in kept[1]], "B": [one.b for one in kept[1]], "AUC": [one.auc for one in kept[1]], "Low": [one.interval[0] for one in kept[1]],
            "High": [one.interval[1] for one in kept[1]], "n": [f"{one.n_a} + {one.n_b}" for one in kept[1]], "Confused": [confused.get((one.a, one.b), 0) for one in kept[1]],
            "In words": [one.verdict for one in kept[1]],
        }
    )  # fmt: skip
    number = st.column_config.NumberColumn(format="%.3f", width=70)
    st.dataframe(
        frame, hide_index=True, height=440, key="apart-table",
        column_config={"AUC": st.column_config.ProgressColumn(format="%.3f", min_value=0.5, max_value=1), "Low": number, "High": number, "In words": st.column_config.TextColumn(width="large")},
    )  # fmt: skip
    st.caption("AUC: chance that a prompt of A scores more like A than one of B does, cross-validated on the train and valid sides, 95 % interval; 0.5: not to be told apart.")


# a merge or a split


def _tries(actor: Actor | None) -> None:
    names = [one.name for one in bench().taxonomy.domains]
    left, right = st.columns(2, gap="large")
    with left, st.form("merge"):
        st.markdown("**Merge**: what if these were one domain?")
        together = st.multiselect("Domains", names, key="merge-domains", placeholder="two or more")
        merging = st.form_submit_button("Try it", icon=":material/merge:")
    with right, st.form("split"):
        st.markdown("**Split**: what if this one were several?")
        one = st.selectbox("Domain", names, index=None, key="split-domain", placeholder="choose")
        parts = st.number_input("Parts", 2, 5, 2, key="split-parts", help="Clusters of the vectors of its prompts; the Map shows them")
        splitting = st.form_submit_button("Try it", icon=":material/call_split:")
    if merging or splitting:
        tell, done = _bar()
        try:
            st.session_state["tried"] = bench().try_merge(together, tell) if merging else bench().try_split(one or "", int(parts), tell)
        except LabError as error:
            show_error(error)
        done()
    if "tried" in st.session_state:
        _tried(st.session_state["tried"])


def _tried(tried: Simulation) -> None:
    st.markdown(f"**{literal(tried.sentence)}**")
    cells = st.columns(4)
    cells[0].metric("Top-1", f"{tried.top1_after:.1%}", f"{100 * (tried.top1_after - tried.top1_before):+.1f} points")
    cells[0].caption(f"{100 * tried.difference[0]:+.1f} to {100 * tried.difference[1]:+.1f}")
    cells[1].metric("Macro-F1", f"{tried.macro_f1_after:.3f}", f"{tried.macro_f1_after - tried.macro_f1_before:+.3f}")
    cells[2].metric("Fixed, broken", f"{tried.fixed}, {tried.broken}")
    cells[2].caption(f"McNemar p {tried.mcnemar_p:.2g}")
    cells[3].metric("Domains", f"{tried.domains_before} → {tried.domains_after}")
    cells[3].caption(f"n {tried.n:,} validation prompts")
    if tried.neighbours:
        st.dataframe(pd.DataFrame(tried.neighbours, columns=["Neighbour", "Recall before", "Recall after"]), hide_index=True, key="neighbours")
    st.caption("Two short refits, scored in the coarser labels, so that before and after are the same question. Applying it: Curation set, Taxonomy.")
    st.page_link("pages/curation.py", label="Open the taxonomy", icon=":material/account_tree:", query_params={"show": "Taxonomy"})
