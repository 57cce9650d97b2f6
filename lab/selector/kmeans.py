"""Clusters of queries, and the best model of each."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Self

import numpy as np

from lab.selector.contract import LabSelector, check_training
from lab.selector.deployed import KMeansFile
from lab.selector.features import check_width, scaled
from lab.selector.table import Cells
from lab.selector.utility import QUALITY, Utility, means

CLUSTERS, PRIORS, WEIGHTS = (16, 32, 64), (100.0, 30.0, 10.0, 3.0, 1.0), (1.0, 0.5, 0.0)
TUNING_ROWS = 3000
STEPS, SETTLED = 30, 1e-3
"""Lloyd's steps end when the squared moves of all centroids add up to this share of a feature's mean variance."""


class KMeansSelector(LabSelector):
    """Lloyd's clusters of the scaled features; the parts of each model are means over a cluster, shrunk by ``prior`` queries to the mean
    of all."""

    def __init__(
        self, clusters: int = 16, prior: float = 10.0, category_weight: float = 0.3, seed: int = 42, utility: Utility = QUALITY, categories: int = 0
    ) -> None:  # fmt: skip
        self.clusters, self.prior, self.category_weight, self.seed = clusters, prior, category_weight, seed
        self.utility, self.categories = utility, categories

    def fit(self, x: np.ndarray, y: Cells) -> Self:
        check_training(x, y)
        inside = scaled(x, self.categories, self.category_weight)
        self.centroids_, label = lloyd(inside, self.clusters, self.seed)
        parts = self.utility.components(y)
        return self.restore(
            {"centroids": self.centroids_, "parts": shrunk(cluster_sums(parts, label, len(self.centroids_)), means(parts), self.prior)}
        )

    def tensors(self) -> dict[str, np.ndarray]:
        return {"centroids": self.centroids_, "parts": self.parts_}

    def assign(self, x: np.ndarray) -> np.ndarray:
        """(n,) cluster of raw features."""
        check_width(x.shape[1], self.centroids_.shape[1], "This selector")
        return closest(scaled(x, self.categories, self.category_weight), self.centroids_)

    def components(self, x: np.ndarray) -> np.ndarray:
        return self.parts_[self.assign(x)]

    def deployed(self, models: list[str], utility: Utility | None = None) -> KMeansFile:
        """Centroids that the router's unscaled one-hot orders alike.

        With a centroid (μ, w·p) the scaled distance is |e − μ|² + w²(1 − 2p_c + |p|²). A file's block b gives 1 − 2b_c + |b|²; b = w²p + t
        differs from it by K·t² − 2t(1 − w²·Σp) + (w⁴ − w²)|p|² up to a constant, so t is the root that makes that 0.
        """
        centroids = self.centroids_.astype(np.float64)
        if self.categories and self.category_weight:
            w2 = self.category_weight**2
            share = centroids[:, -self.categories :] / self.category_weight
            missing, slope = (w2 - w2 * w2) * (share**2).sum(1), 1 - w2 * share.sum(1)
            shift = (slope - np.sqrt(slope**2 + self.categories * missing)) / self.categories
            centroids[:, -self.categories :] = w2 * share + shift[:, None]
        best = (utility or self.utility).mix(self.parts_).argmax(1)
        return KMeansFile(list(models), centroids, best)

    @classmethod
    def candidates(
        cls, x: np.ndarray, y: Cells, valid: np.ndarray, utility: Utility, categories: int, seed: int, fixed: dict[str, Any]
    ) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        parts = utility.components(y)
        for weight in [fixed["category_weight"]] if "category_weight" in fixed else WEIGHTS:
            inside, outside = scaled(x, categories, weight), scaled(valid, categories, weight)
            for clusters in [fixed["clusters"]] if "clusters" in fixed else sorted({min(c, len(x)) for c in CLUSTERS}):
                centroids, _ = lloyd(inside[:TUNING_ROWS], clusters, seed)
                label = closest(inside, centroids)
                found = closest(outside, centroids)
                sums, mean = cluster_sums(parts, label, len(centroids)), means(parts)
                for prior in [fixed["prior"]] if "prior" in fixed else PRIORS:
                    scores = utility.mix(shrunk(sums, mean, prior))[found]
                    yield {"clusters": clusters, "prior": prior, "category_weight": weight, "seed": seed}, scores


def lloyd(x: np.ndarray, clusters: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Centroids (C, W) float32 and labels (n,), from random rows in at most STEPS steps; clusters that no row is nearest to are left out.

    On one thread: several wait for each other in each step. scikit-learn's is no faster here, and its import alone takes one to two seconds.
    """
    centroids = x[np.random.default_rng(seed).choice(len(x), min(clusters, len(x)), replace=False)]
    enough = SETTLED * float(x.var(0).mean())
    rows = np.arange(len(x))
    with _threads().limit(limits=1):
        for _ in range(STEPS):
            label = closest(x, centroids)
            member = np.zeros((len(centroids), len(x)), dtype=np.float32)
            member[label, rows] = 1.0
            count = member.sum(1, keepdims=True)
            last, centroids = centroids, np.where(count > 0, member @ x / np.maximum(count, 1), centroids)
            if float(((centroids - last) ** 2).sum()) <= enough:
                break
        used, label = np.unique(closest(x, centroids), return_inverse=True)
    return np.ascontiguousarray(centroids[used], dtype=np.float32), label


@cache
def _threads():
    """The process's pools of threads, looked for once: that takes as long as a small fit."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def closest(x: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """(n,) nearest centroid by L2, the first on ties."""
    return ((centroids * centroids).sum(1) - 2 * (x @ centroids.T)).argmin(1)


def cluster_sums(parts: np.ndarray, label: np.ndarray, clusters: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums (clusters, M, C) of (n, M, C) over each cluster's observed queries, and how many there are."""
    known = ~np.isnan(parts)
    total, count = (
        np.stack([np.bincount(label, column, clusters) for column in each.reshape(len(label), -1).T], axis=1)
        for each in (np.where(known, parts, 0.0), known)
    )
    return total.reshape(clusters, *parts.shape[1:]), count.reshape(clusters, *parts.shape[1:])


def shrunk(sums: tuple[np.ndarray, np.ndarray], mean: np.ndarray, prior: float) -> np.ndarray:
    """(clusters, M, C) means with ``prior`` queries of the overall mean (M, C)."""
    total, count = sums
    return ((total + prior * mean) / (count + prior)).astype(np.float32)
