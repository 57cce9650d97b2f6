"""Features as the semantic router builds them: embedding (unit length) ⊕ one-hot of the category, 1.0 (spec selectors.md §1)."""

from __future__ import annotations

import numpy as np

from lab.errors import EncoderError


def unit(vectors: np.ndarray) -> np.ndarray:
    """(n, D) float32 rows of length 1; a row of zeros stays."""
    vectors = np.asarray(vectors, dtype=np.float32)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)


def features(vectors: np.ndarray, places: np.ndarray, categories: int) -> np.ndarray:
    """(n, D + K) float32 from (n, D) embeddings and (n,) one-hot places below K = ``categories``."""
    out = np.zeros((len(vectors), vectors.shape[1] + categories), dtype=np.float32)
    out[:, : vectors.shape[1]] = unit(vectors)
    out[np.arange(len(vectors)), vectors.shape[1] + np.asarray(places, dtype=np.int64)] = 1.0
    return out


def scaled(x: np.ndarray, categories: int, weight: float) -> np.ndarray:
    """The features with the category block multiplied by ``weight``; a copy unless the weight is 1."""
    if weight == 1 or categories == 0:
        return x
    out = x.copy()
    out[:, x.shape[1] - categories :] *= np.float32(weight)
    return out


def check_width(found: int, expected: int, what: str) -> None:
    """EncoderError with both numbers."""
    if found != expected:
        raise EncoderError(
            f"{what} reads {expected} numbers a query (embedding and category), but was given {found}.",
            "Use the encoder that it was trained on (--embedding-model), or train it again.",
        )
