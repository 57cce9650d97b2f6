"""What Retrain and Models share: who may change something, what was just done, names of versions and of jobs' states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from lab.curation.state import Actor
from lab.errors import LabError
from lab.release.verdict import Verdict
from lab.use_cases.registry import VersionInfo
from pages.shared import people
from pages.shared.frame import bench, literal

STATES = {
    "queued": (":material/hourglass_empty:", "It waits for its process."),
    "running": (":material/autorenew:", "It runs in a process of its own: this page may be closed."),
    "done": (":material/check_circle:", "It has ended."),
    "failed": (":material/error:", "It has failed; nothing was changed."),
    "cancelled": (":material/cancel:", "It was cancelled; nothing was changed."),
    "lost": (":material/link_off:", "Its process is gone; nothing was changed, and a new one can be started."),
}
"""State of a job → icon and what it means."""
NAME_FIRST = "Type your name above first."


def person() -> Actor | None:
    """Who may change something here; else what is missing is shown, and asked for."""
    return people.writer("maintainer", "It stands beside every version you make or promote.")


def say(kind: str, text: str) -> None:
    """A sentence for the next run; ``kind`` is success, info or error."""
    st.session_state["ship_said"] = (kind, text)


def said() -> None:
    kind, text = st.session_state.pop("ship_said", (None, ""))
    if kind == "success":
        st.success(text, icon=":material/check_circle:")
    elif kind == "info":
        st.info(text, icon=":material/info:")
    elif kind:
        st.error(text, icon=":material/error:")


def doing(work: Callable[..., str], *arguments: Any) -> Callable[[], None]:
    """A callback for a button: what ``work`` returns is said; an error of the lab becomes a sentence."""

    def callback() -> None:
        try:
            say("success", literal(work(*arguments)))
        except LabError as error:
            say("error", literal(error.what) + (f"  \n**{literal(error.fix)}**" if error.fix else ""))

    return callback


def follow_champion() -> None:
    """Called once a run, by the frame: a session that looks at what serves looks at the new champion after a promotion, by whomever."""
    serving, state = bench().serving_name(), st.session_state
    if state.get("serving_seen", serving) != serving and state.get("router") == state["serving_seen"]:
        state["router"] = serving
    state["serving_seen"] = serving


def labels(infos: list[VersionInfo]) -> dict[str, VersionInfo]:
    """Name → version; names are unique (Registry.version_list)."""
    return {one.name: one for one in infos}


def name_of(version_id: str, infos: list[VersionInfo]) -> str:
    return next((one.name for one in infos if one.id == version_id), version_id[:12])


def moment(at_utc: object) -> str:
    """An ISO time as people read it, to the minute; "–" if there is none."""
    try:
        return f"{datetime.fromisoformat(str(at_utc)).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return "–"


def signed(who: object, verified: object) -> str:
    return f"{who or '–'}" if verified or not who else f"{who} (unverified)"


def promote(actor: Actor, version_id: str, shown_champion: str, reason: str = "") -> str:
    """``shown_champion``: the id that the screen showed; somebody may have been quicker."""
    done = bench().promote(actor, version_id, shown_champion, reason)
    infos = bench().version_list()
    word = "Rolled back:" if done.action == "rollback" else "Promoted:"
    return f"{word} {name_of(done.version, infos)} serves every session from now on; it replaced {name_of(done.replaced, infos)}."


def verdict_view(verdict: Verdict, infos: list[VersionInfo], decide: Callable[[], None]) -> None:
    """The verdict, what can be done about it, then every check with its sentence."""
    against = name_of(verdict.champion, infos) if verdict.champion else "no champion"
    refused = sum(not one.passed for one in verdict.checks)
    text = f"against {literal(against)} on {verdict.n:,} test prompts `{verdict.test_sha256[:12]}`, intervals 95 %"
    if verdict.passed:
        st.success(f"The gate **passed** it {text}.", icon=":material/verified:")
    else:
        st.warning(f"The gate **refused** it {text}: {refused} of {len(verdict.checks)} checks failed.", icon=":material/gpp_bad:")
    decide()
    ordered = sorted(verdict.checks, key=lambda one: one.passed)
    frame = pd.DataFrame(
        {"Verdict": ["passed" if one.passed else "refused" for one in ordered], "Check": [one.name for one in ordered], "What was found": [one.sentence for one in ordered]}
    )
    st.table(frame.set_index("Verdict").map(literal), border="horizontal")


def moved_pairs(result: Mapping[str, Any]) -> pd.DataFrame:
    """Label, answer and how often before and after, of the confusions that changed, most first."""
    before, after = ({(a, b): n for a, b, n in result.get(key, [])} for key in ("before", "after"))
    rows = [
        {"Pair": f"{a} → {b}", "Before": before.get((a, b), 0), "After": after.get((a, b), 0), "Change": after.get((a, b), 0) - before.get((a, b), 0), "Backend": "≠" if bench().costs(a, b) else "="}
        for a, b in {*before, *after}
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["Pair", "Before", "After", "Change", "Backend"])
    frame = frame[frame["Change"] != 0]
    return frame.reindex(frame["Change"].abs().sort_values(ascending=False, kind="stable").index) if len(frame) else frame


def pairs_view(result: Mapping[str, Any], key: str, n: int) -> None:
    """Before and after of the pairs that changed most."""
    frame = moved_pairs(result)
    totals = [sum(count for *_, count in result.get(one, [])) for one in ("before", "after")]
    st.markdown(f"**Confusions {totals[0]:,} → {totals[1]:,}** of {n:,} test prompts; the pairs that changed most:")
    if frame.empty:
        st.caption("No pair has changed.")
        return
    st.dataframe(
        frame.head(40), hide_index=True, height=min(36 * (len(frame.head(40)) + 1) + 2, 330), key=key,
        column_config={
            "Pair": st.column_config.TextColumn(width="medium", help="Label → what it was taken for"),
            "Change": st.column_config.NumberColumn(format="%+d"),
            "Backend": st.column_config.TextColumn(width="small", help="≠: another backend answers. =: the same one, no cost."),
        },
    )  # fmt: skip
