"""Which domains are taken for which, how often, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pair:
    """``count`` of the ``support`` prompts of ``wanted`` went to ``given``; ``costly`` if another backend answered."""

    wanted: str
    given: str
    count: int
    support: int
    costly: bool

    @property
    def rate(self) -> float:
        return self.count / self.support


def ranked_pairs(table: np.ndarray, domains: list[str], costs: Callable[[str, str], bool]) -> list[Pair]:
    """Every pair of different domains with a confusion, most frequent first. ``table`` (N, N) counts, row = wanted."""
    support = table.sum(axis=1)
    found = [
        Pair(domains[i], domains[j], int(table[i, j]), int(support[i]), costs(domains[i], domains[j]))
        for i, j in zip(*np.nonzero(table), strict=True)
        if i != j
    ]
    return sorted(found, key=lambda pair: (-pair.count, -pair.rate, pair.wanted, pair.given))


def cost_matrix(domains: list[str], costs: Callable[[str, str], bool]) -> np.ndarray:
    """(N, N) 1 where a confusion reaches another backend, else 0."""
    return np.asarray([[int(costs(wanted, given)) for given in domains] for wanted in domains])


def cluster_order(table: np.ndarray) -> list[int]:
    """Order of the domains in which those that are confused stand together, so that blocks show.

    Average linkage on 1 − symmetric confusion rate, leaves ordered optimally (Bar-Joseph et al. 2001).
    """
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    if len(table) < 3:
        return list(range(len(table)))
    rate = table / np.maximum(1, table.sum(axis=1, keepdims=True))
    near = (rate + rate.T) / 2
    distance = 1 - near / max(1e-12, float(near[~np.eye(len(near), dtype=bool)].max()))
    np.fill_diagonal(distance, 0)
    condensed = squareform(np.clip(distance, 0, 1), checks=False)
    return [int(leaf) for leaf in leaves_list(optimal_leaf_ordering(linkage(condensed, "average"), condensed))]
