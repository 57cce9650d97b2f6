"""Rows from elsewhere: outcome files of the source system, and answers stored by earlier runs that are scored again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.benchmark.ledger import broken_lines, read_rows
from lab.benchmark.queries import Query
from lab.benchmark.scoring.dispatch import score
from lab.errors import InputError
from lab.files import check_output, jsonl_dump, write_bytes
from lab.selector.records import FAILED, Outcomes, parse_outcomes, records
from lab.text.prepare import text_id

HELD_OUT = 5


@dataclass(frozen=True)
class Rescored:
    """``changes``: the first of (query, model, before, after). ``unscored``: answers without a score now; ``broken``: lines left out."""

    n: int
    changed: int
    unscored: int
    failed: int
    broken: int
    changes: list[tuple[str, str, float | None, float | None]] = field(default_factory=list)


def import_rows(data: bytes, name: str, output: Path) -> Outcomes:
    """Write the usable records of an outcome file as rows of a run; failed calls stay, as failed. InputError if nothing can be used."""
    check_output(output)
    if output.exists() and output.stat().st_size:
        raise InputError(f"{output.name} exists.", "Name a new output.")
    outcomes = parse_outcomes(data, name, keep_failed=True)
    write_bytes(output, jsonl_dump(_imported(outcomes)))
    return outcomes


def _imported(outcomes: Outcomes) -> Iterator[dict[str, Any]]:
    for row in records(outcomes.rows):
        message = str(row.get("response") or "")
        if message.startswith(FAILED):
            failed = {"status": "failed", "cause": "imported", "explanation": message.removeprefix(FAILED)[:300], "failed_after_s": row.pop("response_time", None)}
            yield row | failed | {"performance": None}
        else:
            yield {"status": "ok", "rule": "as imported"} | row


def rescore(rows: Path, output: Path, code: bool = False, queries: list[Query] | None = None) -> Rescored:
    """Score stored answers again. ``queries``: newer ground truths and metrics, by query text. Rows without an answer keep their score."""
    check_output(output)
    newer = {one.query: one for one in queries or []}
    out, changes, changed, unscored, failed = [], [], 0, 0, 0
    for row in read_rows(rows):
        before = row.get("performance")
        if row.get("status") == "failed" or not isinstance(row.get("response"), str):
            failed += row.get("status") == "failed"
            out.append(row)
            continue
        one = newer.get(row["query"])
        given = {key: getattr(one, key) for key in ("ground_truth", "metric", "choices")} if one else {key: row.get(key) for key in ("ground_truth", "metric", "choices")}
        value = score(row["query"], row["response"], given["ground_truth"], given["metric"], given["choices"], code)
        out.append(row | {key: text for key, text in given.items() if text is not None} | {"performance": value.value, "rule": value.rule, "explanation": value.explanation})
        unscored += value.value is None
        if value.value != before:
            changed += 1
            changes = changes if len(changes) >= 20 else [*changes, (row["query"], row["model_name"], before, value.value)]
    if not out:
        raise InputError(f"{rows} has no rows.", "Name the rows of a run.")
    write_bytes(output, jsonl_dump(out))
    return Rescored(len(out), changed, unscored, failed, broken_lines(rows), changes)


def training_rows(rows: Path) -> Iterator[dict[str, Any]]:
    """What selectors learn from, here and in the source system: scored answers, without the run's own fields.

    Where the queries brought no split, one query in HELD_OUT is for judging, by the hash of its text.
    """
    keep = ("query", "category", "model_name", "response", "ground_truth", "performance", "response_time", "task_name", "metric", "choices", "cost", "split")
    for row in read_rows(rows):
        if row.get("status") != "failed" and row.get("performance") is not None:
            side = "test" if int(text_id(row["query"])[:8], 16) % HELD_OUT == 0 else "train"
            yield {"split": side} | {key: row[key] for key in keep if row.get(key) is not None}
