"""New prompts with their first label: the shipped corpus at the first start, files, gateway logs, a typed prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from lab.corpus.rows import Row
from lab.curation import batches, prompts
from lab.curation import events as log
from lab.curation.state import Actor, Prompt, State
from lab.database.connect import Database, now
from lab.files import sha256_bytes
from lab.taxonomy import Taxonomy

SHIPPED = Actor("Router Lab", verified=True, role="maintainer")
"""Who brings in what the project ships."""


@dataclass(frozen=True)
class Intake:
    """``new``: prompts stored; ``known``: ids that were there already (their labels are not touched)."""

    batch_id: str | None
    new: int
    known: tuple[str, ...]


def add_in(connection: sa.Connection, actor: Actor, batch_id: str, action: str, given: Sequence[tuple[Prompt, State]], reason: str) -> Intake:
    """Store those that are not there yet, each with its first event. Of two with one id the first counts."""
    first: dict[str, tuple[Prompt, State]] = {}
    for prompt, state in given:
        first.setdefault(prompt.id, (prompt, state))
    there = prompts.known_ids(connection, first)
    new = [pair for one, pair in first.items() if one not in there]
    at = now()
    prompts.insert(connection, [replace(prompt, added_at_utc=prompt.added_at_utc or at) for prompt, _ in new])
    log.append_rows(connection, log.first_rows(actor, f"batch:{batch_id}", batch_id, action, [(prompt.id, state) for prompt, state in new], reason))
    return Intake(batch_id, len(new), tuple(sorted(there)))


def row_to_prompt(row: Row, split: str, origin: str, taxonomy: Taxonomy) -> tuple[Prompt, State]:
    state = State(taxonomy.canonical(row.domain), tuple(taxonomy.canonical(one) for one in row.also))
    return Prompt(row.id, row.text, row.lang, row.source, row.licence, row.part, split, origin), state


def import_shipped(database: Database, rows: Sequence[Row], splits: Mapping[str, str], taxonomy: Taxonomy) -> int:
    """At the first start: the shipped corpus. How many prompts were stored; 0 when the database has prompts already."""
    with database.read() as connection:
        if prompts.count(connection):
            return 0
    with database.alone() as connection:
        if prompts.count(connection):
            return 0
        identity = sha256_bytes("\n".join(sorted(row.id for row in rows)).encode())[:12]
        batch_id = batches.add(connection, SHIPPED, "import", f"Shipped corpus {identity}", len(rows))
        given = [row_to_prompt(row, splits.get(row.id, ""), "corpus", taxonomy) for row in rows]
        done = add_in(connection, SHIPPED, batch_id, "import", given, "shipped corpus")
        batches.set_count(connection, batch_id, done.new)
        return done.new
