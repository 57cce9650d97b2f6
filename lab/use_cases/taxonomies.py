"""The taxonomy changed by people: looked at first, applied as one with its labels, taken back as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from lab.curation import batches, change_list, migration, prompts, taxonomy_change, taxonomy_store
from lab.curation.batches import BatchResult
from lab.curation.events import Change
from lab.curation.state import Actor, State, Write
from lab.curation.taxonomy_change import TaxonomyChange
from lab.curation.taxonomy_draft import Draft
from lab.curation.taxonomy_preview import Assignment, Preview, assign_by_nearest, preview
from lab.curation.taxonomy_store import TaxonomyVersion
from lab.errors import InputError
from lab.taxonomy import Backends, Taxonomy
from lab.use_cases.collecting import Collecting


@dataclass(frozen=True)
class TaxonomyPlan:
    """A change on the labels of now, and what it would do. ``texts``: of the prompts in the samples."""

    change: TaxonomyChange
    preview: Preview
    texts: Mapping[str, str]


@dataclass(frozen=True)
class TaxonomyResult:
    """``moved`` labels; ``conflicts``: labels that changed in that very moment."""

    version: int
    title: str
    moved: int
    conflicts: int


class Taxonomies(Collecting):
    """A part of :class:`lab.workbench.Workbench`."""

    def taxonomy_versions(self) -> list[TaxonomyVersion]:
        """What people made of the shipped one, newest first."""
        with self.database.read() as connection:
            return taxonomy_store.everything(connection)

    def plan_taxonomy(self, draft: Draft) -> TaxonomyPlan:
        """Look at a change; nothing is written."""
        with self.database.read() as connection:
            taxonomy, backends = self._in_force(connection)
            labels = change_list.states_now(connection)
            return self._seen(connection, draft.change(taxonomy, backends, labels), labels)

    def _seen(self, connection: sa.Connection, change: TaxonomyChange, labels: Mapping[str, State]) -> TaxonomyPlan:
        moved = [one.prompt_id for one in change.migrations]
        known = prompts.get(connection, moved)
        shown = preview(change, labels, {one: known[one].split for one in moved})
        return TaxonomyPlan(change, shown, {one.prompt_id: known[one.prompt_id].text for sample in shown.samples.values() for one in sample})

    def apply_taxonomy(self, actor: Actor, draft: Draft) -> TaxonomyResult:
        """A new version and the labels that move with it, in one transaction, on the labels of that moment."""
        self.require(actor, "maintainer")
        with self.database.alone() as connection:
            change = draft.change(*self._in_force(connection), change_list.states_now(connection))
            done = migration.store(connection, actor, change)
        return self._told(change, done)

    def plan_taxonomy_revert(self) -> TaxonomyPlan:
        """What taking back the newest change would do now."""
        with self.database.read() as connection:
            labels = change_list.states_now(connection)
            return self._seen(connection, self._inverse(connection, labels)[0], labels)

    def revert_taxonomy(self, actor: Actor, version: int) -> TaxonomyResult:
        """Take back the newest change, ``version``: the taxonomy before as a new version, and the labels back."""
        self.require(actor, "maintainer")
        with self.database.alone() as connection:
            change, undone = self._inverse(connection, change_list.states_now(connection))
            if change.before.version != version:
                raise InputError(f"The taxonomy is at version {change.before.version} now, you have looked at version {version}.", "Revert the newest change first.")
            done = migration.store(connection, actor, change, undone)
        return self._told(change, done)

    def _inverse(self, connection: sa.Connection, labels: Mapping[str, State]) -> tuple[TaxonomyChange, batches.Batch]:
        versions = taxonomy_store.everything(connection)
        if not versions:
            raise InputError("The taxonomy is the shipped one.", "There is nothing to revert.")
        before = migration.taxonomy_of(versions[1]) if len(versions) > 1 else self._shipped()
        made, batch = migration.stored_change(connection, versions[0], *before)
        return taxonomy_change.revert(made, migration.taxonomy_of(versions[0])[0], labels), batch

    def _shipped(self) -> tuple[Taxonomy, Backends]:
        return Taxonomy.load(self.home.taxonomy), Backends.load(self.home.backends)

    def _in_force(self, connection: sa.Connection) -> tuple[Taxonomy, Backends]:
        """By the database, which is right where a file may lag behind."""
        versions = taxonomy_store.everything(connection)
        return migration.taxonomy_of(versions[0]) if versions else self._shipped()

    def _told(self, change: TaxonomyChange, done: BatchResult) -> TaxonomyResult:
        with self.database.alone() as connection:  # two that end at once must not write an older copy last
            taxonomy_store.mirror(connection, self.home.live_taxonomy, self.home.live_backends)
        return TaxonomyResult(change.after.version, change.title, done.applied, done.conflicts)

    # a split

    def prompts_of(self, domain: str) -> list[tuple[str, str]]:
        """(id, text) of the routable prompts with this first label."""
        with self.database.read() as connection:
            ids = [one for one, state in change_list.states_now(connection).items() if state.domain == domain and state.routable]
            known = prompts.get(connection, ids)
        return [(one, known[one].text) for one in sorted(ids)]

    def prompts_with(self, domain: str, words: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """Part → prompts of the domain that hold one of its words (small letters) and none of another part's: examples for a split."""
        out: dict[str, list[str]] = {part: [] for part in words}
        for prompt_id, text in self.prompts_of(domain):
            small = text.casefold()
            hit = [part for part, own in words.items() if any(word in small for word in own)]
            if len(hit) == 1:
                out[hit[0]].append(prompt_id)
        empty = [part for part, ids in out.items() if not ids]
        if empty:
            raise InputError(f"No prompt of {domain} has the words of {empty[0]} alone.", "Give words that part the prompts.")
        return out

    def propose_split(self, domain: str, seeds: Mapping[str, Sequence[str]]) -> Assignment:
        """Each prompt of the domain to the part whose example prompts (part → ids) are nearest."""
        index = self.live_index(self.router(None).encoder_name)
        ids = [one for one, _ in self.prompts_of(domain)]
        return assign_by_nearest(ids, index.vectors[[index.place[one] for one in ids]], seeds)

    # labels under names that are gone

    def revert_batch(self, actor: Actor, batch_id: str) -> BatchResult:
        """As in Curating, under the names of today. A change of the taxonomy is taken back with its labels or not at all."""
        self.require(actor, "curator")
        with self.database.read() as connection:
            version = batches.get(connection, batch_id).detail.get("taxonomy_version")
        if version is not None:
            raise InputError("These labels moved with a change of the taxonomy.", f"Revert version {version} under Taxonomy: it takes the labels back too.")
        with self.database.write() as connection:
            return migration.revert(connection, actor, batch_id, self._in_force(connection)[0])

    def _fault(self, write: Write) -> str:
        if write.action == "undo" and write.undoes is not None:
            event = next((one for one in self.history(write.prompt_id) if (one.session, one.seq) == write.undoes), None)
            if event is not None and self._unknown(event.before):
                return f"The label before was “{event.before}”: {self._unknown(event.before)} Choose one instead of undoing."
        return super()._fault(write)

    def strays(self) -> list[Change]:
        """Labels that have another name today: decisions that crossed a change of the taxonomy."""
        with self.database.read() as connection:
            return self._strays(connection)

    def _strays(self, connection: sa.Connection) -> list[Change]:
        taxonomy = self._in_force(connection)[0]
        states = change_list.states_now(connection)
        named = {state: migration.renamed(state, taxonomy) for state in set(states.values())}
        reason = f"name of taxonomy {taxonomy.version}"
        return [Change(one, state, new, reason) for one, state in states.items() if (new := named[state]) is not None and new != state]

    def mend_strays(self, actor: Actor) -> BatchResult:
        """Give them the names of today."""
        self.require(actor, "maintainer")
        changes = self.strays()
        return batches.apply(self.database, actor, "taxonomy", "Names of today", changes)
