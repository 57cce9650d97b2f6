"""Prompts that a gateway has seen: how often, when, what it answered. SQL of ``traffic``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from lab.curation.prompts import chunks, state_of
from lab.curation.state import Prompt, State
from lab.curation.traffic import TrafficPrompt
from lab.database.dialect import upsert
from lab.database.schema import events, labels, prompts, traffic
from lab.files import canonical


@dataclass(frozen=True)
class TrafficRow:
    """One prompt as the gateway saw it, and its label now. ``domain``, ``score``, ``model``: of the last time it was seen.

    ``top``: what the router of the import said, (domain, probability), most likely first; empty for prompts that were known before.
    """

    prompt: Prompt
    state: State
    count: int
    first_at: str
    last_at: str
    domain: str | None
    score: float | None
    model: str
    feedback: tuple[str, ...]
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class TrafficSummary:
    """``prompts`` distinct ones, seen ``requests`` times between ``first_at`` and ``last_at``; ``unlabelled`` of them wait for a label."""

    prompts: int
    requests: int
    unlabelled: int
    first_at: str
    last_at: str


def add(connection: sa.Connection, seen: Sequence[TrafficPrompt], batch_id: str) -> None:
    """Prompts of the database that were seen; those that were seen before are counted on."""
    old = {
        row.prompt_id: row
        for chunk in chunks(one.id for one in seen)
        for row in connection.execute(sa.select(traffic).where(traffic.c.prompt_id.in_(chunk)))
    }
    upsert(connection, traffic, [_merged(one, old.get(one.id), batch_id) for one in seen], ["prompt_id"])


def _merged(one: TrafficPrompt, old: sa.Row | None, batch_id: str) -> dict:
    before = json.loads(old.feedback or "[]") if old else []
    row = {
        "prompt_id": one.id, "count": one.count + (old.count if old else 0), "domain": one.domain, "score": one.score, "model": one.model,
        "first_at": min(filter(None, (one.first_utc, old.first_at if old else "")), default=""),
        "last_at": max(one.last_utc, old.last_at or "" if old else ""),
        "feedback": canonical(list(dict.fromkeys([*before, *one.feedback]))).decode(), "batch_id": old.batch_id if old else batch_id,
    }  # fmt: skip
    if old and one.last_utc < (old.last_at or ""):
        row |= {"domain": old.domain, "score": old.score, "model": old.model}
    return row


def most_seen(connection: sa.Connection, limit: int, unlabelled: bool = False) -> list[TrafficRow]:
    """The prompts that were seen most often."""
    names = [column.name for column in prompts.columns]
    statement = (
        sa.select(traffic, labels.c.domain.label("label"), labels.c.also, labels.c.routable, labels.c.flagged, events.c.model.label("said"))
        .add_columns(*(prompts.c[name].label(f"of_{name}") for name in names))
        .join(prompts, prompts.c.id == traffic.c.prompt_id)
        .join(labels, labels.c.prompt_id == traffic.c.prompt_id)
        .outerjoin(events, sa.and_(events.c.prompt_id == traffic.c.prompt_id, events.c.action == "traffic"))
        .order_by(traffic.c.count.desc(), traffic.c.prompt_id)
        .limit(limit)
    )
    if unlabelled:
        statement = statement.where(labels.c.domain.is_(None), labels.c.routable)
    return [
        TrafficRow(
            Prompt(**{name: getattr(row, f"of_{name}") for name in names}),
            State(row.label, tuple(json.loads(row.also)), row.routable, row.flagged),
            row.count, row.first_at or "", row.last_at or "", row.domain, row.score, row.model or "", tuple(json.loads(row.feedback or "[]")),
            tuple((str(domain), float(value)) for domain, value in json.loads(row.said or "{}").get("top", [])),
        )
        for row in connection.execute(statement)
    ]  # fmt: skip


def waiting(connection: sa.Connection) -> list[Prompt]:
    """Prompts of gateway logs that have no label yet, in the order of their ids."""
    statement = sa.select(prompts, labels).join(labels, labels.c.prompt_id == prompts.c.id).where(prompts.c.origin == "traffic", labels.c.domain.is_(None))
    rows = connection.execute(statement.order_by(prompts.c.id))
    return [Prompt(**{column.name: row._mapping[column] for column in prompts.columns}) for row in rows if state_of(row).routable]


def summary(connection: sa.Connection) -> TrafficSummary:
    table = traffic.join(labels, labels.c.prompt_id == traffic.c.prompt_id)
    open_ones = sa.func.sum(sa.case((sa.and_(labels.c.domain.is_(None), labels.c.routable), 1), else_=0))
    dated = sa.func.nullif(traffic.c.first_at, "")
    row = connection.execute(
        sa.select(sa.func.count(), sa.func.sum(traffic.c.count), open_ones, sa.func.min(dated), sa.func.max(traffic.c.last_at)).select_from(table)
    ).one()
    return TrafficSummary(row[0], row[1] or 0, row[2] or 0, row[3] or "", row[4] or "")
