"""One small request to each model before the first query: reachable, allowed, known, and whether it streams."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from lab.benchmark.client import Asker, CallFailed, Reply
from lab.benchmark.endpoints import Endpoint
from lab.errors import LabError

MODES = ("stream with usage", "stream", "plain")
QUESTION, MOST_TOKENS, WAIT_S = "Reply with: OK", 16, 30.0
TRIES = 3


@dataclass(frozen=True)
class Health:
    """``mode``: how this model will be asked. ``tokens``: whether it reports them, which costs need."""

    name: str
    ok: bool
    mode: str = "plain"
    latency_s: float | None = None
    first_token_s: float | None = None
    tokens: bool = False
    cause: str = ""
    message: str = ""


async def check(asker: Asker, endpoints: Sequence[Endpoint], at_once: int = 8) -> list[Health]:
    """In the order of ``endpoints``."""
    gate = asyncio.Semaphore(at_once)

    async def one(endpoint: Endpoint) -> Health:
        async with gate:
            return await _check(asker, endpoint)

    return list(await asyncio.gather(*(one(endpoint) for endpoint in endpoints)))


async def _check(asker: Asker, endpoint: Endpoint) -> Health:
    asked = dataclasses.replace(endpoint, max_tokens=min(endpoint.max_tokens, MOST_TOKENS), timeout_s=min(endpoint.timeout_s, WAIT_S))
    modes = MODES if endpoint.stream is None else MODES[:2] if endpoint.stream else MODES[2:]
    try:
        for mode in modes:
            try:
                reply = await _patiently(asker, asked, mode)
            except CallFailed as failed:
                refused = failed.cause in ("bad request", "malformed", "truncated") or "501" in failed.message
                if not refused or mode == modes[-1]:
                    raise
                continue
            kept = mode if reply.streamed or endpoint.stream else "plain"
            return Health(endpoint.name, True, kept, reply.latency_s, reply.first_token_s, reply.completion_tokens is not None)
    except CallFailed as failed:
        return Health(endpoint.name, False, cause=failed.cause, message=failed.message)
    except LabError as error:
        return Health(endpoint.name, False, cause="address", message=asker.redact(str(error)))
    raise AssertionError("a mode answers or raises")


async def _patiently(asker: Asker, endpoint: Endpoint, mode: str) -> Reply:
    """A busy server is not an ill one: 429 and 5xx get a second and a third try."""
    for attempt in range(1, TRIES):
        try:
            return await asker.ask(endpoint, QUESTION, mode)
        except CallFailed as failed:
            if failed.cause not in ("rate limit", "server error"):
                raise
            await asyncio.sleep(min(failed.retry_after_s or 0.3 * attempt, 5.0))
    return await asker.ask(endpoint, QUESTION, mode)
