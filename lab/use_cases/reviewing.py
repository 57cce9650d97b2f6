"""What has changed since when, by whom and why; what a revert would leave; how far people agree."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from lab.curation import agreement, batches, change_list, intake, migration, prompts, queue_store
from lab.curation import events as log
from lab.curation.change_list import Decision, SetChange
from lab.curation.diff import DomainFlow, LabelDiff, compare_labels, labels_sha256, place
from lab.curation.state import State
from lab.errors import InputError
from lab.use_cases.queueing import Queueing

POINT = re.compile(r"shipped|event-(?P<event>[0-9]{1,18})|batch-(?P<batch>[0-9a-f]{32})|date-(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})")
"""A moment of the curation set, as it stands in links."""


@dataclass(frozen=True)
class RevertPreview:
    """Labels that would go ``back``, and those that somebody has ``changed`` since and that stay. ``moves``: (now, then) → how many."""

    batch: batches.Batch
    back: int
    changed: int
    moves: dict[tuple[str, str], int]


class Reviewing(Queueing):
    """A part of :class:`lab.workbench.Workbench`."""

    def start_event(self) -> int:
        """The event after which people began: the end of the shipped corpus's import."""
        with self.database.read() as connection:
            return log.end_of_shipped(connection, intake.SHIPPED.name)

    def newest_event(self) -> int:
        with self.database.read() as connection:
            return log.newest(connection)

    def event_at(self, point: str) -> int:
        """The event that ends a moment: "shipped", "event-N", "batch-ID" (right after it), "date-YYYY-MM-DD" (that day's begin, UTC)."""
        found = POINT.fullmatch(point)
        if found is None:
            raise InputError(f"“{point[:60]}” is no moment of the curation set.", "Use shipped, event-N, batch-ID or date-YYYY-MM-DD.")
        if found["event"]:
            return int(found["event"])
        if not (found["batch"] or found["date"]):
            return self.start_event()
        with self.database.read() as connection:
            if found["batch"]:
                batches.get(connection, found["batch"])
                return change_list.last_of_batch(connection, found["batch"]) or self.start_event()
            try:
                day = date.fromisoformat(found["date"])
            except ValueError:
                raise InputError(f"There is no day {found['date']}.", "Choose another.") from None
            return max(change_list.newest_before(connection, day.isoformat()), self.start_event())

    def changes(self, since_event: int | None = None) -> list[SetChange]:
        """Prompts whose label is not what it was after ``since_event`` (default: the shipped corpus), the newest change first."""
        since = self.start_event() if since_event is None else since_event
        with self.database.read() as connection:
            return change_list.changed_since(connection, since)

    def flows(self, changes: Sequence[SetChange]) -> dict[str, DomainFlow]:
        """Domain, "(no label)" or "(not routable)" → prompts that came and left by these changes; only where something moved."""
        with self.database.read() as connection:
            now = Counter({name or place(State()): n for name, n in change_list.counts(connection).items()})
            now[place(State(routable=False))] = prompts.count(connection) - sum(now.values())
        entered, left = Counter[str](), Counter[str]()
        for one in changes:
            before, after = place(one.before), place(one.after)
            if before != after:
                left[before] += 1
                entered[after] += 1
        names = sorted({*entered, *left}, key=lambda name: (-(entered[name] + left[name]), name))
        return {name: DomainFlow(now[name] - entered[name] + left[name], entered[name], left[name], now[name]) for name in names}

    def decisions(self, since_event: int | None = None, limit: int = 2_000, who: str = "", batch_id: str = "") -> list[Decision]:
        """The newest things that people did since; the import of the shipped corpus left out."""
        since = self.start_event() if since_event is None else since_event
        with self.database.read() as connection:
            return change_list.decisions(connection, since, limit, who, batch_id)

    def people_since(self, since_event: int | None = None) -> dict[str, int]:
        """Person → decisions, most first."""
        with self.database.read() as connection:
            return change_list.people(connection, self.start_event() if since_event is None else since_event)

    def undone_events(self) -> set[int]:
        """Events whose newest undo stands."""
        with self.database.read() as connection:
            return log.undone(connection)

    def standing(self) -> tuple[Mapping[str | None, int], int]:
        """(domain → routable prompts, None: no label yet; prompts in all)."""
        with self.database.read() as connection:
            return change_list.counts(connection), prompts.count(connection)

    def labels_hash(self) -> str:
        """sha256 of what training can see of the labels as they are now (lab.curation.diff)."""
        with self.database.read() as connection:
            return labels_sha256(change_list.states_now(connection))

    def revert_preview(self, batch_id: str) -> RevertPreview:
        """What a revert would do now; nothing is written."""
        with self.database.read() as connection:
            batch = batches.get(connection, batch_id)
            changes, lost = migration.back(connection, batch, self.taxonomy)
            now = prompts.states(connection, [one.prompt_id for one in changes])
        free = [one for one in changes if now[one.prompt_id] == one.seen]
        moves = Counter((str(one.seen), str(one.after)) for one in free)
        return RevertPreview(batch, len(free), len(changes) - len(free) + lost, dict(moves.most_common()))

    def diff(self, since_event: int | None = None) -> LabelDiff:
        """The set at ``since_event`` and now (lab.curation.diff)."""
        since = self.start_event() if since_event is None else since_event
        with self.database.read() as connection:
            return compare_labels(log.states_at(connection, since), change_list.states_now(connection))

    def evaluation_set(self) -> tuple[int, int]:
        """(version, prompts): a new version whenever the label of a test-side prompt changes."""
        with self.database.read() as connection:
            return 1 + log.count_changes_of_split(connection, "test", log.end_of_shipped(connection, intake.SHIPPED.name)), prompts.count_split(connection, "test")

    def opinions(self, independent: bool = True) -> list[agreement.Decision]:
        """What each person said last about each prompt; undone decisions and bulk changes are no opinion.

        ``independent``: only the first decision on a prompt, and those made in a blind queue, where nobody's choice is shown.
        """
        last: dict[tuple[str, str], agreement.Decision] = {}
        seen: dict[str, str] = {}
        with self.database.read() as connection:
            undone = log.undone(connection)
            for event in log.since(connection, actions=("label", "keep", "also", "not_routable")):
                if event.id in undone:
                    continue
                first = seen.setdefault(event.prompt_id, event.who) == event.who and (event.prompt_id, event.who) not in last
                if not independent or first or event.queue in queue_store.BLIND:
                    last[event.prompt_id, event.who] = agreement.Decision(event.prompt_id, event.who, place(event.after))
        return list(last.values())


def disagreements(opinions: Iterable[agreement.Decision], people: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Prompts on which these people differ: (prompt, person → choice)."""
    by_prompt: dict[str, dict[str, str]] = {}
    for one in opinions:
        if one.who in people:
            by_prompt.setdefault(one.prompt_id, {})[one.who] = one.choice
    return [(prompt_id, words) for prompt_id, words in sorted(by_prompt.items()) if len(set(words.values())) > 1]
