"""Queue: the labelling desk on one of the queues."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import streamlit as st

from lab.curation.state import Actor
from lab.files import canonical, sha256_bytes
from lab.use_cases.queueing import GIVEN, QueueInfo
from pages.shared import people
from pages.shared.desk import Desk, desk
from pages.shared.desk.store import BenchStore
from pages.shared.frame import bench, literal, serve

SENDERS = {"from-matrix": ("pages/confusions.py", "Confusions"), "from-map": ("pages/map.py", "Map"), "from-try": ("pages/try_prompt.py", "Try a prompt")}


def render() -> None:
    queues = {one.name: one for one in bench().queues()}
    queue = _choose(queues)
    person = _head(queue)
    if not queue.left and _linked(queue):
        desk(_about(queue, person))
        return
    if not queue.count and queue.name not in GIVEN and not queue.built_at_utc:
        st.info(f"{literal(queue.title)} has not been built yet{'' if person else ': a curator can do that'}.", icon=":material/inbox:")
        return
    if not queue.left:
        _empty(queue)
        return
    asked = desk(_about(queue, person))
    if asked in queues:
        _go(asked)


def _linked(queue: QueueInfo) -> bool:
    """Whether the address names a prompt: it is on the desk even where nothing waits, as a queue of one."""
    prompt_id = st.query_params.get("prompt", "")
    if prompt_id and not bench().state([prompt_id]):
        st.warning(literal(f"There is no prompt “{prompt_id[:64]}”."), icon=":material/link_off:")
        return False
    if prompt_id:
        st.caption(f"Only the prompt of the link is on the desk: {literal(queue.title)} {'has nothing left' if queue.built_at_utc else 'has not been built yet'}.")
    return bool(prompt_id)


def _choose(queues: dict[str, QueueInfo]) -> QueueInfo:
    """The queues with their counts, in the sidebar; the chosen one stands in the address."""
    current = st.query_params.get("queue", "")
    if current not in queues:
        if current:
            st.warning(literal(f"There is no queue “{current[:60]}”."), icon=":material/link_off:")
        current = next((one.name for one in queues.values() if one.left), next(iter(queues)))
    labels = {name: f"{literal(one.title)} · {f'{one.left:,}' if one.built_at_utc else '–'}" for name, one in queues.items()}
    key = f"queues-{sha256_bytes(canonical([current, labels]))[:16]}"  # a radio forgets its value when a label of it changes
    with st.sidebar:
        name = st.radio("Queues and what waits in them", list(queues), list(queues).index(current), labels.get, key=key)
    if name != current:
        _go(name)
    st.query_params["queue"] = name
    return queues[name]


def _head(queue: QueueInfo) -> Actor | None:
    """Title, what the queue is, and for curators the button that builds it. Returns the person if they may decide."""
    left, right = st.columns([5, 1], vertical_alignment="bottom")
    left.header("Queue", anchor=False)
    st.caption(" · ".join([f"**{literal(queue.title)}**: {literal(queue.description)}", *_facts(queue)]))
    person = people.writer()
    if person and queue.name not in GIVEN:
        label, icon = ("Refresh", ":material/refresh:") if queue.built_at_utc else ("Build", ":material/build:")
        tip = "Made anew from the labels as they are now."
        if right.button(label, icon=icon, help=tip, type="secondary" if queue.left else "primary", width="stretch"):
            _build(person, queue)
    return person


def _facts(queue: QueueInfo) -> list[str]:
    facts = []
    if queue.built_at_utc:
        built = datetime.fromisoformat(queue.built_at_utc).astimezone(UTC)
        by = f" by {literal(queue.built_by)}" if queue.built_by else ""
        facts.append(f"{queue.left:,} of {queue.count:,} left, built {built:%Y-%m-%d %H:%M} UTC{by}")
    if queue.stale:
        facts.append(f"{queue.stale:,} labels have changed since")
    if queue.note:
        facts.append(literal(queue.note))
    return facts


def _build(person: Actor, queue: QueueInfo) -> None:
    bar = st.progress(0.0, f"Building “{queue.title}” …")
    bench().build_queue(person, queue.name, progress=lambda stage, done, of: bar.progress(min(1.0, done / max(1, of)), f"{stage} …"))
    bar.empty()
    st.rerun()


def _empty(queue: QueueInfo) -> None:
    """What to do where nothing waits."""
    if queue.name in SENDERS and not queue.count:
        page, title = SENDERS[queue.name]
        st.info(f"Nothing has been sent here yet. On {title}, choose prompts and send them to the queue.", icon=":material/inbox:")
        st.page_link(page, label=f"Open {title}", icon=":material/arrow_forward:")
        return
    following = bench().next_queue(queue.name)
    st.info("This queue is empty" + (f", next best queue: {literal(following.title)} ({following.left:,})." if following else "."), icon=":material/done_all:")
    if following and st.button(f"Open {literal(following.title)}", icon=":material/arrow_forward:", type="primary"):
        _go(following.name)


def _go(name: str) -> None:
    st.query_params.from_dict({"queue": name})
    st.rerun()


def _about(queue: QueueInfo, person: Actor | None) -> Desk:
    router = bench().router()
    reader = person or people.actor() or Actor("")
    return Desk(
        BenchStore(bench()), reader, queue.name, queue.blind, person is None, {"router": router.name, "sha256": router.sha256}, _static(),
        st.query_params.get("prompt", ""),
    )  # fmt: skip


def _static() -> dict[str, Any]:
    """What does not change from prompt to prompt: sent once to each browser."""
    domains = bench().taxonomy.domains
    told = {"domains": [one.name for one in domains], "guidelines": {one.name: {"definition": one.definition, "border": one.border} for one in domains}}
    return told | {"hash": sha256_bytes(canonical(told))[:16]}


serve(render)
