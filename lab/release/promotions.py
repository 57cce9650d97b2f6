"""Which version serves, and the history of it. Append-only; a rollback is a promotion of an older one. SQL of ``promotions``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lab.curation.state import Actor
from lab.database.connect import Database, now
from lab.database.schema import promotions
from lab.errors import InputError
from lab.files import canonical


@dataclass(frozen=True)
class Promotion:
    """``number``: 1, 2, 3 … of its ``kind``. ``action``: promote or rollback. ``replaced``: what served before."""

    number: int
    at_utc: str
    who: str
    verified: bool
    kind: str
    version: str
    replaced: str
    action: str
    verdict: Mapping[str, Any]
    reason: str


def history(connection: sa.Connection, kind: str = "router") -> list[Promotion]:
    """Newest first."""
    statement = sa.select(promotions).where(promotions.c.kind == kind).order_by(promotions.c.number.desc())
    return [
        Promotion(row.number, row.at_utc, row.who, row.verified, row.kind, row.version, row.replaced, row.action, json.loads(row.verdict), row.reason)
        for row in connection.execute(statement)
    ]


def champion(connection: sa.Connection, kind: str = "router") -> str | None:
    """The version that serves; None until one was promoted."""
    return connection.scalar(sa.select(promotions.c.version).where(promotions.c.kind == kind).order_by(promotions.c.number.desc()).limit(1))


def add(database: Database, actor: Actor, version: str, replaced: str, action: str, verdict: Mapping[str, Any], reason: str, kind: str = "router") -> Promotion:
    """Append, if ``replaced`` is still what serves ("" if nothing was promoted yet). InputError if somebody else was quicker, or it serves already."""
    try:
        with database.write() as connection:
            before = history(connection, kind)
            serving = before[0].version if before else ""
            if serving != replaced:
                raise _too_late(before[0])
            if serving == version:
                raise InputError(f"Version {version[:12]} serves already.", "Choose another one.")
            row = {
                "at_utc": now(), "who": actor.name, "verified": actor.verified, "kind": kind, "version": version, "number": len(before) + 1,
                "replaced": replaced, "action": action, "verdict": canonical(dict(verdict)).decode(), "reason": reason,
            }  # fmt: skip
            connection.execute(sa.insert(promotions).values(row))
            return history(connection, kind)[0]
    except sa.exc.IntegrityError:
        with database.read() as connection:
            raise _too_late(history(connection, kind)[0]) from None


def _too_late(newest: Promotion) -> InputError:
    return InputError(
        f"{newest.who} has {'rolled back to' if newest.action == 'rollback' else 'promoted'} {newest.version[:12]} in the meantime ({newest.at_utc[:19]} UTC).",
        "Look at the new champion, judge against it, then decide again.",
    )
