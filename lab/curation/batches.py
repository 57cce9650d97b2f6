"""Many changes as one, revertible. SQL of ``batches``."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lab.curation import events as log
from lab.curation.events import Change
from lab.curation.state import Actor
from lab.database.connect import Database, now
from lab.database.schema import batches
from lab.errors import InputError
from lab.files import canonical


@dataclass(frozen=True)
class Batch:
    """``kind``: import, bulk, taxonomy, traffic, revert. ``reverts``: the batch it takes back; ``reverted_by``: the one that took it back."""

    id: str
    at_utc: str
    who: str
    verified: bool
    kind: str
    title: str
    n: int
    reverts: str | None
    reverted_by: str | None
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class BatchResult:
    """``conflicts``: changes refused because the label had changed; they are on the conflict list."""

    id: str
    applied: int
    conflicts: int


def add(connection: sa.Connection, actor: Actor, kind: str, title: str, n: int, detail: Mapping[str, Any] | None = None, reverts: str | None = None) -> str:
    """A new batch's id; its events follow in the same transaction."""
    batch_id = uuid.uuid4().hex
    row = {"id": batch_id, "at_utc": now(), "who": actor.name, "verified": actor.verified, "kind": kind, "title": title, "n": n, "reverts": reverts}
    connection.execute(sa.insert(batches).values(row | {"detail": canonical(dict(detail or {})).decode()}))
    return batch_id


def set_count(connection: sa.Connection, batch_id: str, n: int) -> None:
    connection.execute(sa.update(batches).where(batches.c.id == batch_id).values(n=n))


def apply(database: Database, actor: Actor, kind: str, title: str, changes: Sequence[Change], queue: str = "", detail: Mapping[str, Any] | None = None) -> BatchResult:
    """All changes in one transaction, those whose label has changed since left out and listed."""
    if not changes:
        raise InputError("The batch has no change.", "Select at least one prompt.")
    with database.write() as connection:
        batch_id = add(connection, actor, kind, title, len(changes), detail)
        applied, stale = log.apply(connection, actor, batch_id, kind, changes, queue)
        set_count(connection, batch_id, applied)
        return BatchResult(batch_id, applied, stale)


def revert(database: Database, actor: Actor, batch_id: str) -> BatchResult:
    """Take back what the batch changed, where nobody has changed it since. Prompts it brought stay, without a label.

    A revert can be reverted. InputError if it was done already.
    """
    with database.write() as connection:
        return revert_in(connection, actor, batch_id)


def revert_in(connection: sa.Connection, actor: Actor, batch_id: str) -> BatchResult:
    batch = get(connection, batch_id)
    if batch.reverted_by is not None:
        raise InputError(f"The batch “{batch.title}” is reverted already.", "Revert the revert to have it again.")
    undone = [event for event in log.of_batch(connection, batch_id) if event.before != event.after]
    changes = [Change(event.prompt_id, event.after, event.before, f"revert of “{batch.title}”", event.id) for event in undone]
    if batch.who == "Router Lab":
        raise InputError("The shipped corpus is what everything else starts from.", "Revert what people have made of it instead.")
    new = add(connection, actor, "revert", f"Revert: {batch.title}", len(changes), reverts=batch_id)
    applied, stale = log.apply(connection, actor, new, "revert", changes)
    set_count(connection, new, applied)
    return BatchResult(new, applied, stale)


def get(connection: sa.Connection, batch_id: str) -> Batch:
    found = [one for one in everything(connection) if one.id == batch_id]
    if not found:
        raise InputError(f"There is no batch {batch_id}.", "Take its id from the curation set.")
    return found[0]


def everything(connection: sa.Connection) -> list[Batch]:
    """Newest first."""
    by = batches.alias("by")
    statement = sa.select(batches, by.c.id.label("reverted_by")).outerjoin(by, by.c.reverts == batches.c.id).order_by(batches.c.at_utc.desc())
    return [
        Batch(row.id, row.at_utc, row.who, row.verified, row.kind, row.title, row.n, row.reverts, row.reverted_by, json.loads(row.detail))
        for row in connection.execute(statement)
    ]
