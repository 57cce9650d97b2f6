"""What the views of the curation set share: figures of the whole, one prompt with its history, what was just done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from lab.curation.state import Actor, Event, Outcome, Prompt, State
from pages.shared import people
from pages.shared.fix import decide
from pages.shared.frame import bench, literal

MOST_ROWS = 2_000
TIME = "YYYY-MM-DD HH:mm"
NAME_FIRST = "Type your name in the sidebar first."
ACTIONS = {
    "label": "relabelled", "keep": "kept", "also": "other domains", "not_routable": "not routable", "flag": "flag", "skip": "skipped", "undo": "undone",
    "import": "imported", "bulk": "in bulk", "taxonomy": "taxonomy", "revert": "reverted", "traffic": "seen by a gateway",
}  # fmt: skip
"""Action of an event → the word for it."""


def revision() -> tuple[str, int]:
    """What names the curation set as it stands; the key of everything that is cached about it."""
    return bench().database.address, bench().newest_event()


def standing() -> None:
    """One line: how much there is."""
    counts, total, version, tested = _standing(*revision())
    waiting = counts.get(None, 0)
    st.caption(
        f"{total:,} prompts, {sum(counts.values()) - waiting:,} with a label, {waiting:,} without · evaluation set version {version}, {tested:,} prompts"
    )


@st.cache_resource(max_entries=4, ttl=600, show_spinner=False)
def _standing(address: str, newest: int) -> tuple[dict, int, int, int]:
    counts, total = bench().standing()
    return dict(counts), total, *bench().evaluation_set()


def person(needed: str = "curator") -> Actor | None:
    """Who may write here, or None. What is missing has been said in the sidebar."""
    return people.actor() if people.may(needed) else None


def say(kind: str, text: str) -> None:
    """A sentence for the next run; ``kind`` is success or warning."""
    st.session_state["curation_said"] = (kind, text)


def said() -> None:
    kind, text = st.session_state.pop("curation_said", (None, ""))
    if kind:
        {"success": st.success, "warning": st.warning}[kind](literal(text), icon=":material/check_circle:" if kind == "success" else ":material/warning:")


def show(view: str) -> None:
    """Another view of the page; for callbacks."""
    st.session_state["show"] = view


def plural(n: int, one: str, many: str = "") -> str:
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def checked() -> Any:
    return st.column_config.CheckboxColumn("Verified", help="Without a tick the name was typed, and nobody has checked it.", width=70)


def wide(width: int = 330) -> Any:
    """The column of prompts, beside several others."""
    return st.column_config.TextColumn(width=width)


def moments(texts: Sequence[str]) -> pd.Series:
    """UTC times of events as a column."""
    return pd.to_datetime(pd.Series(list(texts), dtype="object"), utc=True, format="ISO8601")


def when(title: str = "When") -> Any:
    return st.column_config.DatetimeColumn(title, format=TIME, help="UTC", width=130)


def chosen(key: str) -> int | None:
    """The row that is chosen in the table ``key``."""
    rows = st.session_state.get(key, {}).get("selection", {}).get("rows", [])
    return rows[0] if rows else None


def prompt_panel(prompt_id: str, key: str) -> None:
    """One prompt whole, with its history and what can be done about it."""
    known = bench().state([prompt_id]).get(prompt_id)
    if known is None:
        st.info("This prompt is not in the curation set.", icon=":material/help:")
        return
    prompt, state = known
    with st.container(border=True):
        st.markdown(f"**{literal(str(state))}** · {literal(_about(prompt))}")
        st.text(prompt.text)
        events = bench().history(prompt_id)
        undone = bench().undone_events()
        _events(events, undone, key)
        if prompt.split == "test":
            st.caption("On the test side: each new label makes a new version of the evaluation set, and is never trained on.")
        _actions(prompt, state, events, undone, key)


def _about(prompt: Prompt) -> str:
    parts = (prompt.language, f"side {prompt.split}" if prompt.split else "no side yet", prompt.origin, prompt.source, prompt.licence)
    return " · ".join(part for part in (*parts, prompt.id[:12]) if part)


def _events(events: Sequence[Event], undone: set[int], key: str) -> None:
    titles = {one.id: one.title for one in bench().batches()}
    frame = pd.DataFrame(
        {
            "When": moments([event.at_utc for event in events]),
            "Who": [event.who for event in events],
            "What": [ACTIONS.get(event.action, event.action) + (", undone since" if event.id in undone else "") for event in events],
            "Before": [str(event.before) for event in events],
            "After": [str(event.after) for event in events],
            "Verified": [event.verified for event in events],
            "Why": [event.reason for event in events],
            "Queue": [event.queue for event in events],
            "Batch": [titles.get(event.batch_id or "", "") for event in events],
            "The router said": [
                ", ".join(f"{domain} {float(value):.0%}" for domain, value in event.model.get("top", [])[:3] if isinstance(value, int | float)) for event in events
            ],
        }
    )
    empty = [name for name in ("Why", "Queue", "Batch", "The router said") if not any(frame[name])]
    st.dataframe(frame.drop(columns=empty), hide_index=True, key=f"{key}-events", column_config={"When": when(), "Verified": checked()})


def _actions(prompt: Prompt, state: State, events: Sequence[Event], undone: set[int], key: str) -> None:
    start = bench().start_event()
    last = next((one for one in reversed(events) if one.before != one.after and one.undoes is None and one.id not in undone and one.id > start), None)
    who = person()
    with st.container(horizontal=True, vertical_alignment="center"):
        if people.may("curator"):
            off = {"disabled": who is None, "help": NAME_FIRST if who is None else None}
            if last and st.button(f"Undo: back to “{literal(str(last.before))}”", icon=":material/undo:", key=f"{key}-undo", **off):
                _done(decide(who, prompt.id, "undo", state, None, undoes=(last.session, last.seq)), "Undone.")
            if not state.flagged and st.button("Ask for a second opinion", icon=":material/group:", key=f"{key}-flag", **off):
                _done(decide(who, prompt.id, "flag", state, replace(state, flagged=True)), "It waits in the queue of second opinions.")
        desk_link(prompt.id)


def desk_link(prompt_id: str) -> None:
    st.page_link("pages/queue.py", label="Open on the desk", icon=":material/inbox:", query_params={"prompt": prompt_id})


def _done(outcome: Outcome, told: str) -> None:
    if outcome.status == "stored":
        say("success", f"{told} The label is “{outcome.state}”.")
    else:
        say("warning", outcome.message)
    st.rerun()
