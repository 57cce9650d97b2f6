"""k nearest queries that leave the best single model only on significant paired evidence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from lab.selector.contract import check_training
from lab.selector.knn import Neighbourly, nearest_by_weight
from lab.selector.table import Cells
from lab.selector.utility import QUALITY, Utility, means

KS, ZS, WEIGHTS = (200, 100, 50, 25), (3.0, 2.5, 2.0, 1.5), (1.0, 0.6, 0.3, 0.0)
"""Of the numbers of neighbours the two largest that are at most a quarter of the queries are tried: evidence needs many."""
PSEUDO = 2.0
"""Neighbours' worth of the overall variance that is added to the neighbours' own: few equal differences prove little."""
BLOCK = 256


class GuardedKnnSelector(Neighbourly):
    """b = the best single model on the training queries. Over the k nearest queries d = u_m − u_b, where both are known; model m
    replaces b if mean(d) − z·se(d) > 0 and is the largest such bound. Score: that bound; 0 for b.
    """

    exportable = False

    def __init__(self, k: int = 100, z: float = 2.0, category_weight: float = 0.3, utility: Utility = QUALITY, categories: int = 0) -> None:
        self.k, self.z, self.category_weight, self.utility, self.categories = k, z, category_weight, utility, categories

    def fit(self, x: np.ndarray, y: Cells) -> Self:
        check_training(x, y)
        parts = self.utility.components(y)
        return self.restore({"x": x, "parts": parts.astype(np.float32), "means": means(parts).astype(np.float32)})

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        super().restore(tensors)
        self._kept = (None, None)
        return self

    def best(self, utility: Utility | None = None, allowed: np.ndarray | None = None) -> int:
        """The column of the best single model, of those ``allowed`` (M,)."""
        mean = (utility or self.utility).mix(self.means_)
        return int((mean if allowed is None else np.where(allowed, mean, -np.inf)).argmax())

    def scores(self, x: np.ndarray, utility: Utility | None = None, allowed: np.ndarray | None = None) -> np.ndarray:
        return self.bounds(self.neighbours(x), utility, allowed)

    def bounds(self, rows: np.ndarray, utility: Utility | None = None, allowed: np.ndarray | None = None) -> np.ndarray:
        """(n, M) lower bounds of the gain over the best single model (of those allowed), from (n, k) training rows."""
        utility = utility or self.utility
        best = self.best(utility, allowed)
        mean, error = self.evidence(rows, best, utility)
        out = mean - self.z * error
        out[:, best] = 0.0
        return out

    def evidence(self, rows: np.ndarray, best: int, utility: Utility | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(n, M) mean gain over model ``best`` on (n, k) training rows, and its standard error."""
        gain, overall = self._gains(utility or self.utility, best)
        return in_blocks(gain, rows, overall)

    def _gains(self, utility: Utility, best: int) -> tuple[np.ndarray, np.ndarray]:
        """(N, M) u_m − u_best of each training query, NaN for gaps, and their overall variance (M,). Kept for what was asked last."""
        kept = self._kept
        if kept[0] != (utility, best):
            u = utility.mix(self.parts_)
            gain = np.ascontiguousarray(u - u[:, [best]], dtype=np.float32)
            known = ~np.isnan(gain)
            count = np.maximum(known.sum(0), 1)
            centre = np.where(known, gain, 0).sum(0) / count
            kept = self._kept = ((utility, best), (gain, (np.where(known, gain - centre, 0) ** 2).sum(0) / count))
        return kept[1]

    def components(self, x: np.ndarray) -> np.ndarray:
        """What the neighbours did on average, for display; a gap counts for nothing."""
        found = self.parts_[self.neighbours(x)]
        known = ~np.isnan(found)
        return (np.where(known, found, 0).sum(1) + self.means_) / (known.sum(1) + 1)

    @classmethod
    def candidates(
        cls, x: np.ndarray, y: Cells, valid: np.ndarray, utility: Utility, categories: int, seed: int, fixed: dict[str, Any]
    ) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        fitting = [k for k in KS if k <= len(x) / 4][:2] or [min(KS[-1], len(x))]
        ks = [fixed["k"]] if "k" in fixed else fitting
        weights = [fixed["category_weight"]] if "category_weight" in fixed else WEIGHTS
        one = cls(utility=utility, categories=categories).fit(x, y)
        gain, overall = one._gains(utility, one.best())
        for weight, rows in zip(weights, nearest_by_weight(valid, x, ks[0], categories, weights), strict=True):
            for k in ks:
                mean, se = in_blocks(gain, rows[:, :k], overall)
                for z in [fixed["z"]] if "z" in fixed else ZS:
                    scores = mean - z * se
                    scores[:, one.best()] = 0.0
                    yield {"k": k, "z": z, "category_weight": weight}, scores


def in_blocks(gain: np.ndarray, rows: np.ndarray, overall: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """:func:`paired` of the gains (N, M) at (n, k) rows, a block of queries at a time."""
    if len(rows) <= BLOCK:
        return paired(gain.take(rows, axis=0), overall)
    found = [paired(gain[rows[start : start + BLOCK]], overall) for start in range(0, len(rows), BLOCK)]
    return np.concatenate([mean for mean, _ in found]), np.concatenate([error for _, error in found])


def paired(gain: np.ndarray, overall: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error of paired gains (…, k, M) over k, gaps (NaN) left out; ``overall`` (M,) is their variance elsewhere.

    se² = (Σ(d − mean)² + PSEUDO·overall) / (n − 1 + PSEUDO) / n; a model without any pair gets mean 0 and an infinite error.
    """
    each = np.ones(gain.shape[-2], dtype=np.float32)
    total = each @ gain
    whole = not np.isnan(total).any()
    if whole:
        n = np.float32(gain.shape[-2])
    else:
        known = ~np.isnan(gain)
        n, gain = known.sum(-2).astype(np.float32), np.where(known, gain, 0)
        total = each @ gain
    at_least_one = np.maximum(n, 1)
    mean = total / at_least_one
    squares = np.maximum(each @ (gain * gain) - n * mean * mean, 0)
    error = np.sqrt((squares + PSEUDO * overall) / (at_least_one - 1 + PSEUDO) / at_least_one)
    return mean, error if whole else np.where(n > 0, error, np.float32(1e9))
