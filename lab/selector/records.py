"""Outcome records, one per query and model (spec selectors.md §2), from JSONL, CSV or Parquet. Nothing is left out without a reason."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.errors import InputError
from lab.files import jsonl_parse
from lab.text.prepare import fault

FAILED = "Error: "
"""How a response starts that the source system's benchmark wrote for a call that failed."""
KNOWN = ("query", "category", "model_name", "performance", "response_time", "cost", "split")


@dataclass(frozen=True)
class Outcome:
    """``quality`` in [0, 1]; ``latency_s`` and ``cost_usd`` None where unknown; ``extra`` holds every other field as it came."""

    query: str
    category: str | None
    model: str
    quality: float
    latency_s: float | None
    cost_usd: float | None
    split: str | None
    extra: dict[str, Any]


@dataclass(frozen=True)
class Refusal:
    where: str
    reason: str


@dataclass(frozen=True)
class Outcomes:
    """``failed``: calls that failed and were left out; ``unscored``: records without a performance."""

    rows: list[Outcome]
    refused: list[Refusal] = field(default_factory=list)
    failed: int = 0
    unscored: int = 0


def read_outcomes(path: Path, keep_failed: bool = False, limit: int | None = None) -> Outcomes:
    """InputError if there is no such file or nothing in it can be used. ``limit``: records of at most so many queries."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; a file of outcome records was expected.", "Name one JSONL, CSV or Parquet file.")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.", "Check the path.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check the path and its permissions.") from None
    return parse_outcomes(data, path.name, keep_failed, limit)


def parse_outcomes(data: bytes, name: str, keep_failed: bool = False, limit: int | None = None) -> Outcomes:
    """As :func:`read_outcomes`, from bytes (an upload); the format is told by the name's ending."""
    if limit is not None and limit < 1:
        raise InputError(f"The limit is {limit}.", "Use 1 or more.")
    name, data = _unzipped(name, data)
    ending = name.rsplit(".", 1)[-1].lower() if "." in name else ""
    readers = {"csv": _csv, "parquet": _parquet, "pq": _parquet}
    out = Outcomes([])
    rows, refused, failed, unscored, seen = out.rows, out.refused, 0, 0, set()
    for place, value in readers.get(ending, _jsonl)(data, name):
        where = f"{name}:{place}"
        if isinstance(value, str):
            refused.append(Refusal(where, value))
            continue
        if not keep_failed and str(value.get("response") or "").startswith(FAILED):
            failed += 1
            continue
        if value.get("performance") is None and "performance" in value:
            unscored += 1
            continue
        one = _outcome(value)
        if isinstance(one, str):
            refused.append(Refusal(where, one))
        elif limit is None or one.query in seen or len(seen) < limit:
            seen.add(one.query)
            rows.append(one)
    if not rows:
        first = f" First: {refused[0].where}: {refused[0].reason}." if refused else ""
        raise InputError(
            f"{name} has no outcome record that can be used ({len(refused)} refused, {failed} failed calls, {unscored} without a score).{first}",
            "Each record needs query, model_name and performance (0 to 1).",
        )
    return Outcomes(rows, refused, failed, unscored)


def _unzipped(name: str, data: bytes) -> tuple[str, bytes]:
    if not name.lower().endswith(".gz"):
        return name, data
    import gzip
    import zlib

    try:
        return name[:-3], gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name} is not a whole gzip file ({error}).", "Pack it again.") from None


def _jsonl(data: bytes, name: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    yield from jsonl_parse(data)


def _csv(data: bytes, name: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
        for row in reader:
            if None in row:
                yield reader.line_num, f"{len(row[None])} more cells than the head has columns"
            else:
                yield reader.line_num, {key: value for key, value in row.items() if value not in ("", None)}
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 (byte {error.start}).", "Save it as UTF-8.") from None
    except csv.Error as error:
        raise InputError(f"{name} is not CSV: {error}.", "Save it as CSV with a head line.") from None


def _parquet(data: bytes, name: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(pyarrow.BufferReader(data))
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{name} is not Parquet: {str(error).splitlines()[0][:200]}.", "Write it again.") from None
    yield from enumerate(table.to_pylist(), start=1)


def _outcome(value: dict[str, Any]) -> Outcome | str:
    """The record, or why it is refused."""
    missing = [key for key in ("query", "model_name", "performance") if value.get(key) in (None, "")]
    if missing:
        return f"{', '.join(missing)} missing"
    query, model, category = value["query"], value["model_name"], value.get("category")
    problem = fault(query)
    if problem:
        return problem.replace("the prompt", "the query", 1)
    if not isinstance(model, str) or not model.strip():
        return f"model_name is {model!r:.40}, expected a name"
    if category is not None and not isinstance(category, str):
        return f"category is {category!r:.40}, expected a name"
    numbers = [_number(value.get(key), key, high) for key, high in (("performance", 1.0), ("response_time", None), ("cost", None))]
    wrong = next((one for one in numbers if isinstance(one, str)), None)
    if wrong:
        return wrong
    quality, latency_s, cost_usd = numbers
    split = value.get("split")
    extra = {key: one for key, one in value.items() if key not in KNOWN}
    return Outcome(query, category or None, model.strip(), quality, latency_s, cost_usd, str(split) if split else None, extra)


def _number(value: Any, key: str, high: float | None) -> float | str | None:
    """The number, None if absent, or what is wrong with it."""
    if value is None:
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return f"{key} is {value!r:.40}, expected a number"
    if not math.isfinite(number):
        return f"{key} is {value!r:.40}, expected a finite number"
    if number < 0 or (high is not None and number > high):
        return f"{key} is {number:g}, expected {'0 or more' if high is None else f'0 to {high:g}'}"
    return number


def records(rows: Iterable[Outcome]) -> Iterator[dict[str, Any]]:
    """Back to the written form, unknown fields included."""
    for row in rows:
        named = {
            "query": row.query, "category": row.category, "model_name": row.model, "performance": row.quality,
            "response_time": row.latency_s, "cost": row.cost_usd, "split": row.split,
        }  # fmt: skip
        yield {key: value for key, value in named.items() if value is not None} | row.extra
