"""The run: workers for each address, one writer, one clock that tells and listens."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from lab.benchmark.addresses import Lookup, system_lookup
from lab.benchmark.answer import Desk, Spent, answer
from lab.benchmark.client import Asker
from lab.benchmark.endpoints import Endpoint, Models
from lab.benchmark.health import Health, check
from lab.benchmark.ledger import Ledger, Place, read_rows
from lab.benchmark.limits import Budget, Pace, reserve_usd
from lab.benchmark.plan import Cell, Plan, cells, check_budget, pair_key
from lab.benchmark.queries import Query
from lab.benchmark.rules import Rules
from lab.benchmark.sandbox import check_isolation
from lab.benchmark.tally import ModelTally, Tally
from lab.errors import ArtefactError, InputError, LabError
from lab.files import write_json

TICK_S, GRACE_S = 0.5, 10.0
Tell = Callable[[dict[str, Any]], None]


def run(models: Models, queries: Sequence[Query], place: Place, plan: Plan, rules: Rules, tell: Tell = lambda status: None, lookup: Lookup = system_lookup) -> dict[str, Any]:  # fmt: skip
    """Ask every model every query that has no row yet, and return the last status. A LabError before the first query leaves no row."""
    check_budget(plan, models.endpoints)
    if plan.code and any((one.metric or "").lower() == "code_eval" for one in queries):
        check_isolation()
    ledger = Ledger(place)
    try:
        return asyncio.run(_Run(models, queries, ledger, plan, rules, tell, lookup).go())
    finally:
        ledger.close()


class _Run:
    def __init__(self, models: Models, queries: Sequence[Query], ledger: Ledger, plan: Plan, rules: Rules, tell: Tell, lookup: Lookup) -> None:
        self.models, self.queries, self.ledger, self.plan, self.rules, self.tell, self.lookup = models, queries, ledger, plan, rules, tell, lookup
        self.place = ledger.place
        self.done: set[str] = set()
        self.pending: list[tuple[int, dict[str, Any]]] = []
        """Rows written and not yet synced, as (number, row without its texts)."""
        self.phase, self.message, self.heartbeat = "checking", "", 0
        self.started_at = _now()
        self.may_go, self.stop, self.dirty = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.may_go.set()
        self.why: str | None = None
        self.in_a_row: dict[str, int] = defaultdict(int)
        self.health: list[Health] = []
        self.tally = self._resume()

    def _resume(self) -> Tally:
        """Counts of the rows that are there. InputError if some were made by other requests."""
        endpoints = self.models.endpoints
        wanted = {cell.pair: cell.call for cell in cells(endpoints, self.queries, self.plan.concise)}
        tally = Tally({one.name: ModelTally(total=len(self.queries)) for one in endpoints}, cut_bytes=self.ledger.cut_bytes)
        others = attempts = spent = 0
        for row in read_rows(self.place.rows):
            attempts += int(row.get("attempts") or 0)
            spent += row.get("cost") or 0.0
            call = wanted.get(pair_key(row["model_name"], row["query"]))
            if call is None or (self.plan.retry_failed and row.get("status") == "failed" and row.get("call") == call):
                continue
            others += row.get("call") != call
            self.done.add(call)
            tally.add(row)
        if others:
            raise InputError(
                f"{self.place.rows.name} has {others} answers to other requests (other max_tokens, temperature, wording …).", "Name another output."
            )
        tally.calls = self.ledger.started
        tally.interrupted = max(0, tally.calls - attempts) if not self.plan.retry_failed else 0
        worst = max((reserve_usd(one, max((q.query for q in self.queries), key=len)) for one in endpoints), default=0.0)
        self.budget = Budget(self.plan.most_calls, self.plan.most_usd, tally.calls, spent + tally.interrupted * worst)
        return tally

    async def go(self) -> dict[str, Any]:
        self._listen()
        clock = asyncio.create_task(self._clock())
        writer = asyncio.create_task(self._writer())
        try:
            async with Asker(self.rules, self.models.redact, self.lookup) as asker:
                await self._check(asker)
                self.phase = "running" if self.phase == "checking" else self.phase
                await self._work(asker)
            self.phase = self.why or ("stopped" if self.tally.left_out else "done")
        except LabError as error:
            self.phase, self.message = "failed", self.models.redact(str(error))
            raise
        finally:
            clock.cancel()
            writer.cancel()
            await asyncio.gather(clock, writer, return_exceptions=True)
            self._count(await self.ledger.sync())
            status = self._status()
            self._keep(status)
        return status

    def _listen(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.place.control.unlink()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, self._end, "cancelled")

    def _end(self, why: str) -> None:
        self.why = self.why or why
        self.stop.set()
        self.may_go.set()

    async def _check(self, asker: Asker) -> None:
        """Health of every model that still has something to answer. InputError if one is ill and the plan does not leave it out."""
        open_models = {cell.endpoint.name for cell in self._open(self.models.endpoints)}
        self.health = await check(asker, [one for one in self.models.endpoints if one.name in open_models])
        ill = [one for one in self.health if not one.ok]
        for one in ill:
            self.tally.left_out[one.name] = f"{one.cause}: {one.message}"
        if ill and (not self.plan.skip_unhealthy or len(ill) == len(self.health)):
            told = "; ".join(f"{one.name}: {one.cause}: {one.message}" for one in ill)
            raise InputError(self.models.redact(f"{len(ill)} of {len(self.health)} models do not answer: {told}"), "Mend them, or leave them out (--skip-unhealthy).")

    def _open(self, endpoints: Sequence[Endpoint]) -> Iterator[Cell]:
        for cell in cells(endpoints, self.queries, self.plan.concise):
            if cell.call not in self.done:
                yield cell

    async def _work(self, asker: Asker) -> None:
        desk = Desk(asker, self.ledger, self.budget, asyncio.Semaphore(self.plan.concurrency), random.Random(self.plan.seed), self.plan.code, self._sent, self.stop)
        by_address: dict[str, list[Endpoint]] = defaultdict(list)
        for one in self.models.endpoints:
            by_address[one.url].append(one)
        modes = {one.name: one.mode for one in self.health}
        tasks = []
        for endpoints in by_address.values():
            pace, todo = Pace(endpoints, self.plan.concurrency), self._open(endpoints)
            tasks += [asyncio.create_task(self._worker(todo, desk, pace, modes)) for _ in range(pace.concurrency)]
        stopping = asyncio.create_task(self.stop.wait())
        try:
            while not all(task.done() for task in tasks) and not self.stop.is_set():
                await asyncio.wait([*(task for task in tasks if not task.done()), stopping], return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    if task.done() and task.exception():
                        raise task.exception()
            await self._land(desk)
        finally:
            for task in (*tasks, stopping):
                task.cancel()
            await asyncio.gather(*tasks, stopping, return_exceptions=True)

    async def _land(self, desk: Desk) -> None:
        """Wait for answers that are paid for: for all at the end of a budget, for a while when cancelled."""
        end = asyncio.get_running_loop().time() + GRACE_S
        while desk.in_flight and (self.why != "cancelled" or asyncio.get_running_loop().time() < end):
            await asyncio.sleep(0.05)

    async def _worker(self, todo: Iterator[Cell], desk: Desk, pace: Pace, modes: dict[str, str]) -> None:
        for cell in todo:
            await self.may_go.wait()
            if self.stop.is_set():
                return
            if cell.endpoint.name in self.tally.left_out:
                continue
            try:
                row = await answer(cell, desk, pace, modes.get(cell.endpoint.name, "plain"))
            except Spent:
                return self._end("budget")
            self.ledger.append(row)
            desk.in_flight -= 1
            self.pending.append((self.ledger.written, {key: value for key, value in row.items() if key not in ("query", "response", "choices", "ground_truth")}))
            self.dirty.set()
            self._watch(row)

    def _watch(self, row: dict[str, Any]) -> None:
        """A model that only fails is not asked to the end."""
        name = row["model_name"]
        self.in_a_row[name] = self.in_a_row[name] + 1 if row["status"] == "failed" else 0
        if self.in_a_row[name] >= self.plan.give_up_after:
            self.tally.left_out[name] = f"given up after {self.in_a_row[name]} failed answers in a row; the last: {row['cause']}: {row['explanation']}"

    def _sent(self) -> None:
        self.tally.calls += 1

    async def _writer(self) -> None:
        while True:
            await self.dirty.wait()
            self.dirty.clear()
            self._count(await self.ledger.sync())

    def _count(self, synced: int) -> None:
        """Only what is safe on disk is told as done."""
        safe = [row for number, row in self.pending if number <= synced]
        self.pending = [one for one in self.pending if one[0] > synced]
        for row in safe:
            self.tally.add(row)

    async def _clock(self) -> None:
        while True:
            self._obey()
            await asyncio.to_thread(self._keep, self._status())
            await asyncio.sleep(TICK_S)

    def _obey(self) -> None:
        try:
            wish = self.place.control.read_text(encoding="utf-8").strip()
        except OSError:
            wish = ""
        if wish == "cancel":
            self._end("cancelled")
        elif wish == "pause" and self.phase == "running":
            self.phase = "paused"
            self.may_go.clear()
        elif wish == "" and self.phase == "paused":
            self.phase = "running"
            self.tally.pause()
            self.may_go.set()

    def _status(self) -> dict[str, Any]:
        self.heartbeat += 1
        status = {"version": 1, "phase": self.phase, "message": self.message, "heartbeat": self.heartbeat, "started_at": self.started_at, "updated_at": _now()}
        status |= self.tally.to_json() | {"budget": {"calls": self.plan.most_calls, "usd": self.plan.most_usd, "reserved_and_spent_usd": self.budget.spent_usd}}
        status["health"] = [vars(one) for one in self.health]
        return status

    def _keep(self, status: dict[str, Any]) -> None:
        with contextlib.suppress(ArtefactError):  # a full disk is told by the rows, not by the status
            write_json(self.place.status, status)
        self.tell(status)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
