"""Decisions, appended and never overwritten. The label of a prompt is the fold of its events. SQL of ``events`` and ``labels``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from lab.curation import conflicts, queue_store
from lab.curation.prompts import chunks, state_of
from lab.curation.state import DECIDING, Actor, Event, Outcome, State, Write
from lab.database.connect import Database, now
from lab.database.schema import batches, events, labels, prompts
from lab.files import canonical


@dataclass(frozen=True)
class Change:
    """One change of a batch: refused, like a write, if the label is not ``seen`` any more."""

    prompt_id: str
    seen: State
    after: State
    reason: str = ""
    undoes: int | None = None


def fold(history: Iterable[Event]) -> State:
    """The state after a prompt's events, oldest first."""
    state = State()
    for event in history:
        state = event.after
    return state


def dump(state: State) -> str:
    return canonical(state.to_json()).decode()


def load(text: str) -> State:
    return State.from_json(json.loads(text))


def record(database: Database, actor: Actor, write: Write) -> Outcome:
    """Store one decision in one transaction, once, if the label is what the screen showed. Anything else is an outcome, not an error."""
    try:
        with database.write() as connection:
            return _record(connection, actor, write)
    except sa.exc.IntegrityError:  # the same decision arrived twice at one time, and the other one was first
        with database.read() as connection:
            return _known(connection, write) or _refused(write, "This decision contradicts another one that was sent at the same time.")


def _record(connection: sa.Connection, actor: Actor, write: Write) -> Outcome:
    state = _locked(connection, [write.prompt_id]).get(write.prompt_id)
    known = _known(connection, write)
    if known:
        return known
    if state is None:
        return _refused(write, "The prompt is not in the database.")
    target = _target(connection, write) if write.action == "undo" else None
    if write.action == "undo":
        if target is None:
            return _refused(write, "There is nothing to undo: the decision was not stored, belongs to another prompt, or is undone already.")
        seen, after = target.after, target.before
    else:
        seen, after = write.seen, write.after if write.after is not None and write.action not in ("keep", "skip") else write.seen
    if write.action != "skip" and state != seen:
        return conflicts.add(connection, actor, write, after, state)
    if write.action == "skip":
        after = state
    if write.queue == queue_store.SECOND and write.action in ("label", "keep", "also", "not_routable"):
        after = State(after.domain, after.also, after.routable, False)  # this is the second opinion that was asked for
    return _append(connection, actor, write, state, after, target)


def _append(connection: sa.Connection, actor: Actor, write: Write, before: State, after: State, target: Event | None) -> Outcome:
    row = _row(actor, write.session, write.seq, write.prompt_id, write.action, before, after)
    row |= {"reason": write.reason, "queue": write.queue, "model": canonical(dict(write.model)).decode(), "undoes": target.id if target else None}
    event_id = connection.execute(sa.insert(events).values(row).returning(events.c.id)).scalar_one()
    _set_labels(connection, [(write.prompt_id, after, event_id)])
    if target:
        again = _undos(connection, target) % 2 == 1  # the undo of an undo decides the item again
        queue_store.reopen(connection, [target.id], event_id if again else None)
    elif write.action in DECIDING:
        queue_store.done(connection, {write.prompt_id: event_id}, write.queue)
        if after.flagged and not before.flagged:
            queue_store.offer(connection, queue_store.SECOND, write.prompt_id, f"{actor.name} asks for a second opinion on “{after}”.")
    return Outcome(write.session, write.seq, "stored", event_id=event_id, state=after)


def apply(
    connection: sa.Connection, actor: Actor, batch_id: str, action: str, changes: Sequence[Change], queue: str = "", first_seq: int = 0
) -> tuple[int, int]:
    """The changes of one batch: (applied, in conflict). Those whose label has changed since go to the conflict list."""
    state = _locked(connection, [one.prompt_id for one in changes])
    rows, stale = [], 0
    for seq, one in enumerate(changes, start=first_seq):
        found = state.get(one.prompt_id)
        if found is None or found != one.seen:
            write = Write(f"batch:{batch_id}", seq, one.prompt_id, action, one.seen, one.after, queue, one.reason)
            if found is not None:
                conflicts.add(connection, actor, write, one.after, found)
            stale += 1
            continue
        row = _row(actor, f"batch:{batch_id}", seq, one.prompt_id, action, found, one.after)
        rows.append(row | {"reason": one.reason, "queue": queue, "batch_id": batch_id, "undoes": one.undoes})
        state[one.prompt_id] = one.after
    append_rows(connection, rows)
    return len(rows), stale


