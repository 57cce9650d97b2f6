"""What the nearest labelled prompts say about a label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lab.corpus.duplicates import THRESHOLD, fold, grams
from lab.evaluation.out_of_fold import UNKNOWN

NEAREST = 20
SPARE = 12
"""More neighbours than needed, because near-duplicates of the prompt do not vote."""
SIMILAR = 0.7
"""Texts are compared above this cosine; the three near-duplicate pairs of the shipped corpus are at 0.84 and more."""
BLOCK = 128
PART = 16
"""One column in so many gives the bound below which no neighbour lies."""


@dataclass(frozen=True)
class Vote:
    """For m rows: ``shares`` (m, N) float32 of the domains, nearer prompts weigh more; ``counts`` (m, N) of prompts; ``asked`` (m,)."""

    shares: np.ndarray
    counts: np.ndarray
    asked: np.ndarray


def neighbour_vote(
    rows: np.ndarray, vectors: np.ndarray, texts: Sequence[str], primary: np.ndarray, domains: int, k: int = NEAREST, block: int = BLOCK
) -> Vote:
    """Labels of the k labelled prompts nearest to each of the (m,) ``rows``; neither the row itself nor its near-duplicates vote.

    ``vectors`` (n, D) of unit length, ``primary`` (n,) class id or UNKNOWN. A vote weighs cosine⁴. Memory: block × n float32.
    """
    labelled = np.flatnonzero(primary != UNKNOWN)
    matrix = vectors if len(labelled) == len(vectors) else vectors[labelled]
    shares = np.zeros((len(rows), domains), np.float32)
    counts = np.zeros((len(rows), domains), np.int16)
    for start in range(0, len(rows) if len(labelled) else 0, block):
        own = rows[start : start + block]
        cosine = vectors[own] @ matrix.T
        for at, (columns, row) in enumerate(zip(_nearest(cosine, k + SPARE + 1), own, strict=True), start):
            near, value = labelled[columns], cosine[at - start, columns]
            near, value = near[near != row], value[near != row]
            votes = np.flatnonzero(~_near_duplicates(int(row), near, value, texts))[:k]
            np.add.at(shares, (at, primary[near[votes]]), np.maximum(value[votes], 1e-3) ** 4)
            np.add.at(counts, (at, primary[near[votes]]), 1)
    return Vote(shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12), counts, counts.sum(axis=1))


def _nearest(cosine: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """For each row of (b, n) the columns of its ``most`` highest values, best first, then by number.

    No row's value number ``most`` is below that among a part of its columns: what lies under that needs no sorting.
    """
    part = cosine[:, ::PART]
    floor = np.partition(part, -most, axis=1)[:, -most] if part.shape[1] >= most else np.full(len(cosine), -np.inf)
    for values, least in zip(cosine, floor, strict=True):
        columns = np.flatnonzero(values >= least)
        yield columns[np.argsort(-values[columns], kind="stable")[:most]]


def _near_duplicates(row: int, near: np.ndarray, cosine: np.ndarray, texts: Sequence[str]) -> np.ndarray:
    """(k,) bool: the neighbour is a near-duplicate of the row, as lab.corpus.duplicates has it."""
    out = np.zeros(len(near), dtype=bool)
    similar = np.flatnonzero(cosine >= SIMILAR)
    own = grams(fold(texts[row])) if len(similar) else frozenset()
    for n in similar:
        other = grams(fold(texts[near[n]]))
        out[n] = len(own & other) >= THRESHOLD * len(own | other) - 1e-9
    return out
