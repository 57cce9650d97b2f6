"""Selectors fitted on one part of the queries and asked about the other: the table, the weight sweep, the waterfall."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lab.errors import InputError
from lab.selector.choose import Chosen, check_signal, each, train
from lab.selector.contract import LabSelector
from lab.selector.guarded import GuardedKnnSelector
from lab.selector.judge import Row, Strategy, expected, fixed_strategies, judge, slices, unanswered
from lab.selector.table import OutcomeTable
from lab.selector.utility import Utility, means
from lab.selector.verdict import verdict, waterfall
from lab.text.prepare import text_id

FOLDS = 5
SWEEP = tuple(round(float(one), 2) for one in np.linspace(0, 1, 21))
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Part:
    """One fit: training and judged row numbers, what was fitted, and single/domain picks that the training rows gave."""

    train: np.ndarray
    test: np.ndarray
    chosen: list[Chosen]
    single: int
    by_category: dict[str, int]

    def domain(self, categories: Sequence[str | None]) -> np.ndarray:
        return np.asarray([self.by_category.get(one or "", self.single) for one in categories], dtype=np.int64)


def parts_of(table: OutcomeTable) -> tuple[str, list[tuple[np.ndarray, np.ndarray]]]:
    """How the queries are split, and (train, test) rows: the data's own sides where it has both, else folds by the hash of the text."""
    sides = np.asarray(table.splits)
    train, test = np.flatnonzero(sides == "train"), np.flatnonzero(sides == "test")
    if len(train) and len(test):
        return "the data's own split", [(train, test)]
    count = min(FOLDS, len(table))
    if count < 2:
        return "none: one query", [(np.arange(0), np.arange(len(table)))]
    order = sorted(range(len(table)), key=lambda row: text_id(table.queries[row]))
    fold = np.empty(len(table), dtype=np.int64)
    fold[order] = np.arange(len(table)) % count
    return f"{count} folds by the hash of the query", [(np.flatnonzero(fold != one), np.flatnonzero(fold == one)) for one in range(count)]


def fit_parts(
    table: OutcomeTable, x: np.ndarray, utility: Utility, categories: int, algorithms: Sequence[str], forms: Sequence[str], seed: int = 42,
    fixed: dict[str, dict[str, Any]] | None = None, progress: Progress = lambda stage, done, of: None,
) -> tuple[str, list[Part], list[str]]:  # fmt: skip
    """Fit every algorithm and form on every part. Returns how it was split, the parts, and why something was not fitted."""
    how, splits = parts_of(table)
    wanted, notes, out = each(tuple(algorithms), tuple(forms)), [], []
    for place, (train_rows, test_rows) in enumerate(splits):
        chosen: list[Chosen] = []
        try:
            if wanted:
                check_trainable(table, train_rows, utility)
        except InputError as error:
            notes.append(str(error))
            wanted = []
        for step, (algorithm, form) in enumerate(wanted):
            progress("train", place * len(wanted) + step, len(splits) * len(wanted))
            options = (fixed or {}).get(algorithm, {})
            chosen.append(train(algorithm, form, x[train_rows], table.cells[train_rows], utility, categories, seed, options))
        seen = train_rows if len(train_rows) else test_rows
        out.append(Part(train_rows, test_rows, chosen, best_single(table, seen, utility), best_by_category(table, seen, utility)))
    progress("train", 1, 1)
    return how, out, notes


def check_trainable(table: OutcomeTable, rows: np.ndarray, utility: Utility) -> None:
    if len(table.models) < 2:
        raise InputError("There is one model only; there is nothing to choose.", "Use that model, or add outcomes of another.")
    if len(rows) < 2:
        raise InputError(f"{len(rows)} training queries are too few to learn from.", "Add outcomes.")
    check_signal(table.cells[rows], utility.for_cells(table.cells[rows]))


def best_single(table: OutcomeTable, rows: np.ndarray, utility: Utility) -> int:
    """The column with the largest mean utility on these rows."""
    utility = utility.for_cells(table.cells)
    return int(utility.mix(means(utility.components(table.cells[rows]))).argmax())


def best_by_category(table: OutcomeTable, rows: np.ndarray, utility: Utility) -> dict[str, int]:
    utility = utility.for_cells(table.cells)
    u = utility.mix(utility.components(table.cells[rows]))
    names = np.asarray([table.categories[row] or "" for row in rows])
    best = best_single(table, rows, utility)
    out = {}
    for name in sorted(set(names)):
        part = u[names == name]
        known = (~np.isnan(part)).sum(0)
        mean = np.where(known > 0, np.nan_to_num(part).sum(0) / np.maximum(known, 1), -1.0)
        out[name] = int(mean.argmax()) if mean.max() > mean[best] else best
    return out


@dataclass(frozen=True)
class Judged:
    """The judged queries of all parts put together, in table order, with the picks of everything."""

    table: OutcomeTable
    strategies: list[Strategy]
    single: np.ndarray
    rows: list[Row]


