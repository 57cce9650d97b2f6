"""Decisions refused because the label had changed under them, kept until somebody has looked. SQL of ``conflicts``."""

from __future__ import annotations

import json
from dataclasses import dataclass

import sqlalchemy as sa

from lab.curation.state import Actor, Outcome, State, Write
from lab.database.connect import now
from lab.database.schema import conflicts
from lab.files import canonical


@dataclass(frozen=True)
class Conflict:
    id: int
    at_utc: str
    who: str
    prompt_id: str
    action: str
    seen: State
    wanted: State
    found: State
    message: str
    queue: str


def add(connection: sa.Connection, actor: Actor, write: Write, wanted: State, found: State) -> Outcome:
    """Keep the refused decision and say so."""
    message = f"The label is now “{found}”; the screen showed “{write.seen}”. Look again."
    row = {
        "at_utc": now(), "who": actor.name, "session": write.session, "seq": write.seq, "prompt_id": write.prompt_id, "action": write.action,
        "seen": _dump(write.seen), "wanted": _dump(wanted), "found": _dump(found), "message": message, "queue": write.queue,
    }  # fmt: skip
    connection.execute(sa.insert(conflicts).values(row))
    return Outcome(write.session, write.seq, "conflict", message, state=found)


def known(connection: sa.Connection, write: Write) -> Outcome | None:
    row = connection.execute(sa.select(conflicts).where(conflicts.c.session == write.session, conflicts.c.seq == write.seq)).first()
    return None if row is None else Outcome(write.session, write.seq, "conflict", row.message, state=_load(row.found))


def open_ones(connection: sa.Connection) -> list[Conflict]:
    """Newest first."""
    statement = sa.select(conflicts).where(conflicts.c.closed_at_utc.is_(None)).order_by(conflicts.c.id.desc())
    return [
        Conflict(row.id, row.at_utc, row.who, row.prompt_id, row.action, _load(row.seen), _load(row.wanted), _load(row.found), row.message, row.queue)
        for row in connection.execute(statement)
    ]


def close(connection: sa.Connection, conflict_id: int, actor: Actor) -> None:
    connection.execute(sa.update(conflicts).where(conflicts.c.id == conflict_id).values(closed_at_utc=now(), closed_by=actor.name))


def _dump(state: State) -> str:
    return canonical(state.to_json()).decode()


def _load(text: str) -> State:
    return State.from_json(json.loads(text))
