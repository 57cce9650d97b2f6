"""What the evidence says, in a sentence; and where the headroom lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lab.selector.judge import DOMAIN, ORACLE, RANDOM, Row, intervals


def verdict(rows: Sequence[Row], single: Sequence[str], gains: Mapping[str, np.ndarray], seed: int = 0) -> dict[str, Any]:
    """``use``: "one model", "categories" or the name of a selector; ``sentence`` says why, with n and an interval.

    A strategy is recommended only if its paired gain over the best single model is above 0 at 95 % after Bonferroni for all that were tried.
    """
    model = " or ".join(single)
    if sum(row.kind == "single" for row in rows) < 2:
        return _say("one model", f"Use one model: {model} is the only one in the data; there is nothing to choose.")
    oracle, best = _row(rows, ORACLE), next(row for row in rows if row.strategy == f"Always {single[0]}")
    if not oracle.quality:
        return _say("one model", f"No model answered any of the {oracle.n} queries; the data says nothing about which to use.")
    tried = {name: gain[~np.isnan(gain)] for name, gain in gains.items() if (~np.isnan(gain)).any()}
    if not tried:
        return _say("one model", f"Use one model: {model}. No selector could be judged.")
    level = 1 - 0.05 / len(tried)
    bounds = {name: tuple(float(one[0]) for one in intervals(gain[:, None], seed, level)) for name, gain in tried.items()}
    proven = {name: float(tried[name].mean()) for name, (low, _) in bounds.items() if low > 0}
    top = max(proven or tried, key=lambda name: (tried[name].mean(), name != DOMAIN))
    gain, (low, high), n = float(tried[top].mean()), bounds[top], len(tried[top])
    figures = f"{_points(gain)} points of quality over always {model} ({level:.1%} interval {_points(low)} to {_points(high)}, {n:,} queries, {len(tried)} compared)"
    if not proven:
        headroom = "" if best.quality is None else f" A perfect choice would gain {_points(oracle.quality - best.quality)}."
        return _say(
            "one model",
            f"Use one model: {model}. Nothing beats it beyond chance; the best attempt, {top}, is at {figures}.{headroom}",
            gain,
            low,
            high,
        )
    if top == DOMAIN:
        return _say(
            "categories",
            f"Use a table of one model per category: {figures}. No selector that reads the query does better.",
            gain,
            low,
            high,
        )
    return _say(top, f"Use {top}: {figures}.", gain, low, high)


def _say(use: str, sentence: str, gain: float | None = None, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {"use": use, "sentence": sentence, "gain": gain, "gain_low": low, "gain_high": high}


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def _row(rows: Sequence[Row], name: str) -> Row:
    return next(row for row in rows if row.strategy == name)


def waterfall(rows: Sequence[Row], selector: str) -> list[dict[str, Any]]:
    """random → best single → domain oracle → selector → oracle: quality with its interval, and the step from the one before.

    The best single model is the row that gains are against; ``selector`` names the selector shown, the best one if it is not there.
    """
    singles = [row for row in rows if row.kind == "single"]
    learnt = [row for row in rows if row.kind == "selector"]
    best = min(singles, key=lambda row: (abs(row.gain or 0.0) if row.gain is not None else 1.0, -(row.quality or 0.0)))
    shown = next((row for row in learnt if row.strategy == selector), max(learnt, key=lambda row: row.quality or 0.0, default=None))
    steps = [_row(rows, RANDOM), best, _row(rows, DOMAIN), *([shown] if shown else []), _row(rows, ORACLE)]
    out: list[dict[str, Any]] = []
    for row in steps:
        before = out[-1]["quality"] if out else None
        step = None if before is None or row.quality is None else row.quality - before
        out.append(
            {"step": row.strategy, "quality": row.quality, "quality_low": row.quality_low, "quality_high": row.quality_high, "change": step}
        )
    return out