def append_rows(connection: sa.Connection, rows: Sequence[dict]) -> None:
    """Events made by :func:`_row`, with their labels and queues, in one go."""
    if not rows:
        return
    ids = connection.scalars(sa.insert(events).returning(events.c.id, sort_by_parameter_order=True), list(rows)).all()
    _set_labels(connection, [(row["prompt_id"], load(row["after"]), event_id) for row, event_id in zip(rows, ids, strict=True)])
    undone = [row["undoes"] for row in rows if row.get("undoes")]
    if undone:
        queue_store.reopen(connection, undone, None)
    else:
        queue_store.done(connection, {row["prompt_id"]: event_id for row, event_id in zip(rows, ids, strict=True)}, "")


def first_rows(actor: Actor, session: str, batch_id: str, action: str, given: Sequence[tuple[str, State]], reason: str) -> list[dict]:
    """The first event of prompts that were just inserted."""
    return [
        _row(actor, session, seq, prompt_id, action, State(), state) | {"reason": reason, "queue": "", "batch_id": batch_id, "undoes": None}
        for seq, (prompt_id, state) in enumerate(given)
    ]


def _row(actor: Actor, session: str, seq: int, prompt_id: str, action: str, before: State, after: State) -> dict:
    return {
        "at_utc": now(), "who": actor.name, "verified": actor.verified, "session": session, "seq": seq, "prompt_id": prompt_id, "action": action,
        "before": dump(before), "after": dump(after), "changed": before != after,
    }  # fmt: skip


def _locked(connection: sa.Connection, ids: Sequence[str]) -> dict[str, State]:
    """Labels now, held until the transaction ends, always taken in one order."""
    return {
        row.prompt_id: state_of(row)
        for chunk in chunks(sorted(ids))
        for row in connection.execute(sa.select(labels).where(labels.c.prompt_id.in_(chunk)).order_by(labels.c.prompt_id).with_for_update())
    }


def _set_labels(connection: sa.Connection, new: Sequence[tuple[str, State, int]]) -> None:
    from lab.database.dialect import upsert

    rows = {
        prompt_id: {"prompt_id": prompt_id, "domain": state.domain, "also": canonical(list(state.also)).decode(), "routable": state.routable, "flagged": state.flagged, "event_id": event_id}
        for prompt_id, state, event_id in new
    }  # fmt: skip
    upsert(connection, labels, list(rows.values()), ["prompt_id"])


def _known(connection: sa.Connection, write: Write) -> Outcome | None:
    row = connection.execute(sa.select(events).where(events.c.session == write.session, events.c.seq == write.seq)).first()
    if row is None:
        return conflicts.known(connection, write)
    if row.prompt_id != write.prompt_id or row.action != write.action:
        return _refused(write, "The session has used this number for another decision.")
    return Outcome(write.session, write.seq, "known", event_id=row.id, state=load(row.after))


def _refused(write: Write, message: str) -> Outcome:
    return Outcome(write.session, write.seq, "refused", message)


def _target(connection: sa.Connection, write: Write) -> Event | None:
    if write.undoes is None:
        return None
    session, seq = write.undoes
    statement = sa.select(events).where(events.c.session == session, events.c.seq == seq, events.c.prompt_id == write.prompt_id)
    row = connection.execute(statement).first()
    return None if row is None or _is_undone(connection, row.id) else event_of(row)


def _is_undone(connection: sa.Connection, event_id: int) -> bool:
    """Whether the newest undo of the event stands: an undo can be undone itself, and that again."""
    undo = connection.scalar(sa.select(sa.func.max(events.c.id)).where(events.c.undoes == event_id))
    return undo is not None and not _is_undone(connection, undo)


def _undos(connection: sa.Connection, event: Event) -> int:
    """How many undos lie between the event and the decision at their bottom: 0 for a decision, 1 for its undo."""
    depth, below = 0, event.undoes
    while below is not None:
        depth, below = depth + 1, connection.scalar(sa.select(events.c.undoes).where(events.c.id == below))
    return depth


def event_of(row: sa.Row) -> Event:
    return Event(
        row.id, row.at_utc, row.who, row.verified, row.session, row.seq, row.prompt_id, row.action, load(row.before), load(row.after), row.reason,
        row.queue, row.batch_id, json.loads(row.model), row.undoes,
    )  # fmt: skip


