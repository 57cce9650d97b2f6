"""Prompts picked on Confusions, Map or Try a prompt, on their way to a queue. SQL of ``selections``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from lab.curation.state import Actor
from lab.database.connect import now
from lab.database.dialect import insert
from lab.database.schema import selections
from lab.errors import InputError
from lab.files import sha256_bytes


@dataclass(frozen=True)
class Selection:
    """``origin`` is the page (matrix, map, …); ``text_ids`` are lab.text.prepare.text_id of the prompts; ``link`` opens the view it came from."""

    id: str
    made_at_utc: str
    who: str
    origin: str
    title: str
    link: str
    text_ids: tuple[str, ...]


def add(connection: sa.Connection, actor: Actor, origin: str, title: str, text_ids: Sequence[str], link: str = "") -> Selection:
    """Keep a selection. InputError if it is empty. The same prompts sent again from the same place give the same id."""
    ids = tuple(dict.fromkeys(text_ids))
    if not ids:
        raise InputError("Nothing is selected.", "Select at least one prompt.")
    identity = sha256_bytes("\n".join((origin, title, *sorted(ids))).encode())[:16]
    row = {"id": identity, "made_at_utc": now(), "who": actor.name, "origin": origin, "title": title, "link": link, "text_ids": json.dumps(ids)}
    connection.execute(insert(connection, selections).on_conflict_do_nothing(), [row])
    return next(one for one in everything(connection) if one.id == identity)


def everything(connection: sa.Connection) -> list[Selection]:
    """Oldest first."""
    return [
        Selection(row.id, row.made_at_utc, row.who, row.origin, row.title, row.link, tuple(json.loads(row.text_ids)))
        for row in connection.execute(sa.select(selections).order_by(selections.c.made_at_utc, selections.c.id))
    ]