def judge_parts(table: OutcomeTable, x: np.ndarray, parts: Sequence[Part], utility: Utility, seed: int = 0) -> Judged:
    order = np.concatenate([part.test for part in parts])
    inverse = np.argsort(order, kind="stable")
    tested = table.rows(order[inverse])
    utility = utility.for_cells(table.cells)
    single = np.concatenate([np.full(len(part.test), part.single) for part in parts])[inverse]
    domain = np.concatenate([part.domain([table.categories[row] for row in part.test]) for part in parts])[inverse]
    strategies = fixed_strategies(tested.cells, table.models, domain)
    learnt = []
    for place, one in enumerate(parts[0].chosen):
        picks = np.concatenate([part.chosen[place].selector.predict(x[part.test]) for part in parts])[inverse]
        learnt.append(Strategy.of_picks(one.name, "selector", picks, len(table.models)))
    strategies[2:2] = learnt
    return Judged(tested, strategies, single, judge(tested.cells, table.models, strategies, single, utility, seed))


def report(judged: Judged, default: str, seed: int = 0) -> dict[str, Any]:
    """Everything the page and the command line show of one judgement, but the sweep."""
    table = judged.table
    names = [table.models[place] for place in np.unique(judged.single)]
    return {
        "n": len(table), "unanswered": unanswered(table.cells), "best_single": names,
        "rows": [row.to_json() for row in judged.rows],
        "verdict": verdict(judged.rows, names, judged_gains(judged), seed),
        "waterfall": waterfall(judged.rows, default),
        "categories": slices(table.cells, table.categories, table.models, judged.strategies, judged.single, seed),
    }  # fmt: skip


def judged_gains(judged: Judged) -> dict[str, np.ndarray]:
    """(n,) paired gain of each strategy that could be deployed, over the best single model; NaN where either is unknown."""
    base = expected(np.eye(len(judged.table.models))[judged.single], judged.table.cells.quality)
    return {
        one.name: expected(one.share, judged.table.cells.quality) - base for one in judged.strategies if one.kind in ("selector", "domain")
    }


def sweep(
    table: OutcomeTable, x: np.ndarray, parts: Sequence[Part], utility: Utility, weights: Sequence[float] = SWEEP
) -> list[dict[str, Any]]:
    """Quality, latency and cost of every lab selector, the domain oracle and the best single model at each quality weight.

    Nothing is trained again: a selector predicts the parts of the utility, and only their mix changes.
    """
    utility = utility.for_cells(table.cells)
    lab = [place for place, one in enumerate(parts[0].chosen) if isinstance(one.selector, LabSelector)]
    asked = [[_prepared(part.chosen[place].selector, x[part.test]) for place in lab] for part in parts]
    out = []
    for weight in weights:
        at = utility.at(weight)
        picks: dict[str, list[np.ndarray]] = {}
        for part, prepared in zip(parts, asked, strict=True):
            for place, scores in zip(lab, prepared, strict=True):
                picks.setdefault(part.chosen[place].name, []).append(scores(at).argmax(1))
            train_rows = part.train if len(part.train) else part.test
            best = best_single(table, train_rows, at)
            picks.setdefault("Best single", []).append(np.full(len(part.test), best))
            by_category = Part(part.train, part.test, [], best, best_by_category(table, train_rows, at))
            picks.setdefault("Domain oracle", []).append(by_category.domain([table.categories[row] for row in part.test]))
        cells = table.cells[np.concatenate([part.test for part in parts])]
        for name, found in picks.items():
            picked = np.concatenate(found)
            rows = np.arange(len(picked))
            quality, latency_s, cost_usd = (_mean(one[rows, picked]) for one in (cells.quality, cells.latency_s, cells.cost_usd))
            out.append({"strategy": name, "quality_weight": weight, "quality": quality, "latency_s": latency_s, "cost_usd": cost_usd})
    return mark_frontier(out)


def _prepared(selector: LabSelector, x: np.ndarray) -> Callable[[Utility], np.ndarray]:
    """Scores by utility, with everything done once that does not depend on it."""
    if isinstance(selector, GuardedKnnSelector):
        rows = selector.neighbours(x)
        return lambda utility: selector.bounds(rows, utility)
    found = selector.components(x)
    return lambda utility: utility.mix(found)


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def mark_frontier(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Adds ``on_frontier``: for latency_s and for cost_usd, whether no other point is as good in both and better in one."""
    out = []
    for one in points:
        on = {}
        for key in ("latency_s", "cost_usd"):
            if one[key] is None or one["quality"] is None:
                on[key] = None
                continue
            on[key] = not any(
                other["quality"] >= one["quality"]
                and other[key] <= one[key]
                and (other["quality"], other[key]) != (one["quality"], one[key])
                for other in points
                if other[key] is not None and other["quality"] is not None
            )
        out.append(one | {"on_frontier": on})
    return out