def history(connection: sa.Connection, prompt_id: str) -> list[Event]:
    """Oldest first."""
    return [event_of(row) for row in connection.execute(sa.select(events).where(events.c.prompt_id == prompt_id).order_by(events.c.id))]


def since(connection: sa.Connection, after_event: int = 0, changed: bool | None = None, actions: Sequence[str] = (), limit: int | None = None) -> list[Event]:
    """Events with an id above ``after_event``, oldest first."""
    statement = sa.select(events).where(events.c.id > after_event).order_by(events.c.id)
    if changed is not None:
        statement = statement.where(events.c.changed == changed)
    if actions:
        statement = statement.where(events.c.action.in_(actions))
    return [event_of(row) for row in connection.execute(statement.limit(limit))]


def of_batch(connection: sa.Connection, batch_id: str) -> list[Event]:
    return [event_of(row) for row in connection.execute(sa.select(events).where(events.c.batch_id == batch_id).order_by(events.c.id))]


def count_changes(connection: sa.Connection, after_event: int) -> int:
    """Prompts whose label was changed after an event; each counts once, however often."""
    return connection.scalar(sa.select(sa.func.count(events.c.prompt_id.distinct())).where(events.c.id > after_event, events.c.changed)) or 0


def deciders(connection: sa.Connection) -> dict[str, set[str]]:
    """Prompt → the people who decided it, one by one or in bulk. Skips and undone decisions count as nothing; imports neither."""
    undo = events.alias("undo")
    undone = sa.exists().where(undo.c.undoes == events.c.id)
    wanted = events.c.action.in_(("label", "keep", "also", "not_routable", "flag", "bulk"))
    out: dict[str, set[str]] = {}
    for row in connection.execute(sa.select(events.c.prompt_id, events.c.who).where(wanted, sa.not_(undone)).distinct()):
        out.setdefault(row.prompt_id, set()).add(row.who)
    return out


def decided_in(connection: sa.Connection, queue: str) -> set[str]:
    """Prompts that somebody decided in this queue."""
    return set(connection.scalars(sa.select(events.c.prompt_id).where(events.c.queue == queue, events.c.action.in_(DECIDING)).distinct()))


def undone(connection: sa.Connection) -> set[int]:
    """Events whose newest undo stands."""
    below = {row.id: row.undoes for row in connection.execute(sa.select(events.c.id, events.c.undoes).where(events.c.undoes.is_not(None)))}
    out: set[int] = set()
    for event_id in sorted(below, reverse=True):  # an undo that is undone itself undoes nothing
        if event_id not in out:
            out.add(below[event_id])
    return out


def states_at(connection: sa.Connection, event_id: int) -> dict[str, State]:
    """The labels right after an event: prompts that came later are left out."""
    last = sa.select(sa.func.max(events.c.id).label("id")).where(events.c.id <= event_id).group_by(events.c.prompt_id).subquery()
    statement = sa.select(events.c.prompt_id, events.c.after).join(last, last.c.id == events.c.id)
    return {row.prompt_id: load(row.after) for row in connection.execute(statement)}


def end_of_shipped(connection: sa.Connection, who: str) -> int:
    """The last event of the shipped corpus's import; 0 without one."""
    shipped = sa.select(batches.c.id).where(batches.c.kind == "import", batches.c.who == who)
    return connection.scalar(sa.select(sa.func.max(events.c.id)).where(events.c.batch_id.in_(shipped))) or 0


def count_changes_of_split(connection: sa.Connection, split: str, after_event: int) -> int:
    statement = sa.select(sa.func.count()).select_from(events.join(prompts, prompts.c.id == events.c.prompt_id))
    return connection.scalar(statement.where(prompts.c.split == split, events.c.id > after_event, events.c.changed)) or 0


def newest(connection: sa.Connection) -> int:
    """The id of the newest event; 0 if there is none. It names a revision of the curation set."""
    return connection.scalar(sa.select(sa.func.max(events.c.id))) or 0


def wrong_folds(connection: sa.Connection) -> list[str]:
    """Prompts whose kept label is not the fold of their events: must be none."""
    last = sa.select(events.c.prompt_id, sa.func.max(events.c.id).label("id")).group_by(events.c.prompt_id).subquery()
    statement = sa.select(labels, events.c.after).outerjoin(last, last.c.prompt_id == labels.c.prompt_id).outerjoin(events, events.c.id == last.c.id)
    return [row.prompt_id for row in connection.execute(statement) if row.after is None or state_of(row) != load(row.after)]


