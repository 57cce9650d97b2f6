"""k nearest queries: each votes with what every model did on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np

from lab.selector.contract import LabSelector, check_training
from lab.selector.deployed import KnnFile
from lab.selector.features import check_width, scaled
from lab.selector.shortlist import WIDEST, WORTH_IT, Shortlist
from lab.selector.table import Cells
from lab.selector.utility import QUALITY, Utility, filled, means

BLOCK = 1024
KS, PRIORS, WEIGHTS = (160, 80, 40, 20), (300.0, 100.0, 30.0, 10.0, 1.0), (1.0, 0.6, 0.3, 0.0)


def nearest(x: np.ndarray, references: np.ndarray, k: int) -> np.ndarray:
    """(n, k) rows of ``references`` (N, W) with the largest inner product, best first; ties by row.

    For an embedding of unit length and a one-hot times w that is the order of L2 distance: |x − s|² = 2 + 2w² − 2⟨x, s⟩.
    """
    k = min(k, len(references))
    if len(x) == 1:
        return _top((references @ x[0])[None, :], k)
    out = np.empty((len(x), k), dtype=np.int64)
    for start in range(0, len(x), BLOCK):
        out[start : start + BLOCK] = _top(x[start : start + BLOCK] @ references.T, k)
    return out


def _top(similarity: np.ndarray, k: int) -> np.ndarray:
    found = np.sort(_some(similarity, k), axis=1)
    order = np.argsort(-np.take_along_axis(similarity, found, 1), axis=1, kind="stable")
    return np.take_along_axis(found, order, 1)


class Neighbourly(LabSelector):
    """A selector that keeps its training queries: ``x_`` (N, D + K) raw features and the parts of their outcomes."""

    k: int
    category_weight: float

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        super().restore(tensors)
        self.references_ = np.ascontiguousarray(scaled(self.x_, self.categories, self.category_weight))
        self._asked, self._shortlist, self._bonus = 0, None, None
        return self

    def tensors(self) -> dict[str, np.ndarray]:
        return {"x": self.x_, "parts": self.parts_, "means": self.means_}

    def neighbours(self, x: np.ndarray, k: int | None = None) -> np.ndarray:
        """(n, k) training rows, nearest first."""
        check_width(x.shape[1], self.x_.shape[1], "This selector")
        query, k = scaled(x, self.categories, self.category_weight), min(k or self.k, len(self.x_))
        if len(x) > 1 or len(self.x_) < WORTH_IT or x.shape[1] > WIDEST:
            return nearest(query, self.references_, k)
        self._asked += 1  # one query does not pay for the shortlist, a process that serves does
        if self._asked < 3:
            return nearest(query, self.references_, k)
        rows = self._near(x[0], k)
        similarity = np.vecdot(self.references_.take(rows, axis=0), query[0])  # a dot a row: equal rows tie, and no threads
        return rows[np.argsort(-similarity, kind="stable")[:k]][None, :]

    def _near(self, x: np.ndarray, k: int) -> np.ndarray:
        width = len(x) - self.categories
        if self._shortlist is None:
            if self.categories and self.category_weight:
                self._bonus = [np.flatnonzero(same) for same in self.x_[:, width:].T]
            self._shortlist = Shortlist(self.x_[:, :width])
        bonus = None if self._bonus is None else (self._bonus[int(x[width:].argmax())], self.category_weight**2)
        return self._shortlist.rows(x[:width], bonus, k)


class KnnSelector(Neighbourly):
    """Score of model m = (Σ over the k nearest queries of its parts + prior·mean of m) / (k + prior).

    k counts queries, not (query, model) rows. A gap votes with what the model's mean and the query's difficulty say (utility.filled).
    """

    def __init__(
        self, k: int = 40, prior: float = 10.0, category_weight: float = 0.3, utility: Utility = QUALITY, categories: int = 0
    ) -> None:
        self.k, self.prior, self.category_weight, self.utility, self.categories = k, prior, category_weight, utility, categories

    def fit(self, x: np.ndarray, y: Cells) -> Self:
        check_training(x, y)
        parts = self.utility.components(y)
        return self.restore({"x": x, "parts": filled(parts).astype(np.float32), "means": means(parts).astype(np.float32)})

    def components(self, x: np.ndarray) -> np.ndarray:
        return self.vote(self.neighbours(x))

    def vote(self, rows: np.ndarray) -> np.ndarray:
        """(n, M, C) from (n, k) training rows, e.g. found for many selectors at once."""
        votes = self.parts_.reshape(len(self.parts_), -1).take(rows, axis=0)
        total = (np.ones(rows.shape[1], dtype=np.float32) @ votes).reshape(len(rows), *self.means_.shape)
        return (total + self.prior * self.means_) / (rows.shape[1] + self.prior)

    def deployed(self, models: list[str], utility: Utility | None = None) -> KnnFile:
        """Complete groups of M rows with equal latencies and k = k′·M. A vote of 0.9·q + 0.1 with q in [0.01, 1] has the order of u.

        The prior is spread over the votes. The query's one-hot is 1.0 and cannot be scaled in a file, so the rows' is w²:
        |o − w²·p|² = 1 + w⁴ − 2w²·[same], which orders as the scaled block does.
        """
        utility = utility or self.utility
        k = min(self.k, len(self.x_))
        u, mean = utility.mix(self.parts_).astype(np.float64), utility.mix(self.means_).astype(np.float64)
        q = 0.01 + 0.99 * (u + self.prior / k * mean) / (1 + self.prior / k)
        count = len(models)
        return KnnFile(
            models=list(models), vectors=scaled(self.x_, self.categories, self.category_weight**2), k=k * count,
            group=np.repeat(np.arange(len(u)), count), label=np.tile(np.arange(count), len(u)), quality=q.ravel(),
            latency_ns=np.zeros(q.size, dtype=np.int64),
        )  # fmt: skip

    @classmethod
    def candidates(
        cls, x: np.ndarray, y: Cells, valid: np.ndarray, utility: Utility, categories: int, seed: int, fixed: dict[str, Any]
    ) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        ks = [fixed["k"]] if "k" in fixed else sorted({min(k, len(x)) for k in KS}, reverse=True)
        weights = [fixed["category_weight"]] if "category_weight" in fixed else WEIGHTS
        parts = utility.components(y)
        u, mean = utility.mix(filled(parts)), utility.mix(means(parts))
        for weight, rows in zip(weights, nearest_by_weight(valid, x, ks[0], categories, weights), strict=True):
            total = np.cumsum(u[rows], axis=1)
            for k in ks:
                for prior in [fixed["prior"]] if "prior" in fixed else PRIORS:
                    yield {"k": k, "prior": prior, "category_weight": weight}, total[:, min(k, rows.shape[1]) - 1] + prior * mean


def nearest_by_weight(x: np.ndarray, references: np.ndarray, k: int, categories: int, weights: Sequence[float]) -> list[np.ndarray]:
    """:func:`nearest` for several category weights at the price of one product.

    Whatever the weight, the k nearest are among the k nearest of all and the k nearest of the same category.
    """
    k = min(k, len(references))
    width = x.shape[1] - categories
    out = [np.empty((len(x), k), dtype=np.int64) for _ in weights]
    for start in range(0, len(x), BLOCK):
        block = x[start : start + BLOCK]
        plain = block[:, :width] @ references[:, :width].T
        same = block[:, width:] @ references[:, width:].T
        both = np.concatenate([_some(plain, k), _some(plain + 4 * same, k)], axis=1)
        both.sort(axis=1)
        again = np.zeros(both.shape, dtype=np.float32)
        again[:, 1:][both[:, 1:] == both[:, :-1]] = 100.0  # the second time a row is found it goes to the end
        near, bonus = np.take_along_axis(plain, both, 1) - again, np.take_along_axis(same, both, 1)
        for place, weight in enumerate(weights):
            order = np.argsort(-(near + weight**2 * bonus), axis=1, kind="stable")[:, :k]
            out[place][start : start + BLOCK] = np.take_along_axis(both, order, 1)
    return out


def _some(similarity: np.ndarray, k: int) -> np.ndarray:
    """(n, k) columns with the largest values, in no order."""
    n = similarity.shape[1]
    return np.argpartition(similarity, n - k, axis=1)[:, n - k :] if k < n else np.broadcast_to(np.arange(n), similarity.shape)
