"""What waits for a curator, and who has which prompt on the desk. SQL of ``queues``, ``queue_items`` and ``leases``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lab.curation.prompts import chunks
from lab.curation.state import DECIDING, Actor, Item
from lab.database.connect import now
from lab.database.dialect import insert, upsert
from lab.database.schema import events, leases, queue_items, queues
from lab.files import canonical

SECOND = "second-opinions"
BLIND = ("audit", SECOND)
"""Queues that hide what others think. A decision elsewhere does not take their items away."""

LEASE_S = 600.0
BATCH = 1000


@dataclass(frozen=True)
class Built:
    """One queue as it stands. ``left``: undecided; ``after_event``: the newest event that the build saw."""

    name: str
    built_at_utc: str
    built_by: str
    after_event: int
    bound_to: Mapping[str, Any]
    note: str
    count: int
    left: int


def replace(connection: sa.Connection, name: str, items: Sequence[Item], built_by: str, after_event: int, bound_to: Mapping[str, Any], note: str = "") -> None:
    """A new build of a queue. What was decided in the old one is gone from the queue, not from the events."""
    connection.execute(sa.delete(queue_items).where(queue_items.c.queue == name))
    rows = [_row(name, item, place) for place, item in enumerate(items)]
    if rows:
        connection.execute(sa.insert(queue_items), rows)
    row = {"name": name, "built_at_utc": now(), "built_by": built_by, "after_event": after_event, "bound_to": canonical(dict(bound_to)).decode(), "note": note}
    upsert(connection, queues, [row], ["name"])


def extend(connection: sa.Connection, name: str, items: Sequence[Item], built_by: str, after_event: int) -> int:
    """More items at the end of a queue that grows (selections, traffic); one that is there is offered again. How many are new or open again."""
    last = connection.scalar(sa.select(sa.func.max(queue_items.c.place)).where(queue_items.c.queue == name))
    place = -1 if last is None else last
    open_now = set(connection.scalars(sa.select(queue_items.c.prompt_id).where(queue_items.c.queue == name, queue_items.c.done_by.is_(None))))
    upsert(connection, queue_items, [_row(name, item, place + n) for n, item in enumerate(items, start=1)], ["queue", "prompt_id"])
    row = {"name": name, "built_at_utc": now(), "built_by": built_by, "after_event": after_event, "bound_to": "{}", "note": ""}
    upsert(connection, queues, [row], ["name"])
    return sum(item.prompt_id not in open_now for item in items)


def _row(name: str, item: Item, place: int) -> dict[str, Any]:
    return {
        "queue": name, "prompt_id": item.prompt_id, "place": place, "score": item.score, "reason": item.reason, "suggestion": item.suggestion,
        "detail": canonical(dict(item.detail)).decode(), "done_by": None,
    }  # fmt: skip


def offer(connection: sa.Connection, name: str, prompt_id: str, reason: str) -> None:
    """One more item, at the end."""
    after = connection.scalar(sa.select(sa.func.max(events.c.id))) or 0
    extend(connection, name, [Item(prompt_id, 1.0, reason)], "", after)


def done(connection: sa.Connection, decided: Mapping[str, int], queue: str) -> None:
    """Take decided prompts (id → event id) out of every queue; out of a blind one only if it is ``queue``. Their leases end."""
    table = queue_items
    for chunk in chunks(decided):
        places = sa.and_(table.c.prompt_id.in_(chunk), table.c.done_by.is_(None), sa.or_(table.c.queue.not_in(BLIND), table.c.queue == queue))
        touched = list(connection.execute(sa.select(table.c.queue, table.c.prompt_id).where(places)))
        if touched:
            statement = sa.update(table).where(table.c.queue == sa.bindparam("q"), table.c.prompt_id == sa.bindparam("p"))
            connection.execute(statement.values(done_by=sa.bindparam("e")), [{"q": q, "p": p, "e": decided[p]} for q, p in touched])
        connection.execute(sa.delete(leases).where(leases.c.prompt_id.in_(chunk)))


def reopen(connection: sa.Connection, undone: Sequence[int], again: int | None) -> None:
    """Items decided by these events wait again, or (undo of an undo, ``again``: its event) are decided again."""
    table = queue_items
    if again is None:
        for start in range(0, len(undone), 500):
            connection.execute(sa.update(table).where(table.c.done_by.in_(list(undone[start : start + 500]))).values(done_by=None))
        return
    prompt = sa.select(events.c.prompt_id).where(events.c.id == again).scalar_subquery()
    queue = connection.scalar(sa.select(events.c.queue).where(events.c.id == again)) or ""
    places = sa.and_(table.c.prompt_id == prompt, table.c.done_by.is_(None), sa.or_(table.c.queue.not_in(BLIND), table.c.queue == queue))
    connection.execute(sa.update(table).where(places).values(done_by=again))


def all_built(connection: sa.Connection) -> dict[str, Built]:
    counts = {
        row.queue: (row.count, row.left)
        for row in connection.execute(
            sa.select(
                queue_items.c.queue,
                sa.func.count().label("count"),
                sa.func.sum(sa.case((queue_items.c.done_by.is_(None), 1), else_=0)).label("left"),
            ).group_by(queue_items.c.queue)
        )
    }
    return {
        row.name: Built(row.name, row.built_at_utc, row.built_by, row.after_event, json.loads(row.bound_to), row.note, *counts.get(row.name, (0, 0)))
        for row in connection.execute(sa.select(queues))
    }


def items(connection: sa.Connection, name: str, limit: int | None = None, open_only: bool = True) -> list[Item]:
    statement = sa.select(queue_items).where(queue_items.c.queue == name).order_by(queue_items.c.place).limit(limit)
    if open_only:
        statement = statement.where(queue_items.c.done_by.is_(None))
    return [_item(row) for row in connection.execute(statement)]


def _item(row: sa.Row) -> Item:
    return Item(row.prompt_id, row.score, row.reason, row.suggestion, json.loads(row.detail))


def take(connection: sa.Connection, actor: Actor, session: str, name: str, n: int) -> list[Item]:
    """Up to ``n`` undecided items for one desk, in order: those it holds already, then free ones. Held for 10 minutes from now.

    No prompt is on two desks. Skipped by this person: not offered again. Second opinions: never to one who has decided the prompt.
    """
    at = now()
    connection.execute(sa.delete(leases).where(leases.c.until_utc < at))
    other = sa.exists().where(leases.c.prompt_id == queue_items.c.prompt_id, leases.c.session != session)
    undo = events.alias("undo")
    mine = sa.and_(events.c.prompt_id == queue_items.c.prompt_id, events.c.who == actor.name, sa.not_(sa.exists().where(undo.c.undoes == events.c.id)))
    skipped = sa.exists().where(mine, events.c.action == "skip", events.c.queue == name)
    wanted = sa.select(queue_items).where(queue_items.c.queue == name, queue_items.c.done_by.is_(None), sa.not_(other), sa.not_(skipped))
    if name == SECOND:
        wanted = wanted.where(sa.not_(sa.exists().where(mine, events.c.action.in_(DECIDING))))
    rows = list(connection.execute(wanted.order_by(queue_items.c.place).limit(n)))
    until = now(LEASE_S)
    connection.execute(sa.delete(leases).where(leases.c.prompt_id.in_([row.prompt_id for row in rows]), leases.c.session == session))
    got: set[str] = set()
    new = [{"prompt_id": row.prompt_id, "queue": name, "session": session, "who": actor.name, "until_utc": until} for row in rows]
    for start in range(0, len(new), BATCH):  # another desk may have been quicker: then the row stays its own
        statement = insert(connection, leases).on_conflict_do_nothing().returning(leases.c.prompt_id)
        got |= set(connection.scalars(statement, new[start : start + BATCH]))
    return [_item(row) for row in rows if row.prompt_id in got]


def release(connection: sa.Connection, session: str) -> int:
    """A desk is left: its prompts are free. How many."""
    return connection.execute(sa.delete(leases).where(leases.c.session == session)).rowcount
