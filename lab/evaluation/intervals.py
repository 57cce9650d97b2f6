"""Confidence intervals, 95 % two-sided."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np

Z95 = 1.959963984540054


def wilson(right: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Wilson score interval of a share (Wilson 1927). (0, 1) when n is 0."""
    if n == 0:
        return 0.0, 1.0
    share, square = right / n, z * z
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = z * sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))  # at 0 and 1 rounding would leave the share outside


def bootstrap(n: int, statistic: Callable[[np.ndarray], np.ndarray], repeats: int = 1_000, seed: int = 0) -> np.ndarray:
    """Percentile bootstrap over n rows: (2, …) lower and upper bounds of ``statistic(row weights)``.

    ``statistic`` gets the (n,) number of times each row was drawn.
    """
    random = np.random.default_rng(seed)
    draws = [statistic(np.bincount(random.integers(0, n, n), minlength=n)) for _ in range(repeats)]
    return np.percentile(np.asarray(draws), [2.5, 97.5], axis=0)
