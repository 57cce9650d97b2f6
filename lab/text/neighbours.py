"""Nearest labelled prompts by exact search."""

from __future__ import annotations

import numpy as np


def nearest(vector: np.ndarray, matrix: np.ndarray, k: int) -> list[tuple[int, float]]:
    """(row, cosine) of the k rows of ``matrix`` (n, d) nearest to ``vector`` (d,), best first; all of unit length."""
    cosine = matrix @ vector
    k = min(k, len(cosine))
    best = np.argpartition(-cosine, k - 1)[:k] if k else np.empty(0, dtype=int)
    return [(int(row), float(cosine[row])) for row in best[np.argsort(-cosine[best], kind="stable")]]
