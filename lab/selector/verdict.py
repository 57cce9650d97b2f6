"""What the evidence says, in a sentence; and where the headroom lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lab.selector.judge import DOMAIN, ORACLE, RANDOM, Row, intervals

FEW = 30
"""Judged queries below which nothing is recommended."""
REPEATS = 10_000
"""Draws for the verdict: its corrected level lies far out in the tails."""


def verdict(rows: Sequence[Row], single: Sequence[str], gains: Mapping[str, np.ndarray], seed: int = 0) -> dict[str, Any]:
    """``use``: "one model", "categories" or the name of a selector; ``sentence`` says why, with n and an interval.

    A strategy is recommended only if its paired gain over the best single model is above 0 at 95 % after Bonferroni for all that were tried.
    """
    model = " or ".join(single)
    if sum(row.kind == "single" for row in rows) < 2:
        return _say("one model", f"Use one model: {model} is the only one in the data; there is nothing to choose.")
    oracle = _row(rows, ORACLE)
    if not oracle.quality:
        return _say("one model", f"No model answered any of the {oracle.n} queries; the data says nothing about which to use.")
    known = {name: gain[~np.isnan(gain)] for name, gain in gains.items()}
    tried = {name: gain for name, gain in known.items() if len(gain) >= FEW}
    if not tried:
        n = max(map(len, known.values()), default=0)
        return _say("one model", f"Use one model: {model}. {n:,} judged {'query is' if n == 1 else 'queries are'} too few to prove anything better; {FEW} are needed.")
    level = 1 - 0.05 / len(tried)
    lows, highs = intervals(np.stack([gains[name] for name in tried], axis=1), seed, level, REPEATS)
    bounds = {name: (float(low), float(high)) for name, low, high in zip(tried, lows, highs, strict=True)}
    proven = {name: float(tried[name].mean()) for name, (low, _) in bounds.items() if low > 0}
    top = max(proven or tried, key=lambda name: (tried[name].mean(), name != DOMAIN))
    gain, (low, high), n = float(tried[top].mean()), bounds[top], len(tried[top])
    figures = f"{_points(gain)} points of quality over always {model} ({level:.1%} interval {_points(low)} to {_points(high)}, {n:,} queries, {len(tried)} compared)"
    if not proven:
        headroom = "" if oracle.gain is None else f" A perfect choice would gain {_points(oracle.gain)}."
        same = not tried[top].any()
        best_attempt = f"{top} does just as well on each of {n:,} queries" if same else f"the best attempt, {top}, is at {figures}"
        return _say(
            "one model",
            f"Use one model: {model}. Nothing beats it beyond chance; {best_attempt}.{headroom}",
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

    The best single model is the row that gains are against; ``selector`` names the selector shown, the best one if it is not there. Where
    outcomes are missing, means over different queries cannot be subtracted: every step is then the best single model's quality plus the paired
    gain over it, and its interval is the gain's.
    """
    singles = [row for row in rows if row.kind == "single"]
    learnt = [row for row in rows if row.kind == "selector"]
    best = min(singles, key=lambda row: (abs(row.gain or 0.0) if row.gain is not None else 1.0, -(row.quality or 0.0)))
    shown = next((row for row in learnt if row.strategy == selector), max(learnt, key=lambda row: row.quality or 0.0, default=None))
    steps = [_row(rows, RANDOM), best, _row(rows, DOMAIN), *([shown] if shown else []), _row(rows, ORACLE)]
    gaps = best.quality is not None and any(row.missing for row in steps)
    out: list[dict[str, Any]] = []
    for row in steps:
        level = (row.quality, row.quality_low, row.quality_high)
        if gaps and row is not best:
            level = tuple(None if one is None else best.quality + one for one in (row.gain, row.gain_low, row.gain_high))
        before = out[-1]["quality"] if out else None
        change = None if before is None or level[0] is None else level[0] - before
        out.append({"step": row.strategy, "quality": level[0], "quality_low": level[1], "quality_high": level[2], "change": change})
    return out
