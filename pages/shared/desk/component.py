"""The Python side of the desk: answers one message of the component at a time. No list of its own: what is not answered is sent again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import streamlit as st

from lab.curation.state import Actor, Item, Outcome, Prompt, State, Write
from lab.errors import InputError, LabError
from pages.shared.desk.wire import MAX_ITEMS, Message, item_json, outcome_json, prompt_json, read_changes, read_message

FOLDER = Path(__file__).parent
PARTS = ("base", "outbox", "search", "near", "view", "desk")
REPLY, LEASED, GO = "desk_reply", "desk_leased", "desk_go"
NEIGHBOURS = 20
SOON = 12
"""The next prompts of a desk: whether somebody else has decided them is looked up with each message."""

_mount = st.components.v2.component(
    "router_lab_desk",
    html=(FOLDER / "desk.html").read_text(encoding="utf-8"),
    css=(FOLDER / "desk.css").read_text(encoding="utf-8"),
    js="\n".join((FOLDER / f"{part}.js").read_text(encoding="utf-8") for part in PARTS),
)


class Shown(Protocol):
    """One item of the desk: :class:`lab.use_cases.queueing.DeskItem`."""

    prompt: Prompt
    state: State
    item: Item
    candidates: list[tuple[str, float | None]]


class Store(Protocol):
    """What the desk needs of the workbench; :class:`pages.shared.desk.store.BenchStore` is the real one."""

    def write(self, actor: Actor, writes: Sequence[Write]) -> list[Outcome]: ...
    def take(self, actor: Actor, session: str, queue: str, n: int) -> Sequence[Shown]: ...
    def peek(self, queue: str, n: int) -> Sequence[Shown]: ...
    def show(self, prompt_id: str) -> Shown | None: ...
    def states(self, ids: Sequence[str]) -> dict[str, State]: ...
    def release(self, session: str) -> int: ...
    def left(self, queue: str) -> int: ...
    def next_queue(self, queue: str) -> dict[str, Any] | None: ...
    def neighbours(self, prompt_id: str, k: int) -> Sequence[tuple[Prompt, State, float]]: ...
    def apply_batch(self, actor: Actor, request: str, title: str, queue: str, changes: Sequence[tuple[str, State, State]]) -> dict[str, Any]: ...
    def revert_batch(self, actor: Actor, batch_id: str) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Desk:
    """What is the same for every message. ``static``: {"hash", "domains", "guidelines"}; ``prompt``: the id of one that a link opens first."""

    store: Store
    actor: Actor
    queue: str
    blind: bool
    read_only: bool
    model: dict[str, str]
    static: dict[str, Any]
    prompt: str = ""


def desk(about: Desk, key: str = "desk") -> str | None:
    """Draw the desk in a fragment of its own. Returns the name of a queue if the curator asks for another one (once)."""
    if st.session_state.get(REPLY, {}).get("queue") not in (about.queue, None):
        del st.session_state[REPLY]
    asked = st.session_state.pop(GO, None)
    _desk(about, key)
    return asked


@st.fragment
def _desk(about: Desk, key: str) -> None:
    def message() -> None:
        raw = st.session_state[key].message
        if raw is not None:
            st.session_state[REPLY] = answer(about, raw)

    reply = st.session_state.get(REPLY) or {"n": 0, "session": "", "static": about.static, "left": about.store.left(about.queue)}
    shown = {"actor": about.actor.name, "readOnly": about.read_only, "queue": about.queue, "blind": about.blind, "model": about.model}
    _mount(key=key, data=reply | shown, on_message_change=message)
    if GO in st.session_state:
        st.rerun()


def answer(about: Desk, raw: Any) -> dict[str, Any]:
    """The reply to one message. An error is a sentence in it: the component keeps what was not answered and asks again."""
    reply: dict[str, Any] = {"n": 0, "session": "", "queue": about.queue}
    try:
        message = read_message(raw)
        reply |= {"n": message.n, "session": message.session}
        if message.static != about.static["hash"]:
            reply["static"] = about.static
        reply["outcomes"] = [outcome_json(one) for one in (*_written(about, message), *message.unreadable)]
        reply["answers"] = {ask["id"]: _asked(about, ask) for ask in message.asks}
        reply |= _items(about, message)
    except LabError as error:
        reply["error"] = f"{error.what} {error.fix}".strip()
    return reply


def _written(about: Desk, message: Message) -> list[Outcome]:
    return about.store.write(about.actor, message.writes) if message.writes else []


def _items(about: Desk, message: Message) -> dict[str, Any]:
    """New items, the ids of all that this desk may hold, and whether that is all there is."""
    if message.queue != about.queue:
        return {}
    if not message.want:
        soon = message.have[:SOON]
        return {"now": {one: state.to_json() for one, state in about.store.states(soon).items()}} if soon else {}
    wanted = min(MAX_ITEMS, len(message.have) + message.want)
    if about.read_only:
        found = list(about.store.peek(about.queue, wanted))
    else:
        _free_the_last(about, message)
        found = list(about.store.take(about.actor, message.tab, about.queue, wanted))
    first = about.store.show(about.prompt) if about.prompt and not message.have else None
    opened = [item_json(first) | {"returned": True}] if first else []
    have = {*message.have, *(one["id"] for one in opened)}
    reply = {
        "items": opened + [item_json(one) for one in found if one.prompt.id not in have],
        "ids": [one.prompt.id for one in found],
        "all": len(found) < wanted,
        "left": about.store.left(about.queue),
    }
    return reply if found else reply | {"next": about.store.next_queue(about.queue)}


def _free_the_last(about: Desk, message: Message) -> None:
    """A desk that moves to another queue leaves nothing held in the last one."""
    if st.session_state.get(LEASED, about.queue) != about.queue:
        about.store.release(message.tab)
    st.session_state[LEASED] = about.queue


def _asked(about: Desk, ask: Any) -> dict[str, Any]:
    """What a window of the desk asks for: neighbours, a batch, its revert, another queue."""
    try:
        if ask.get("kind") == "neighbours":
            found = about.store.neighbours(str(ask.get("of")), NEIGHBOURS)
            return {"neighbours": [prompt_json(prompt, state) | {"similarity": round(float(share), 3)} for prompt, state, share in found]}
        if ask.get("kind") == "batch":
            return about.store.apply_batch(about.actor, ask["id"], str(ask.get("title")), about.queue, read_changes(ask))
        if ask.get("kind") == "revert":
            return about.store.revert_batch(about.actor, str(ask.get("batch")))
        if ask.get("kind") == "go":
            st.session_state[GO] = str(ask.get("to"))
            return {}
    except LabError as error:
        return {"error": f"{error.what} {error.fix}".strip()}
    raise InputError("The desk asks for something unknown.", "Reload the page.")
