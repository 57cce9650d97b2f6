"""Labels brought under a new version of the taxonomy, and batches taken back that were made under an older one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from lab.curation import batches, change_list, queue_store, taxonomy_store
from lab.curation import events as log
from lab.curation.batches import Batch, BatchResult
from lab.curation.events import Change
from lab.curation.state import Actor, Item, State
from lab.curation.taxonomy_change import Migration, TaxonomyChange
from lab.curation.taxonomy_rules import mapped
from lab.curation.taxonomy_store import TaxonomyVersion
from lab.errors import InputError
from lab.taxonomy import Backends, Taxonomy


def store(connection: sa.Connection, actor: Actor, change: TaxonomyChange, undone: Batch | None = None) -> BatchResult:
    """The taxonomy's new version and the batch of its labels. ``undone``: the batch of the change that this one takes back.

    Prompts whose label only got another name still wait in their queues; those that are flagged wait for a second opinion.
    """
    detail = {"taxonomy_version": change.after.version, "kind": change.kind, "title": change.title, "back": dict(change.back)}
    kind = "revert" if undone else "taxonomy"
    batch = batches.add(connection, actor, kind, change.title[:200], len(change.migrations), detail, undone.id if undone else None)
    done = {prompt_id: (event_id, was, now) for event_id, prompt_id, was, now in change_list.moved_by(connection, undone.id)} if undone else {}
    rows = [_as_change(one, done) for one in change.migrations]
    applied, stale = log.apply(connection, actor, batch, kind, rows)
    batches.set_count(connection, batch, applied)
    if change.kind != "add":
        queue_store.reopen(connection, [event_id for event_id, *_ in change_list.moved_by(connection, batch)], None)
    flagged = [one for one in change.migrations if one.after.flagged and not one.before.flagged]
    if flagged:
        items = [Item(one.prompt_id, 1.0, f"{change.title}: “{one.after}” is a guess.") for one in flagged]
        queue_store.extend(connection, queue_store.SECOND, items, actor.name, log.newest(connection))
    taxonomy_store.add(connection, actor, change.kind, change.title[:200], change.after.to_json(), change.backends_after.to_json(), batch)
    return BatchResult(batch, applied, stale)


def _as_change(one: Migration, done: Mapping[str, tuple[int, State, State]]) -> Change:
    """``done``: prompt → the event that the change takes back. Where the label goes back exactly, that event counts as undone."""
    event_id, was, now = done.get(one.prompt_id, (None, None, None))
    return Change(one.prompt_id, one.before, one.after, one.reason, event_id if (one.before, one.after) == (now, was) else None)


def stored_change(connection: sa.Connection, version: TaxonomyVersion, before: Taxonomy, backends_before: Backends) -> tuple[TaxonomyChange, Batch]:
    """The change that made a version, as it was applied. InputError for a version that came without one."""
    if version.batch_id is None:
        raise InputError(f"Version {version.version} of the taxonomy came without a change.", "Change it by hand.")
    batch = batches.get(connection, version.batch_id)
    moved = tuple(Migration(prompt_id, was, now, "") for _, prompt_id, was, now in change_list.moved_by(connection, batch.id))
    after, backends = taxonomy_of(version)
    return TaxonomyChange(version.kind, version.title, before, after, moved, backends_before, backends, batch.detail["back"]), batch


def taxonomy_of(version: TaxonomyVersion) -> tuple[Taxonomy, Backends]:
    where = f"version {version.version} of the taxonomy"
    return Taxonomy.from_json(version.taxonomy, where), Backends(_by_domain(version.backends, "backends"), _by_domain(version.backends, "specialists"))


def _by_domain(raw: Mapping[str, Any], part: str) -> dict[str, str]:
    return {domain: model for model, domains in raw.get(part, {}).items() for domain in domains}


def renamed(state: State, taxonomy: Taxonomy) -> State | None:
    """``state`` under the names of ``taxonomy``; None if it has a label that no name and no alias stands for."""
    new = mapped(state, {name: taxonomy.canonical(name) for name in (state.domain, *state.also) if name})
    return new if all(name in taxonomy.by_name for name in (new.domain, *new.also) if name) else None


def revert(connection: sa.Connection, actor: Actor, batch_id: str, taxonomy: Taxonomy) -> BatchResult:
    """As lab.curation.batches.revert, for a batch whose domains may have other names today. Labels without a name today stay as they are."""
    batch = batches.get(connection, batch_id)
    if batch.reverted_by is not None:
        raise InputError(f"The batch “{batch.title}” is reverted already.", "Revert the revert to have it again.")
    if batch.who == "Router Lab":
        raise InputError("The shipped corpus is what everything else starts from.", "Revert what people have made of it instead.")
    changes, lost = back(connection, batch, taxonomy)
    new = batches.add(connection, actor, "revert", f"Revert: {batch.title}"[:200], len(changes), reverts=batch_id)
    applied, stale = log.apply(connection, actor, new, "revert", changes)
    batches.set_count(connection, new, applied)
    return BatchResult(new, applied, stale + lost)


def back(connection: sa.Connection, batch: Batch, taxonomy: Taxonomy) -> tuple[list[Change], int]:
    """The changes that would take a batch back, and how many cannot be named today."""
    moved = change_list.moved_by(connection, batch.id)
    names = {state: renamed(state, taxonomy) for _, _, before, after in moved for state in (before, after)}
    out, lost = [], 0
    for event_id, prompt_id, before, after in moved:
        seen, then = names[after], names[before]
        if seen is None or then is None:
            lost += 1
        elif seen != then:  # a merge may have made them one
            out.append(Change(prompt_id, seen, then, f"revert of “{batch.title}”", event_id))
    return out, lost
