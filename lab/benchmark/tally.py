"""Counts of a run as it goes: what the status file says."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

PHASES = ("checking", "running", "paused", "done", "budget", "stopped", "cancelled", "failed")
"""Closed. "budget": its budget was used up; "stopped": some models were given up; "interrupted" is what a page says of a dead process."""
OVER = ("done", "budget", "stopped", "cancelled", "failed")
WINDOW_S = 30.0


@dataclass
class ModelTally:
    """Sums over the answers of one model; a mean is a sum over its own count."""

    total: int = 0
    ok: int = 0
    failed: int = 0
    scored: int = 0
    quality: float = 0.0
    latency_s: float = 0.0
    first_token_s: float = 0.0
    streamed: int = 0
    cost_usd: float = 0.0
    costed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    retries: int = 0

    def add(self, row: dict[str, Any]) -> None:
        self.retries += max(0, int(row.get("attempts") or 1) - 1)
        if row.get("status") == "failed":
            self.failed += 1
            return
        self.ok += 1
        if row.get("performance") is not None:
            self.scored += 1
            self.quality += row["performance"]
        self.latency_s += row.get("response_time") or 0.0
        if row.get("time_to_first_token_s") is not None:
            self.streamed += 1
            self.first_token_s += row["time_to_first_token_s"]
        if row.get("cost") is not None:
            self.costed += 1
            self.cost_usd += row["cost"]
        self.prompt_tokens += row.get("prompt_tokens") or 0
        self.completion_tokens += row.get("completion_tokens") or 0

    def to_json(self) -> dict[str, Any]:
        def mean(total: float, n: int) -> float | None:
            return total / n if n else None

        return {
            "total": self.total, "ok": self.ok, "failed": self.failed, "scored": self.scored, "retries": self.retries,
            "quality": mean(self.quality, self.scored), "latency_s": mean(self.latency_s, self.ok), "first_token_s": mean(self.first_token_s, self.streamed),
            "cost_usd": self.cost_usd if self.costed else None, "cost_unknown": self.ok - self.costed,
            "prompt_tokens": self.prompt_tokens, "completion_tokens": self.completion_tokens,
        }  # fmt: skip


@dataclass
class Tally:
    """All counts of a run. ``interrupted``: tries whose process died before their answer was written; their cells are asked again."""

    models: dict[str, ModelTally]
    calls: int = 0
    interrupted: int = 0
    cut_bytes: int = 0
    causes: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, row: dict[str, Any]) -> None:
        one = self.models.get(str(row.get("model_name")))
        if one is None:
            return
        one.add(row)
        if row.get("status") == "failed":
            cause = self.causes.setdefault(str(row.get("cause")), {"n": 0, "models": Counter(), "example": str(row.get("explanation"))})
            cause["n"] += 1
            cause["models"][row["model_name"]] += 1

    @property
    def total(self) -> int:
        return sum(one.total for one in self.models.values())

    @property
    def done(self) -> int:
        return sum(one.ok + one.failed for one in self.models.values())

    def rate(self) -> float | None:
        """Answers per second over the last half minute."""
        now = time.monotonic()
        self._seen.append((now, self.done))
        while len(self._seen) > 2 and now - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()
        (start, before), (end, after) = self._seen[0], self._seen[-1]
        return (after - before) / (end - start) if end - start > 0.2 else None

    def pause(self) -> None:
        """What stood still does not slow the rate shown."""
        self._seen.clear()

    def to_json(self) -> dict[str, Any]:
        rate, left = self.rate(), self.total - self.done
        costs = [one.cost_usd for one in self.models.values() if one.costed]
        return {
            "total": self.total, "done": self.done, "failed": sum(one.failed for one in self.models.values()), "calls": self.calls,
            "interrupted": self.interrupted, "cut_bytes": self.cut_bytes, "cost_usd": sum(costs) if costs else None,
            "rate_per_s": rate, "remaining_s": left / rate if rate else None, "left_out": self.left_out,
            "causes": {name: cause | {"models": dict(cause["models"])} for name, cause in sorted(self.causes.items(), key=lambda item: -item[1]["n"])},
            "models": {name: one.to_json() for name, one in self.models.items()},
        }  # fmt: skip
