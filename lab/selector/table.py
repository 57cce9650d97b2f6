"""The (queries × models) table of outcomes, with its gaps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lab.errors import InputError
from lab.files import canonical, sha256_bytes
from lab.selector.records import Outcome

TRAIN_SIDES, TEST_SIDES = ("train",), ("val", "valid", "validation", "test", "dev")


@dataclass(frozen=True)
class Cells:
    """What happened: (n, M) float64 each, NaN for a gap. ``quality`` in [0, 1]; seconds and dollars at least 0."""

    quality: np.ndarray
    latency_s: np.ndarray
    cost_usd: np.ndarray

    def __post_init__(self) -> None:
        shapes = {self.quality.shape, self.latency_s.shape, self.cost_usd.shape}
        if len(shapes) != 1 or self.quality.ndim != 2:
            raise InputError(f"Quality, latency and cost have the shapes {sorted(map(str, shapes))}.", "Give three tables of one shape.")
        for name, values, high in (("quality", self.quality, 1.0), ("latency", self.latency_s, np.inf), ("cost", self.cost_usd, np.inf)):
            wrong = np.argwhere((values < 0) | (values > high) | np.isinf(values))
            if len(wrong):
                row, model = wrong[0]
                raise InputError(
                    f"The {name} of query {row}, model {model} is {values[row, model]:g}.", "Use numbers from 0 up; NaN for a gap."
                )

    def __len__(self) -> int:
        return len(self.quality)

    def __getitem__(self, rows) -> Cells:
        return Cells(self.quality[rows], self.latency_s[rows], self.cost_usd[rows])

    def of(self, models: Sequence[int]) -> Cells:
        return Cells(*(values[:, list(models)] for values in (self.quality, self.latency_s, self.cost_usd)))

    @classmethod
    def of_quality(cls, quality: np.ndarray) -> Cells:
        quality = np.asarray(quality, dtype=np.float64)
        return cls(quality, np.full_like(quality, np.nan), np.full_like(quality, np.nan))

    @property
    def observed(self) -> np.ndarray:
        """(n, M) bool: where the quality is known."""
        return ~np.isnan(self.quality)


@dataclass(frozen=True)
class OutcomeTable:
    """``queries`` in order of appearance, ``models`` in alphabetical order, ``splits[i]`` "train", "test" or ""."""

    queries: list[str]
    categories: list[str | None]
    splits: list[str]
    models: list[str]
    cells: Cells
    account: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.queries)

    def rows(self, rows: np.ndarray) -> OutcomeTable:
        pick = [int(row) for row in rows]
        return OutcomeTable(
            [self.queries[row] for row in pick], [self.categories[row] for row in pick], [self.splits[row] for row in pick],
            self.models, self.cells[np.asarray(pick, dtype=np.int64)], self.account,
        )  # fmt: skip

    def only(self, models: Sequence[str]) -> OutcomeTable:
        """The columns named, in that order; queries without any record among them leave. InputError for a model without records."""
        unknown = [name for name in models if name not in self.models]
        if unknown:
            raise InputError(f"No records of {', '.join(unknown)}.", f"The data has: {', '.join(self.models)}.")
        cells = self.cells.of([self.models.index(name) for name in models])
        kept = np.flatnonzero(cells.observed.any(1))
        table = OutcomeTable(self.queries, self.categories, self.splits, list(models), cells, self.account)
        return table if len(kept) == len(self) else table.rows(kept)

    @property
    def sha256(self) -> str:
        """Of what is judged: queries, models and cells, gaps as null."""

        def values(array: np.ndarray) -> list:
            return [[None if np.isnan(x) else float(x) for x in row] for row in array]

        cells = [values(one) for one in (self.cells.quality, self.cells.latency_s, self.cells.cost_usd)]
        return sha256_bytes(canonical([self.queries, self.categories, self.models, cells]))


def build_table(outcomes: Sequence[Outcome]) -> OutcomeTable:
    """Several records of one (query, model) are averaged and counted; a missing pair stays a gap. InputError without records."""
    if not outcomes:
        raise InputError("There are no outcome records.", "Each record needs query, model_name and performance.")
    rows: dict[str, int] = {}
    models = sorted({one.model for one in outcomes})
    column = {name: place for place, name in enumerate(models)}
    first: list[Outcome] = []
    conflicts: Counter[str] = Counter()
    for one in outcomes:
        row = rows.setdefault(one.query, len(rows))
        if row == len(first):
            first.append(one)
        for key in ("category", "split"):
            if getattr(one, key) != getattr(first[row], key):
                conflicts[key] += 1
    at = np.asarray([(rows[one.query], column[one.model]) for one in outcomes]).T
    count, quality = _mean(at, [one.quality for one in outcomes], (len(rows), len(models)))
    latency_s, cost_usd = (
        _mean(at, [np.nan if (value := getattr(one, key)) is None else value for one in outcomes], quality.shape)[1]
        for key in ("latency_s", "cost_usd")
    )
    account = {
        "records": len(outcomes), "queries": len(rows), "models": len(models), "gaps": int((count == 0).sum()),
        "duplicates": int((count - 1).clip(min=0).sum()), "conflicting": dict(conflicts),
    }  # fmt: skip
    splits = [_side(one.split) for one in first]
    return OutcomeTable(list(rows), [one.category for one in first], splits, models, Cells(quality, latency_s, cost_usd), account)


def _mean(at: np.ndarray, values: Sequence[float], shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """How many known values fell on each cell, and their mean (NaN without any)."""
    known = ~np.isnan(np.asarray(values, dtype=np.float64))
    total, count = np.zeros(shape), np.zeros(shape, dtype=np.int64)
    np.add.at(total, tuple(at[:, known]), np.asarray(values, dtype=np.float64)[known])
    np.add.at(count, tuple(at[:, known]), 1)
    return count, np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _side(split: str | None) -> str:
    name = (split or "").strip().lower()
    return "train" if name in TRAIN_SIDES else "test" if name in TEST_SIDES else ""
