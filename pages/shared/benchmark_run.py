"""A run under way: progress, models, causes of failure, its controls."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from lab.benchmark.tally import OVER
from pages.shared.frame import bench, literal
from pages.shared.people import actor, may, writer

PHASES = {
    "starting": "Starting …", "checking": "Checking each model …", "running": "Under way.", "paused": "Paused.", "done": "Done.",
    "budget": "Stopped at its budget. What was answered is kept.", "stopped": "Done, but some models were left out.", "cancelled": "Cancelled. What was answered is kept.",
    "failed": "Failed.", "interrupted": "Its process ended before it was done. What was answered is kept.",
}  # fmt: skip


def live(name: str, active: bool) -> None:
    """Drawn by one small fragment, once a second while the run is active."""
    run = bench().benchmark_run(name)
    if active and run.phase in (*OVER, "interrupted"):
        st.rerun()  # the whole page: results take the place of the progress
    status = run.status
    if status.get("total"):
        _progress(run.phase, status, active)
    elif active:
        st.info(PHASES.get(run.phase, run.phase), icon=":material/hourglass_top:")
    if active:
        _controls(name, run.phase)
    if active and status.get("models"):
        _models(status["models"])
    if status.get("causes"):
        _causes(status["causes"])
    if status.get("left_out"):
        st.warning("Left out: " + literal("; ".join(f"{model}: {why}" for model, why in status["left_out"].items())), icon=":material/warning:")


def _progress(phase: str, status: dict[str, Any], active: bool) -> None:
    done, total, rate, left = status["done"], status["total"], status.get("rate_per_s"), status.get("remaining_s")
    st.progress(done / total, f"{done:,} of {total:,} answers · {PHASES.get(phase, phase)}")
    cells = st.columns(5)
    cells[0].metric("Failed", f"{status['failed']:,}")
    cells[1].metric("Requests", f"{status['calls']:,}", help="Retries included, health checks not.")
    cells[2].metric("Cost so far" if active else "Cost", "unknown" if status.get("cost_usd") is None else f"${status['cost_usd']:.4f}")
    if active:
        cells[3].metric("Answers per second", f"{rate:.1f}" if rate else "–")
        cells[4].metric("Time left", _duration(left) if left is not None else "–")
    if status.get("interrupted"):
        st.caption(f"{status['interrupted']} requests were under way when an earlier process ended; they were asked again.")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3600:.1f} h"


def _controls(name: str, phase: str) -> None:
    person = actor()
    if person is None or not may("maintainer"):
        return
    with st.container(horizontal=True):
        if phase == "paused":
            st.button("Go on", icon=":material/play_arrow:", on_click=bench().control_benchmark, args=(person, name, "go on"))
        else:
            st.button("Pause", icon=":material/pause:", on_click=bench().control_benchmark, args=(person, name, "pause"), disabled=phase != "running")
        st.button("Cancel", icon=":material/stop:", on_click=bench().control_benchmark, args=(person, name, "cancel"))


def _models(models: dict[str, dict[str, Any]]) -> None:
    rows = [
        {
            "Model": name, "Answered": round((one["ok"] + one["failed"]) / one["total"], 2) if one["total"] else 0.0, "Failed": one["failed"], "Retries": one["retries"],
            "Quality": one["quality"], "n": one["scored"], "Latency, s": one["latency_s"], "1st token, s": one["first_token_s"],
            "Cost, $": one["cost_usd"], "Tokens": f"{one['prompt_tokens']:,} → {one['completion_tokens']:,}",
        }
        for name, one in models.items()
    ]  # fmt: skip
    seconds = st.column_config.NumberColumn(format="%.3f")
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, placeholder="–", key="benchmark-live",
        column_config={
            "Answered": st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1), "Quality": seconds, "Latency, s": seconds,
            "n": st.column_config.NumberColumn(help="Answers with a score."), "1st token, s": seconds,
            "Cost, $": st.column_config.NumberColumn(format="%.4f", help="Of the answers that report their tokens, at the prices of models.yaml."),
            "Tokens": st.column_config.TextColumn(help="Sent → received, as the endpoints report them."),
        },
    )  # fmt: skip


def _causes(causes: dict[str, dict[str, Any]]) -> None:
    st.caption("Failed calls by cause")
    rows = [{"Cause": cause, "Calls": one["n"], "Models": ", ".join(f"{name} {n}" for name, n in one["models"].items()), "For example": one["example"]} for cause, one in causes.items()]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="benchmark-causes")


def show_phase(run) -> None:
    """How a run that is over ended, and how to go on with it."""
    if run.phase in ("done", "imported"):
        return
    message = run.status.get("message") or ""
    if run.phase == "interrupted" and not run.status.get("total"):
        message = message or bench().benchmark_log(run.id).strip()[-300:]
    if message or not run.status.get("total"):
        text = PHASES.get(run.phase, run.phase) + (" " + literal(message) if message else "")
        (st.error if run.phase == "failed" else st.info)(text, icon=":material/info:")
    more = _more_budget(run) if run.phase == "budget" else {}
    if st.button("Continue this run", icon=":material/resume:", type="primary", help="Asks only what has no answer yet.", disabled=not may("maintainer")):
        person = writer("maintainer")
        if person is not None:
            bench().resume_benchmark(person, run.id, **more)
            st.rerun()


def _more_budget(run) -> dict[str, Any]:
    """The budget to go on with, twice the old one to begin with."""
    plan, (calls, cost, _) = bench().benchmark_plan(run.id), st.columns(3)
    more: dict[str, Any] = {}
    if plan.most_calls is not None:
        more["most_calls"] = int(calls.number_input("At most so many requests in all", plan.most_calls, None, 2 * plan.most_calls, key=f"benchmark_more_calls_{run.id}"))
    if plan.most_usd is not None:
        more["most_usd"] = float(cost.number_input("At most so many dollars in all", plan.most_usd, None, 2 * plan.most_usd, key=f"benchmark_more_cost_{run.id}"))
    return more
