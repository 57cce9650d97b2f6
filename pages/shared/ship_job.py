"""One job: its state, how far it is, its curves and log while it runs; its verdict and what to do about it afterwards."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from lab.curation.state import Actor
from lab.release.jobs import Job
from lab.release.verdict import Verdict
from pages.shared import people
from pages.shared.frame import bench, literal
from pages.shared.ship_common import NAME_FIRST, STATES, doing, moment, name_of, pairs_view, promote, signed, verdict_view

ADAPT, ADAPTING = "Adapt the encoder", "adapt: "
STAGES = {
    "": "Starting", "starting": "Starting", "read the labels": "Read the labels", "give new prompts a side of the split": "Read the labels", "adapt": ADAPT, "encode": "Encode prompts",
    "train": "Train", "evaluate": "Evaluate on the test side", "behaviour": "Behavioural suites", "out-of-fold": "Predict out of fold", "copy": "Publish the version",
    "check": "Publish the version", "gate": "Hold it against the champion", "learning curves": "Fit learning curves",
}  # fmt: skip
"""Stage of a job, in their order → what is said of it."""
BLUE, ORANGE = "#0072b2", "#d55e00"


def job_panel(job: Job, person: Actor | None) -> None:
    """Redrawn each second while the job is open, and by itself: the rest of the page stays as it is."""
    if job.open:
        st.fragment(_running, run_every=1.0)(job.id, person)
    else:
        _ended(job, person)


def _running(job_id: str, person: Actor | None) -> None:
    bench().open_jobs()  # declares it lost if its process is dead
    job = bench().job(job_id)
    if not job.open:
        st.rerun()
    with st.container(border=True):
        _head(job)
        share = job.done / job.total if job.total else 0.0
        stages = list(dict.fromkeys(STAGES.values()))
        said = ADAPT if job.stage.startswith(ADAPTING) else STAGES.get(job.stage, job.stage)
        part = f" · {job.stage.removeprefix(ADAPTING)}" if said == ADAPT else ""
        count = f"{part} · {job.done:,} of {job.total:,}" if job.total > 1 else part
        st.progress(min(1.0, share), literal(f"{said}{count}" if job.status == "running" else "Queued"))
        if said in stages and job.kind == "retrain":
            out = ("Starting", "Fit learning curves", *(("Predict out of fold",) if "adapt" in job.params else (ADAPT,)))
            order = [one for one in stages if one not in out]
            here = order.index(said) if said in order else -1
            st.caption(" → ".join(f"**{one}**" if n == here else f"{one} ✓" if n < here else one for n, one in enumerate(order)))
        _curves(job)
        _log(job, expanded=True)
        if people.may("maintainer"):
            off = person is None or job.cancel
            st.button(
                "Stopping …" if job.cancel else "Cancel", icon=":material/cancel:", key=f"cancel-{job.id}", disabled=off, on_click=doing(_cancel, person, job.id),
                help=NAME_FIRST if person is None else "It stops within a few seconds; the champion is not touched.",
            )  # fmt: skip


def _cancel(actor: Actor, job_id: str) -> str:
    job = bench().cancel_job(actor, job_id)
    return "The job will stop within a few seconds." if job.open else f"The job is {job.status}."


def _head(job: Job) -> None:
    icon, meaning = STATES[job.status]
    what = "Deep retrain" if "adapt" in job.params else {"retrain": "Retrain", "gate": "Gate"}.get(job.kind, job.kind.capitalize())
    st.markdown(f"{icon} **{what} {job.status}** · {literal(signed(job.who, job.verified))} · {moment(job.created_at_utc)} · `{job.id[:12]}`")
    changes = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in job.params.get("changes", {}).items())
    about = f"Recipe {job.params['recipe']}{', ' + changes if changes else ''}. " if "recipe" in job.params else ""
    if "adapt" in job.params:
        about = f"Encoder: layers trained {job.params['adapt']['layers']}, epochs {job.params['adapt']['epochs']}. {about}"
    st.caption(literal(about) + meaning)


def _curves(job: Job) -> None:
    points = [value for _, _, value in bench().job_log(job.id, "point")]
    for stage, title in (("encoder", "Encoder: "), ("", "")):
        some = [one for one in points if one.get("stage", "") == stage]
        if some:
            _curve_pair(f"{stage}{job.id}", pd.DataFrame(some), title)


def _curve_pair(key: str, frame: pd.DataFrame, of: str) -> None:
    left, right = st.columns(2)
    for cell, column, title, colour, style in ((left, "train_loss", "training loss", BLUE, ""), (right, "valid_top1", "top-1 on validation prompts", ORANGE, ".0%")):
        if frame[column].isna().all():
            continue
        title = (of + title)[0].upper() + (of + title)[1:]
        figure = go.Figure(go.Scatter(x=frame["epoch"], y=frame[column], mode="lines+markers" if len(frame) < 10 else "lines", line_color=colour))
        figure.update_layout(height=190, margin={"l": 10, "r": 10, "t": 34, "b": 10}, title=title)
        few, highest = len(frame) < 10, float(frame[column].max())
        figure.update_xaxes(title="epoch", rangemode="tozero", dtick=1 if few else None)
        figure.update_yaxes(tickformat=style, automargin=True, range=[0, 1 if style else 1.2 * highest] if few else None)
        last = f"{frame[column].iloc[-1]:{style or '.3f'}}"
        cell.plotly_chart(figure, width="stretch", key=f"{column}-{key}", config={"displayModeBar": False}, alt=f"{title} by epoch, last {last}")


def _log(job: Job, expanded: bool) -> None:
    lines = [(at, value) for at, _, value in bench().job_log(job.id, "line")]
    if not lines:
        return
    with st.expander(f"Log · {len(lines)}", expanded=expanded, icon=":material/notes:"):
        st.text("\n".join(f"{at[11:19]}  {line}" for at, line in lines[-200:]))


def _ended(job: Job, person: Actor | None) -> None:
    with st.container(border=True):
        _head(job)
        if job.error:
            st.error(literal(job.error), icon=":material/error:")
        if job.status != "done":
            _log(job, expanded=True)
            _curves(job)
            return
        infos = bench().version_list()
        verdict = Verdict.from_json(job.result["verdict"])
        name = name_of(verdict.candidate, infos)
        seconds = job.result.get("seconds")
        st.markdown(f"Version **{literal(name)}** `{verdict.candidate[:12]}`" + (f" · made in {seconds:.0f} s" if seconds else ""))
        verdict_view(verdict, infos, lambda: decide(verdict, person, f"job-{job.id}"))
        pairs_view(job.result, f"pairs-{job.id}", verdict.n)
        with st.expander("Curves, stages, log", icon=":material/show_chart:"):
            _curves(job)
            stages = job.result.get("stages") or {}
            if stages:
                st.caption("Seconds: " + ", ".join(f"{STAGES.get(stage, stage).lower()} {seconds:.1f}" for stage, seconds in stages.items()))
            st.text("\n".join(f"{at[11:19]}  {line}" for at, _, line in bench().job_log(job.id, "line")))
        st.page_link("pages/models.py", label="See it under Models", icon=":material/inventory_2:", query_params={"version": name})


def decide(verdict: Verdict, person: Actor | None, key: str) -> None:
    """Promote, promote all the same, or leave it. What has served before is promoted without a verdict, under Models."""
    infos = bench().version_list()
    champion = next((one for one in infos if one.champion), None)
    if champion is None or champion.id == verdict.candidate:
        st.info("This version serves now.", icon=":material/verified:")
        return
    if not people.may("maintainer"):
        return
    if verdict.champion != champion.id:
        st.info(f"Another version, {literal(champion.name)}, has been promoted since. Under Models the gate can be run against it.", icon=":material/update:")
        return
    off = {"disabled": person is None, "help": NAME_FIRST if person is None else None}
    loss = bench().plain_loss(verdict.candidate)
    if loss:
        st.caption(literal(loss))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if verdict.passed:
            st.button("Promote", type="primary", icon=":material/publish:", key=f"{key}-promote", on_click=doing(promote, person, verdict.candidate, champion.id), **off)
        else:
            with st.popover("Promote all the same", icon=":material/gavel:", disabled=person is None, help=off["help"]):
                st.markdown("The gate refused this version. Your reason is kept with the promotion, with your name and the verdict.")
                reason = st.text_area("Why should it serve?", key=f"{key}-reason", max_chars=500, placeholder="A sentence of three words or more")
                enough = len((reason or "").split()) >= 3
                st.button(
                    "Override and promote", type="primary", icon=":material/gavel:", key=f"{key}-override", disabled=not enough or person is None,
                    on_click=doing(promote, person, verdict.candidate, champion.id, reason or ""), help=None if enough else "Write the reason first.",
                )  # fmt: skip
        st.button("Leave it", icon=":material/do_not_disturb_on:", key=f"{key}-leave", on_click=_leave, args=(verdict.candidate, champion.name))


def _leave(version_id: str, champion: str) -> None:
    st.session_state["left"] = version_id
    st.session_state["ship_said"] = (
        "info", f"Nothing happens: **{literal(champion)}** keeps serving. Version `{version_id[:12]}` stays under Models and can be promoted later.",
    )  # fmt: skip
