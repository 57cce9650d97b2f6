"""One cell from its first try to its row. Waiting and retries stay out of the measured latency."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lab.benchmark.client import Asker, CallFailed, Reply
from lab.benchmark.ledger import Ledger
from lab.benchmark.limits import Budget, Pace, back_off_s, reserve_usd
from lab.benchmark.plan import Cell
from lab.benchmark.scoring.dispatch import score
from lab.errors import LabError
from lab.selector.records import FAILED

FREE = frozenset({"connection", "rate limit", "authentication", "bad request", "not found", "redirect", "address"})
"""Failed tries that cost nothing; any other may have cost all that was set aside for it."""


class Spent(Exception):
    """The next try does not fit the budget, or the run ends."""


@dataclass
class Desk:
    """What the workers of a run share."""

    asker: Asker
    ledger: Ledger
    budget: Budget
    gate: asyncio.Semaphore
    chance: random.Random
    code: bool
    told: Callable[[], None]
    stop: asyncio.Event
    in_flight: int = 0
    """Tries sent whose outcome is not yet written or waited over."""
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    codes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))


async def answer(cell: Cell, desk: Desk, pace: Pace, mode: str) -> dict[str, Any]:
    """The row; the caller takes one off ``desk.in_flight`` when it is written. Raises Spent when the run ends before there is an answer."""
    waited_s, sent_at, reserve = 0.0, "", reserve_usd(cell.endpoint, cell.content)
    clock = asyncio.get_running_loop().time
    begun = clock()
    for attempt in range(1, cell.endpoint.retries + 2):
        await pace.turn(desk.gate)
        try:
            await _fits(desk, reserve)
            desk.in_flight += 1
            desk.budget.start(reserve)
            desk.ledger.start(cell.call)
            desk.told()
            sent_at = datetime.now(UTC).isoformat(timespec="milliseconds")
            reply = await _try(cell, desk, mode, reserve)
        finally:
            desk.gate.release()
        if isinstance(reply, Reply):
            value = await _scored(cell, desk, reply.text)
            return _row(cell, _kept(reply.text), value, reply, attempt, waited_s, sent_at)
        if reply.cause == "rate limit" and reply.retry_after_s:
            pace.pause(reply.retry_after_s)
        if not reply.retryable or attempt > cell.endpoint.retries:
            return _failure(cell, reply, attempt, waited_s, sent_at, clock() - begun)
        desk.in_flight -= 1
        wait = back_off_s(attempt, reply.retry_after_s, desk.chance)
        waited_s += wait
        await asyncio.sleep(wait)
    raise AssertionError("the last try returns")


async def _fits(desk: Desk, reserve: float) -> None:
    while desk.stop.is_set() or not desk.budget.fits(reserve):
        if desk.stop.is_set() or not desk.budget.could_fit_later:
            raise Spent
        desk.settled.clear()
        await desk.settled.wait()


async def _try(cell: Cell, desk: Desk, mode: str, reserve: float) -> Reply | CallFailed:
    cost: float | None = None
    try:
        reply = await desk.asker.ask(cell.endpoint, cell.content, mode)
        cost = cell.endpoint.cost_usd(reply.prompt_tokens, reply.completion_tokens)
        return reply
    except CallFailed as failed:
        cost = 0.0 if failed.cause in FREE else None
        return failed
    except LabError as error:
        cost = 0.0
        return CallFailed("address", desk.asker.redact(str(error)))
    finally:
        desk.budget.end(reserve, cost)
        desk.settled.set()


async def _scored(cell: Cell, desk: Desk, text: str):
    if (cell.query.metric or "").lower() != "code_eval" or not desk.code:
        return score(cell.query.query, text, cell.query.ground_truth, cell.query.metric, cell.query.choices)
    async with desk.codes:
        return await asyncio.to_thread(
            score, cell.query.query, text, cell.query.ground_truth, cell.query.metric, cell.query.choices, True
        )


def _kept(text: str) -> str:
    """An answer that begins as a failed call does gets a space before it, so that no reader takes it for one."""
    return f" {text}" if text.startswith(FAILED) else text


def _row(cell: Cell, text: str, value, reply: Reply, attempts: int, waited_s: float, sent_at: str) -> dict[str, Any]:
    row = {
        "query": cell.query.query, "model_name": cell.endpoint.name, "response": text, "performance": value.value,
        "response_time": round(reply.latency_s, 6), "cost": cell.endpoint.cost_usd(reply.prompt_tokens, reply.completion_tokens),
        **cell.query.fields(),
        "status": "ok", "rule": value.rule, "explanation": value.explanation, "attempts": attempts, "retry_wait_s": round(waited_s, 3),
        "time_to_first_token_s": None if reply.first_token_s is None else round(reply.first_token_s, 6),
        "prompt_tokens": reply.prompt_tokens, "completion_tokens": reply.completion_tokens, "finish_reason": reply.finish_reason,
        "sent_at": sent_at, "call": cell.call,
    }  # fmt: skip
    return {key: one for key, one in row.items() if one is not None or key == "performance"}


def _failure(cell: Cell, failed: CallFailed, attempts: int, waited_s: float, sent_at: str, after_s: float) -> dict[str, Any]:
    """A failed call has no latency and no score; ``failed_after_s`` is all its time."""
    return {
        "query": cell.query.query, "model_name": cell.endpoint.name, "response": f"{FAILED}{failed}", "performance": None, **cell.query.fields(),
        "status": "failed", "cause": failed.cause, "explanation": failed.message, "attempts": attempts, "retry_wait_s": round(waited_s, 3),
        "failed_after_s": round(after_s, 3), "sent_at": sent_at, "call": cell.call,
    }  # fmt: skip
