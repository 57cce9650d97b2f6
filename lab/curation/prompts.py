"""The prompts of the database. SQL of the table ``prompts``, and of ``labels`` where both are read together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

import sqlalchemy as sa

from lab.curation.state import Prompt, State
from lab.database.schema import labels, prompts

CHUNK = 500
"""Ids in one ``IN (…)``."""


def chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    listed = list(dict.fromkeys(ids))
    for start in range(0, len(listed), CHUNK):
        yield listed[start : start + CHUNK]


def known_ids(connection: sa.Connection, ids: Iterable[str]) -> set[str]:
    return {one for chunk in chunks(ids) for one in connection.scalars(sa.select(prompts.c.id).where(prompts.c.id.in_(chunk)))}


def insert(connection: sa.Connection, new: Sequence[Prompt]) -> None:
    """Prompts that are not there yet; their first event must follow in the same transaction."""
    if new:
        connection.execute(sa.insert(prompts), [vars(prompt) for prompt in new])


def set_splits(connection: sa.Connection, splits: dict[str, str]) -> None:
    """The split of prompts that had none. A split once given stays."""
    statement = sa.update(prompts).where(prompts.c.id == sa.bindparam("which"), prompts.c.split == "").values(split=sa.bindparam("side"))
    if splits:
        connection.execute(statement, [{"which": one, "side": side} for one, side in splits.items()])


def with_prefix(connection: sa.Connection, prefix: str) -> list[str]:
    """At most two ids that begin so."""
    return list(connection.scalars(sa.select(prompts.c.id).where(prompts.c.id.startswith(prefix, autoescape=True)).order_by(prompts.c.id).limit(2)))


def splits(connection: sa.Connection) -> dict[str, str]:
    """Text id → side of every prompt."""
    return {row.id: row.split for row in connection.execute(sa.select(prompts.c.id, prompts.c.split))}


def count_split(connection: sa.Connection, split: str) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(prompts).where(prompts.c.split == split)) or 0


def count(connection: sa.Connection) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(prompts)) or 0


def get(connection: sa.Connection, ids: Iterable[str]) -> dict[str, Prompt]:
    return {
        row.id: Prompt(**row._mapping)
        for chunk in chunks(ids)
        for row in connection.execute(sa.select(prompts).where(prompts.c.id.in_(chunk)))
    }


def state_of(row: sa.Row) -> State:
    return State(row.domain, tuple(json.loads(row.also)) if row.also != "[]" else (), row.routable, row.flagged)


def states(connection: sa.Connection, ids: Iterable[str]) -> dict[str, State]:
    return {
        row.prompt_id: state_of(row)
        for chunk in chunks(ids)
        for row in connection.execute(sa.select(labels).where(labels.c.prompt_id.in_(chunk)))
    }


def all_states(connection: sa.Connection) -> dict[str, State]:
    """Text id → label now, of every prompt."""
    return {row.prompt_id: state_of(row) for row in connection.execute(sa.select(labels))}


def everything(connection: sa.Connection, origin: str = "", labelled: bool | None = None) -> list[tuple[Prompt, State]]:
    """All prompts with their labels, in the order in which they came. ``labelled`` True: only those with a domain, routable."""
    statement = sa.select(prompts, labels).join(labels, labels.c.prompt_id == prompts.c.id).order_by(prompts.c.added_at_utc, prompts.c.id)
    if origin:
        statement = statement.where(prompts.c.origin == origin)
    if labelled is not None:
        has = sa.and_(labels.c.domain.is_not(None), labels.c.routable)
        statement = statement.where(has if labelled else sa.not_(has))
    names = [column.name for column in prompts.columns]
    return [(Prompt(**dict(zip(names, row, strict=False))), state_of(row)) for row in connection.execute(statement)]  # the columns of prompts come first
