"""The curation set as files: in as one revertible batch, out as deterministic bytes; the sides of new prompts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from lab.corpus.rows import Row
from lab.corpus.split import assign
from lab.curation import batches, intake, prompts
from lab.curation import events as log
from lab.curation.events import Change
from lab.curation.formats.export import Export, export
from lab.curation.formats.labelled import Labelled
from lab.curation.formats.load import Import, read_labelled
from lab.curation.state import Actor, Event, Prompt, State
from lab.errors import InputError
from lab.text.language import detect
from lab.use_cases.opening import Progress
from lab.use_cases.reviewing import Reviewing


@dataclass(frozen=True)
class ImportPlan:
    """What an import would do. ``new`` prompts come in; ``changed`` have another label in the file; ``same`` agree."""

    reading: Import
    new: list[Labelled]
    changed: list[tuple[Labelled, State]]
    same: int


class Collecting(Reviewing):
    """A part of :class:`lab.workbench.Workbench`."""

    # files

    def labelled(self, only: Iterable[str] | None = None) -> list[Labelled]:
        """Every prompt (or ``only`` those ids) with its label and the change that made it, for an export."""
        wanted = None if only is None else set(only)
        with self.database.read() as connection:
            pairs = prompts.everything(connection)
            last: dict[str, Event] = {}
            for event in log.since(connection, log.end_of_shipped(connection, intake.SHIPPED.name), changed=True):
                last[event.prompt_id] = event
        return [_labelled(prompt, state, last.get(prompt.id)) for prompt, state in pairs if wanted is None or prompt.id in wanted]

    def export_set(self, format: str, only: Iterable[str] | None = None) -> Export:
        """The curation set (or those ids) in one of lab.curation.formats; the same labels give the same bytes."""
        return export(self.labelled(only), format, "curation-set")

    def plan_import(self, source: Path | bytes, name: str = "") -> ImportPlan:
        """Read a file and compare it with the curation set; nothing is written."""
        with self.database.read() as connection:
            splits = prompts.splits(connection)
        reading = read_labelled(source, self.taxonomy, name, splits)
        states = {one: state for one, (_, state) in self.state([row.id for row in reading.rows]).items()}
        new = [row for row in reading.rows if row.id not in states]
        changed = [(row, states[row.id]) for row in reading.rows if row.id in states and states[row.id] != row.state and (row.domain or not row.routable)]
        return ImportPlan(reading, new, changed, len(reading.rows) - len(new) - len(changed))

    def apply_import(self, actor: Actor, plan: ImportPlan, take_changed: bool = True) -> batches.BatchResult:
        """New prompts with their labels, and (``take_changed``) other labels of known ones, as one batch that can be reverted."""
        self.require(actor, "curator")
        changed = plan.changed if take_changed else []
        if not plan.new and not changed:
            raise InputError("The file brings nothing new.", "Every prompt of it is in the curation set with the same label.")
        title = f"Import of {plan.reading.name}"
        given = [(_prompt(row), row.state) for row in plan.new]
        moves = [Change(row.id, state, row.state, row.reason or title) for row, state in changed]
        with self.database.write() as connection:
            detail = {"file_sha256": plan.reading.sha256, "format": plan.reading.format, "read": plan.reading.read, "refused": len(plan.reading.refused)}
            batch = batches.add(connection, actor, "import", title, len(given) + len(moves), detail)
            done = intake.add_in(connection, actor, batch, "import", given, title)
            applied, stale = log.apply(connection, actor, batch, "import", moves, first_seq=len(given))
            batches.set_count(connection, batch, done.new + applied)
        return batches.BatchResult(batch, done.new + applied, stale)

    def ensure_splits(self, progress: Progress | None = None) -> dict[str, int]:
        """Give each labelled prompt without a side its own, for good: that of its near-duplicates, else by the hash. Side → how many."""
        with self.database.read() as connection:
            pairs = prompts.everything(connection, labelled=True)
        if all(prompt.split for prompt, _ in pairs):
            return {}
        if progress:
            progress("give new prompts a side of the split", 0, 1)
        rows = [Row(prompt.text, state.domain or "", split=prompt.split) for prompt, state in pairs]
        sides = assign(rows)
        new = {prompt.id: side for (prompt, _), side in zip(pairs, sides, strict=True) if not prompt.split}
        with self.database.write() as connection:
            prompts.set_splits(connection, new)
        return {side: sum(one == side for one in new.values()) for side in sorted(set(new.values()))}

def _labelled(prompt: Prompt, state: State, last: Event | None) -> Labelled:
    row = Labelled(
        prompt.id, prompt.text, state.domain, state.also, state.routable, state.flagged, prompt.language, prompt.source, prompt.licence, prompt.part, prompt.split
    )  # fmt: skip
    if last is None:
        return row
    return replace(row, who=last.who, at_utc=last.at_utc, reason=last.reason, queue=last.queue, before=last.before)


def _prompt(row: Labelled) -> Prompt:
    return Prompt(row.id, row.text, row.language or detect(row.text), row.source, row.licence, row.part, row.split, "import")
