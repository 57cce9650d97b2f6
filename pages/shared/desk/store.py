"""The workbench as the desk asks it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lab.curation.batches import BatchResult
from lab.curation.events import Change
from lab.curation.state import Actor, Outcome, Prompt, State, Write
from lab.use_cases.queueing import DeskItem
from lab.workbench import Workbench

PEEK = 20


class BenchStore:
    """Every call is one of :class:`lab.workbench.Workbench`."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    def write(self, actor: Actor, writes: Sequence[Write]) -> list[Outcome]:
        return self._bench.write(actor, writes)

    def take(self, actor: Actor, session: str, queue: str, n: int) -> list[DeskItem]:
        return self._bench.desk_items(actor, session, queue, n)

    def peek(self, queue: str, n: int) -> list[DeskItem]:
        """For reading: held by nobody, so few are enough."""
        return self._bench.desk_peek(queue, min(n, PEEK))

    def show(self, prompt_id: str) -> DeskItem | None:
        return self._bench.show_item(prompt_id)

    def states(self, ids: Sequence[str]) -> dict[str, State]:
        return {one: state for one, (_, state) in self._bench.state(ids).items()}

    def release(self, session: str) -> int:
        return self._bench.release(session)

    def left(self, queue: str) -> int:
        return next((one.left for one in self._bench.queues() if one.name == queue), 0)

    def next_queue(self, queue: str) -> dict[str, Any] | None:
        found = self._bench.next_queue(queue)
        return {"name": found.name, "title": found.title, "left": found.left} if found else None

    def neighbours(self, prompt_id: str, k: int) -> list[tuple[Prompt, State, float]]:
        return self._bench.desk_neighbours(prompt_id, k)

    def apply_batch(self, actor: Actor, request: str, title: str, queue: str, changes: Sequence[tuple[str, State, State]]) -> dict[str, Any]:
        """Once for each ``request``: the desk asks again when an answer is lost."""
        known = next((one for one in self._bench.batches() if one.detail.get("request") == request), None)
        if known:
            return _told(BatchResult(known.id, known.n, len(changes) - known.n))
        made = [Change(prompt_id, seen, after, title) for prompt_id, seen, after in changes]
        return _told(self._bench.apply_batch(actor, title, made, queue, detail={"request": request}))

    def revert_batch(self, actor: Actor, batch_id: str) -> dict[str, Any]:
        return _told(self._bench.revert_batch(actor, batch_id))


def _told(result: BatchResult) -> dict[str, Any]:
    return {"batch": result.id, "applied": result.applied, "conflicts": result.conflicts}
