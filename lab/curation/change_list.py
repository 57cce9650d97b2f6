"""Labels that differ from what they were, and decisions, as a screen lists them. Reads ``events``, ``labels`` and ``prompts``; writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from lab.curation import events as log
from lab.curation.prompts import state_of
from lab.curation.state import Prompt, State
from lab.database.schema import events, labels, prompts

COLUMNS = [
    events.c.id, events.c.prompt_id, events.c.who, events.c.verified, events.c.at_utc, events.c.action, events.c.before, events.c.after, events.c.reason, events.c.queue, events.c.batch_id
]  # fmt: skip

NAMES = [column.name for column in prompts.columns]
WITH_PROMPT = sa.select(*COLUMNS, *(prompts.c[name].label(f"of_{name}") for name in NAMES))


@dataclass(frozen=True)
class SetChange:
    """One prompt whose label differs from what it was at the start. The other fields are of the event that made it so.

    ``people``: all who changed it since the start, in order.
    """

    prompt: Prompt
    before: State
    after: State
    event_id: int
    at_utc: str
    who: str
    verified: bool
    action: str
    reason: str
    queue: str
    batch_id: str | None
    people: tuple[str, ...]


@dataclass(frozen=True)
class Decision:
    """One event with the prompt it is about."""

    prompt: Prompt
    id: int
    at_utc: str
    who: str
    verified: bool
    action: str
    before: State
    after: State
    reason: str
    queue: str
    batch_id: str | None


def _prompt(row: sa.Row) -> Prompt:
    return Prompt(*row[len(COLUMNS) :])  # by place: by name takes four times as long


class _States(dict[str, State]):
    """Text of an event → State, each text read once: a hundred thousand events have a few hundred labels."""

    def __missing__(self, text: str) -> State:
        self[text] = state = log.load(text)
        return state


def changed_since(connection: sa.Connection, after_event: int) -> list[SetChange]:
    """Prompts whose label is not what it was right after that event, the newest change first."""
    statement = WITH_PROMPT.join(prompts, prompts.c.id == events.c.prompt_id).where(events.c.id > after_event, events.c.changed).order_by(events.c.id)
    first: dict[str, str] = {}
    last: dict[str, sa.Row] = {}
    people: dict[str, dict[str, None]] = {}
    for row in connection.execute(statement):
        first.setdefault(row.prompt_id, row.before)
        last[row.prompt_id] = row
        people.setdefault(row.prompt_id, {})[row.who] = None
    states = _States()
    out = [
        SetChange(
            _prompt(row), states[first[one]], states[row.after], row.id, row.at_utc, row.who,
            row.verified, row.action, row.reason, row.queue, row.batch_id, tuple(people[one]),
        )
        for one, row in last.items() if first[one] != row.after
    ]  # fmt: skip
    return sorted(out, key=lambda one: -one.event_id)


def decisions(connection: sa.Connection, after_event: int, limit: int, who: str = "", batch_id: str = "", prompt_id: str = "") -> list[Decision]:
    """The newest events after that one, newest first."""
    statement = WITH_PROMPT.join(prompts, prompts.c.id == events.c.prompt_id).where(events.c.id > after_event).order_by(events.c.id.desc()).limit(limit)
    for column, value in ((events.c.who, who), (events.c.batch_id, batch_id), (events.c.prompt_id, prompt_id)):
        if value:
            statement = statement.where(column == value)
    states = _States()
    return [
        Decision(
            _prompt(row), row.id, row.at_utc, row.who, row.verified, row.action,
            states[row.before], states[row.after], row.reason, row.queue, row.batch_id,
        )
        for row in connection.execute(statement)
    ]  # fmt: skip


def moved_by(connection: sa.Connection, batch_id: str) -> list[tuple[int, str, State, State]]:
    """(event id, prompt id, before, after) of each label that a batch changed, in order."""
    columns = (events.c.id, events.c.prompt_id, events.c.before, events.c.after)
    statement = sa.select(*columns).where(events.c.batch_id == batch_id, events.c.changed).order_by(events.c.id)
    states = _States()
    return [(one, prompt_id, states[before], states[after]) for one, prompt_id, before, after in connection.execute(statement)]


def people(connection: sa.Connection, after_event: int) -> dict[str, int]:
    """Who decided something since → how often, most first."""
    counted = sa.func.count().label("n")
    statement = sa.select(events.c.who, counted).where(events.c.id > after_event).group_by(events.c.who).order_by(counted.desc(), events.c.who)
    return {row.who: row.n for row in connection.execute(statement)}


def newest_before(connection: sa.Connection, at_utc: str) -> int:
    """The last event before a moment (ISO 8601, UTC); 0 if there is none."""
    return connection.scalar(sa.select(sa.func.max(events.c.id)).where(events.c.at_utc < at_utc)) or 0


def last_of_batch(connection: sa.Connection, batch_id: str) -> int:
    return connection.scalar(sa.select(sa.func.max(events.c.id)).where(events.c.batch_id == batch_id)) or 0


def counts(connection: sa.Connection) -> Mapping[str | None, int]:
    """Domain → routable prompts with it as their first label; None: those without a label. Not routable ones count nowhere."""
    statement = sa.select(labels.c.domain, sa.func.count().label("n")).where(labels.c.routable).group_by(labels.c.domain)
    return {row.domain: row.n for row in connection.execute(statement)}


def states_now(connection: sa.Connection) -> dict[str, State]:
    """Every prompt's label."""
    columns = (labels.c.prompt_id, labels.c.domain, labels.c.also, labels.c.routable, labels.c.flagged)
    known: dict[tuple, State] = {}
    out = {}
    for row in connection.execute(sa.select(*columns)):
        if row[1:] not in known:
            known[row[1:]] = state_of(row)
        out[row.prompt_id] = known[row[1:]]
    return out
