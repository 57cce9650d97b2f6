"""How fast one address may be asked, and how much a run may spend."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from lab.benchmark.endpoints import Endpoint

FIRST_WAIT_S, LONGEST_WAIT_S, LONGEST_ASKED_S = 0.5, 30.0, 120.0


def back_off_s(attempt: int, asked_s: float | None, chance: random.Random) -> float:
    """Wait after try ``attempt`` (from 1): exponential with full jitter (Brooker 2015), at least what the server asked for."""
    wait = chance.uniform(0, min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (attempt - 1)))
    return wait if asked_s is None else min(asked_s, LONGEST_ASKED_S) + wait


class Pace:
    """One address: evenly spaced starts for its rate limit, and a pause for all after a 429. Models at one address share it."""

    def __init__(self, endpoints: Sequence[Endpoint], concurrency: int) -> None:
        own = [one.concurrency for one in endpoints if one.concurrency]
        rates = [one.requests_per_minute for one in endpoints if one.requests_per_minute]
        self.concurrency = min([*own, concurrency])
        self._gap_s = 60 / min(rates) if rates else 0.0
        self._next = 0.0

    async def turn(self, gate: asyncio.Semaphore) -> None:
        """Returns with a place in ``gate`` when the next call may start. Who waits for the address leaves the place to others."""
        while True:
            await gate.acquire()
            now = time.monotonic()
            if now >= self._next:
                self._next = now + self._gap_s
                return
            gate.release()
            await asyncio.sleep(self._next - now)

    def pause(self, seconds: float) -> None:
        self._next = max(self._next, time.monotonic() + min(seconds, LONGEST_ASKED_S))


@dataclass
class Budget:
    """Never passed: before each try its greatest possible cost is set aside. ``spent_usd`` of a try without reported tokens is that."""

    most_calls: int | None = None
    most_usd: float | None = None
    calls: int = 0
    spent_usd: float = 0.0
    set_aside_usd: float = 0.0

    def fits(self, reserve_usd: float) -> bool:
        if self.most_calls is not None and self.calls >= self.most_calls:
            return False
        return self.most_usd is None or self.spent_usd + self.set_aside_usd + reserve_usd <= self.most_usd + 1e-12

    def start(self, reserve_usd: float) -> None:
        self.calls += 1
        self.set_aside_usd += reserve_usd

    def end(self, reserve_usd: float, cost_usd: float | None) -> None:
        self.set_aside_usd = max(0.0, self.set_aside_usd - reserve_usd)
        self.spent_usd += reserve_usd if cost_usd is None else cost_usd

    @property
    def could_fit_later(self) -> bool:
        """Whether tries still under way may give something back."""
        return self.set_aside_usd > 0 and (self.most_calls is None or self.calls < self.most_calls)


def reserve_usd(endpoint: Endpoint, content: str) -> float:
    """The most a try can cost: a token is at least one byte, the template around a message under 100 tokens, the answer max_tokens."""
    return endpoint.cost_usd(len(content.encode()) + 100, max(endpoint.max_tokens, int(endpoint.extra.get("max_completion_tokens") or 0))) or 0.0
