"""The curation set as a whole: what has changed since when, files in and out, agreement between people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab.corpus.rows import Row
from lab.corpus.split import assign
from lab.curation import batches, intake, prompts
from lab.curation import events as log
from lab.curation.diff import LabelDiff, compare_labels
from lab.curation.events import Change
from lab.curation.formats.export import Export, export
from lab.curation.formats.labelled import Labelled
from lab.curation.formats.load import Import, read_labelled
from lab.curation.state import Actor, Event, Prompt, State
from lab.errors import InputError
from lab.text.language import detect
from lab.use_cases.opening import Progress
from lab.use_cases.queueing import Queueing


@dataclass(frozen=True)
class SetChange:
    """One prompt whose label differs from what it was at the start. ``last`` made it so; ``events`` since the start, oldest first."""

    prompt: Prompt
    before: State
    after: State
    last: Event
    events: tuple[Event, ...]

    @property
    def people(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(event.who for event in self.events))


@dataclass(frozen=True)
class ImportPlan:
    """What an import would do. ``new`` prompts come in; ``changed`` have another label in the file; ``same`` agree."""

    reading: Import
    new: list[Labelled]
    changed: list[tuple[Labelled, State]]
    same: int


class Collecting(Queueing):
    """A part of :class:`lab.workbench.Workbench`."""

    def start_event(self) -> int:
        """The event after which people began: the end of the shipped corpus's import."""
        with self.database.read() as connection:
            return log.end_of_shipped(connection, intake.SHIPPED.name)

    def newest_event(self) -> int:
        with self.database.read() as connection:
            return log.newest(connection)

    def changes(self, since_event: int | None = None) -> list[SetChange]:
        """Prompts whose label is not what it was after ``since_event`` (default: the shipped corpus), the newest change first."""
        since = self.start_event() if since_event is None else since_event
        with self.database.read() as connection:
            history: dict[str, list[Event]] = {}
            for event in log.since(connection, since, changed=True):
                history.setdefault(event.prompt_id, []).append(event)
            moved = {one: events for one, events in history.items() if events[0].before != events[-1].after}
            known = prompts.get(connection, moved)
        out = [SetChange(known[one], events[0].before, events[-1].after, events[-1], tuple(events)) for one, events in moved.items()]
        return sorted(out, key=lambda one: -one.last.id)

    def decisions(self, since_event: int | None = None) -> list[Event]:
        """Everything that people did since, newest first; the import of the shipped corpus left out."""
        since = self.start_event() if since_event is None else since_event
        with self.database.read() as connection:
            return log.since(connection, since)[::-1]

    def diff(self, since_event: int | None = None) -> LabelDiff:
        """The set at ``since_event`` and now (lab.curation.diff)."""
        since = self.start_event() if since_event is None else since_event
        with self.database.read() as connection:
            return compare_labels(log.states_at(connection, since), log.states_at(connection, log.newest(connection)))

    def evaluation_set(self) -> tuple[int, int]:
        """(version, prompts): a new version whenever the label of a test-side prompt changes."""
        with self.database.read() as connection:
            return 1 + log.count_changes_of_split(connection, "test", log.end_of_shipped(connection, intake.SHIPPED.name)), prompts.count_split(connection, "test")

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

    # agreement

    def decided_by_person(self) -> dict[str, dict[str, str]]:
        """Person → prompt → what the person's last decision on it said (a domain, or "(not routable)"). Bulk changes are no reading."""
        out: dict[str, dict[str, str]] = {}
        with self.database.read() as connection:
            undone = log.undone(connection)
            for event in log.since(connection, actions=("label", "keep", "also", "not_routable")):
                if event.id not in undone:
                    out.setdefault(event.who, {})[event.prompt_id] = "(not routable)" if not event.after.routable else event.after.domain or "(no label)"
        return out


def _labelled(prompt: Prompt, state: State, last: Event | None) -> Labelled:
    row = Labelled(
        prompt.id, prompt.text, state.domain, state.also, state.routable, state.flagged, prompt.language, prompt.source, prompt.licence, prompt.part, prompt.split
    )  # fmt: skip
    if last is None:
        return row
    return replace(row, who=last.who, at_utc=last.at_utc, reason=last.reason, queue=last.queue, before=last.before)


def _prompt(row: Labelled) -> Prompt:
    return Prompt(row.id, row.text, row.language or detect(row.text), row.source, row.licence, row.part, row.split, "import")


def disagreements(decided: Mapping[str, Mapping[str, str]], people: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Prompts on which the last words of the people differ: (prompt, person → word)."""
    by_prompt: dict[str, dict[str, str]] = {}
    for person in people:
        for prompt_id, word in decided.get(person, {}).items():
            by_prompt.setdefault(prompt_id, {})[person] = word
    return [(prompt_id, words) for prompt_id, words in sorted(by_prompt.items()) if len(set(words.values())) > 1]
