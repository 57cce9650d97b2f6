"""Benchmark: ask models at real endpoints, score their answers, make selectors learn from them."""

from __future__ import annotations

import streamlit as st

from lab.benchmark.tally import OVER
from lab.errors import InputError
from pages.shared.benchmark_decisions import decisions_view
from pages.shared.benchmark_results import results_view
from pages.shared.benchmark_run import live, show_phase
from pages.shared.benchmark_setup import setup_view
from pages.shared.frame import bench, query_default, serve
from pages.shared.people import may

VIEWS = ("New run", "Runs", "Decisions")


def render() -> None:
    st.header("Benchmark", anchor=False)
    query_default("view", VIEWS[1] if bench().benchmark_runs() else VIEWS[0])
    if st.session_state.view not in VIEWS:  # another page's view of the same name
        st.session_state.view = VIEWS[0]
    if st.session_state.get("benchmark_go"):
        st.session_state.view = st.session_state.pop("benchmark_go")
    view = st.segmented_control("View", VIEWS, required=True, key="view", bind="query-params", label_visibility="collapsed")
    {"New run": setup_view, "Runs": _runs, "Decisions": decisions_view}[view]()


def _runs() -> None:
    runs = bench().benchmark_runs()
    _import()
    if not runs:
        st.info("No run yet. Write the two files under New run, or import outcomes of the semantic router.", icon=":material/info:")
        return
    ids = [one.id for one in runs]
    query_default("run", ids[0])
    if st.session_state.get("benchmark_open") in ids:
        st.session_state.run = st.session_state.pop("benchmark_open")
    if st.session_state.run not in ids:
        st.session_state.run = ids[0]
    by_id = {one.id: one for one in runs}
    name = st.selectbox("Run", ids, key="run", format_func=lambda one: _label(by_id[one]), width=520)
    st.query_params["run"] = name  # also for the newest, so that a link still shows it when there is a newer one
    run = by_id[name]
    active = run.phase not in (*OVER, "interrupted", "imported")
    if run.phase != "imported":
        st.fragment(live, run_every=1.0 if active else None)(name, active)
    if not active:
        show_phase(run)
        results_view(run)


def _label(run) -> str:
    """Nothing in it may change while the run goes on: the field would show the old text."""
    when = f"{run.id[:4]}-{run.id[4:6]}-{run.id[6:8]} {run.id[9:11]}:{run.id[11:13]}:{run.id[13:15]} UTC"
    return " · ".join(part for part in (when, run.about, run.by) if part)


def _import() -> None:
    if not may("maintainer"):
        return
    count = st.session_state.get("benchmark_imports", 0)  # another key after each import: it closes, and the file is gone from it
    with st.popover("Import outcomes", icon=":material/upload_file:", key=f"benchmark_import_{count}"):
        st.caption("A file of the semantic router's benchmark: query, model_name, performance, response_time … (JSONL, CSV or Parquet).")
        upload = st.file_uploader("Outcomes", type=["jsonl", "csv", "parquet", "gz"], key=f"outcomes_{count}", label_visibility="collapsed")
        if st.button("Import", disabled=upload is None, icon=":material/upload:") and upload is not None:
            from pages.shared.people import actor

            person = actor()
            if person is None:
                raise InputError("Nobody is named yet.", "Give your name under New run first.")
            name, read = bench().import_benchmark(person, upload.getvalue(), upload.name)
            st.session_state.benchmark_open, st.session_state.benchmark_imports = name, count + 1
            st.session_state.benchmark_told = f"{len(read.rows):,} rows imported, {len(read.refused)} refused, {read.unscored} without a score left out."
            st.rerun()
    if told := st.session_state.pop("benchmark_told", ""):
        st.success(told, icon=":material/check:")


serve(render)
