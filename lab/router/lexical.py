"""The lexical part of a hybrid router in numpy: TF-IDF of hashed n-grams, one linear score per domain. What is served."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lab.router.ngrams import BLOCKS, Counts, count_ngrams

BATCH = 256
"""Texts at a time: bounds the gathered weights to some tens of megabytes."""


@dataclass(frozen=True)
class Lexical:
    """``keys`` (F,) uint64 ascending; ``idf`` (F,) float32; ``weights`` (F, N) int8 in units of ``scale`` (N,); ``bias`` (N,).

    ``blend`` (3,) float32: weight w, slope s and shift t of :meth:`blended`.
    """

    keys: np.ndarray
    idf: np.ndarray
    weights: np.ndarray
    scale: np.ndarray
    bias: np.ndarray
    blend: np.ndarray

    @property
    def domains(self) -> int:
        return int(self.weights.shape[1])

    @property
    def parameters(self) -> int:
        return int(self.weights.size + self.scale.size + self.bias.size + self.blend.size)

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """(n, N) float32 linear scores of texts; a text without a known n-gram has the bias alone."""
        out = np.empty((len(texts), self.domains), dtype=np.float32)
        sums = self._few if len(texts) <= BATCH else self._many(self.weights.astype(np.float32))
        for start in range(0, len(texts), BATCH):
            some = texts[start : start + BATCH]
            out[start : start + BATCH] = sums(*tf_idf(count_ngrams(some), self.keys, self.idf), len(some)) * self.scale + self.bias
        return out

    def _few(self, row: np.ndarray, column: np.ndarray, value: np.ndarray, n: int) -> np.ndarray:
        """(n, N) sums of value × weights by row, without scipy: a cold process routes its first prompt sooner."""
        total = np.zeros((n, self.domains), dtype=np.float32)
        if len(row):
            first = np.flatnonzero(np.concatenate([[True], row[1:] != row[:-1]]))
            total[row[first]] = np.add.reduceat(self.weights[column] * value[:, None], first, axis=0)
        return total

    def _many(self, weights: np.ndarray) -> Callable[..., np.ndarray]:
        """The same as :meth:`_few` as a sparse product, which is faster for thousands of texts."""
        from scipy.sparse import csr_matrix

        return lambda row, column, value, n: csr_matrix((value, (row, column)), shape=(n, len(weights))) @ weights

    def blended(self, logits: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """(n, N) s·(head logits + w·lexical scores) + t. Slope and shift change no order within a row."""
        weight, slope, shift = self.blend
        return slope * (logits + weight * scores) + shift


def tf_idf(counts: Counts, keys: np.ndarray, idf: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(row, column, value) of the known n-grams: (1 + ln count)·idf, each block of a text scaled to unit length."""
    column = np.minimum(np.searchsorted(keys, counts.key), len(keys) - 1)
    known = keys[column] == counts.key
    row, column, block = counts.row[known], column[known], counts.block[known]
    value = (1 + np.log(counts.count[known])).astype(np.float32) * idf[column]
    part = row * len(BLOCKS) + block
    length = np.sqrt(np.bincount(part, weights=value * value, minlength=counts.texts * len(BLOCKS)))
    return row, column, value / length[part].astype(np.float32)
