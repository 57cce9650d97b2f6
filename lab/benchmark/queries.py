"""Queries JSONL, or an outcome file whose queries are asked again (spec selectors.md §6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.errors import InputError
from lab.files import jsonl_parse
from lab.text.prepare import fault

OWN = ("query", "category", "ground_truth", "metric", "choices", "task_name")
RESULTS = frozenset({
    "model_name", "response", "performance", "response_time", "cost", "call", "status", "cause", "rule", "explanation", "attempts", "retry_wait_s",
    "failed_after_s", "finish_reason", "time_to_first_token_s", "prompt_tokens", "completion_tokens", "sent_at",
})  # fmt: skip
"""What a run adds to a query: dropped when an outcome file is read as queries."""


@dataclass(frozen=True)
class Query:
    """``ground_truth`` None: the answers get no score. ``extra``: fields of the line that are carried into the rows as they are."""

    query: str
    category: str | None = None
    ground_truth: Any = None
    metric: str | None = None
    choices: Any = None
    task_name: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        return {key: value for key in OWN[1:] if (value := getattr(self, key)) is not None} | self.extra


@dataclass(frozen=True)
class Queries:
    """``repeated``: lines with a query already seen (the first counts); ``differing`` of them said something else about it."""

    rows: list[Query]
    refused: list[tuple[str, str]] = field(default_factory=list)
    repeated: int = 0
    differing: int = 0

    @property
    def without_truth(self) -> int:
        return sum(one.ground_truth in (None, "") for one in self.rows)


def read_queries(path: Path, limit: int | None = None) -> Queries:
    """InputError if the file cannot be read or nothing in it can be asked."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from None
    return parse_queries(data, path.name, limit)


def parse_queries(data: bytes, name: str = "queries.jsonl", limit: int | None = None) -> Queries:
    """As :func:`read_queries`, from bytes (an upload). One query a text: selectors learn one row a text."""
    if limit is not None and limit < 1:
        raise InputError(f"The limit is {limit}.", "Use 1 or more.")
    seen: dict[str, Query] = {}
    refused: list[tuple[str, str]] = []
    repeated = differing = 0
    for line, one in _queries(data):
        if isinstance(one, str):
            refused.append((f"{name}:{line}", one))
        elif one.query in seen:
            repeated += 1
            differing += one != seen[one.query]
        elif limit is None or len(seen) < limit:
            seen[one.query] = one
    if not seen:
        first = f" First: {refused[0][0]}: {refused[0][1]}." if refused else ""
        raise InputError(f"{name} has no query that can be asked ({len(refused)} refused).{first}", 'One object a line: {"query": "…"}.')
    return Queries(list(seen.values()), refused, repeated, differing)


def _queries(data: bytes) -> Iterator[tuple[int, Query | str]]:
    for line, value in jsonl_parse(data):
        yield line, value if isinstance(value, str) else _query(value)


def _query(value: dict[str, Any]) -> Query | str:
    text = value.get("query")
    problem = fault(text) if isinstance(text, str) else "query is missing or no text"
    if problem:
        return problem.replace("the prompt", "the query", 1)
    for key in ("category", "metric", "task_name"):
        if value.get(key) is not None and not isinstance(value[key], str):
            return f"{key} is {value[key]!r:.40}, expected text"
    truth = value.get("ground_truth")
    if isinstance(truth, bool) or not isinstance(truth, str | int | float | list | None):
        return f"ground_truth is {truth!r:.40}, expected text, a number or a list"
    extra = {key: one for key, one in value.items() if key not in OWN and key not in RESULTS}
    return Query(text, *(value.get(key) if value.get(key) != "" else None for key in OWN[1:]), extra)
