"""What a run is asked to do, and the cells it consists of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lab.benchmark.endpoints import Endpoint, Models
from lab.benchmark.limits import reserve_usd
from lab.benchmark.prompts import content
from lab.benchmark.queries import Query
from lab.errors import InputError
from lab.files import canonical, sha256_bytes

MOST_AT_ONCE = 1_000


@dataclass(frozen=True)
class Plan:
    """``most_calls`` and ``most_usd`` hold over all resumes of a run; ``give_up_after``: failed answers in a row that end a model's part."""

    concurrency: int = 4
    concise: bool = False
    most_calls: int | None = None
    most_usd: float | None = None
    retry_failed: bool = False
    code: bool = False
    skip_unhealthy: bool = False
    give_up_after: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.concurrency <= MOST_AT_ONCE:
            raise InputError(f"The concurrency is {self.concurrency}.", f"Use 1 to {MOST_AT_ONCE}.")
        if (self.most_calls is not None and self.most_calls < 1) or (self.most_usd is not None and not self.most_usd > 0):
            raise InputError("A budget of nothing allows nothing.", "Use more than 0, or leave the budget out.")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Plan:
        return cls(**{key: one for key, one in value.items() if key in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Cell:
    """One query for one model. ``call`` names the request: what is sent to which model, wherever it runs."""

    endpoint: Endpoint
    query: Query
    content: str
    call: str

    @property
    def pair(self) -> str:
        return pair_key(self.endpoint.name, self.query.query)


def cells(endpoints: Sequence[Endpoint], queries: Sequence[Query], concise: bool) -> Iterator[Cell]:
    """Query by query, so that a run that stops early leaves whole queries behind."""
    for query in queries:
        text = content(query, concise)
        for endpoint in endpoints:
            yield Cell(endpoint, query, text, sha256_bytes(canonical([endpoint.name, endpoint.body(text)]))[:16])


def pair_key(model: str, query: str) -> str:
    return sha256_bytes(canonical([model, query]))[:24]


def check_budget(plan: Plan, endpoints: Sequence[Endpoint]) -> None:
    """InputError where a cost budget could not be kept."""
    unpriced = [one.name for one in endpoints if not one.priced]
    if plan.most_usd is not None and unpriced:
        raise InputError(
            f"A cost budget cannot be kept: no prices for {', '.join(unpriced)}.",
            "Write price_input_per_1k_usd and price_output_per_1k_usd (0 if it is free), or limit the calls instead.",
        )


def preview(plan: Plan, models: Models, queries: Sequence[Query]) -> dict[str, Any]:
    """A dry run: how many calls, what they could cost at most (None where a price is missing), and one request a model, no secret in it. Asks nobody."""
    endpoints = models.endpoints
    check_budget(plan, endpoints)
    most = sum(reserve_usd(one.endpoint, one.content) for one in cells(endpoints, queries, plan.concise))
    examples = [{"model": one.endpoint.name, "endpoint": one.endpoint.url, "request": one.endpoint.body(one.content)} for one in cells(endpoints, queries[:1], plan.concise)]
    return {
        "queries": len(queries), "models": len(endpoints), "calls": len(queries) * len(endpoints),
        "cost_usd_at_most": most if all(one.priced for one in endpoints) else None,
        "examples": models.redact.every(examples),
    }  # fmt: skip
