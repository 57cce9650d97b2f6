"""What the nearest labelled prompts say about a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lab.corpus.duplicates import THRESHOLD, fold, grams
from lab.evaluation.out_of_fold import UNKNOWN

NEAREST = 20
SPARE = 12
"""More neighbours than needed, because near-duplicates of the prompt do not vote."""
SIMILAR = 0.7
"""Texts are compared above this cosine; the least similar near-duplicates of the shipped corpus are at 0.84."""
BLOCK = 128


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
    place = np.full(len(vectors), -1)
    place[labelled] = np.arange(len(labelled))
    shares = np.zeros((len(rows), domains), np.float32)
    counts = np.zeros((len(rows), domains), np.int16)
    found = min(k + SPARE, len(labelled))
    for start in range(0, len(rows) if found else 0, block):
        own = rows[start : start + block]
        cosine = vectors[own] @ matrix.T
        here = np.arange(len(own))
        cosine[here[place[own] >= 0], place[own][place[own] >= 0]] = -2.0
        near = np.argpartition(-cosine, found - 1, axis=1)[:, :found]
        value = np.take_along_axis(cosine, near, axis=1)
        order = np.argsort(-value, axis=1, kind="stable")
        near, value = labelled[np.take_along_axis(near, order, axis=1)], np.take_along_axis(value, order, axis=1)
        votes = (value > -1.5) & ~_near_duplicates(own, near, value, texts)
        votes &= votes.cumsum(axis=1) <= k
        at, column = np.nonzero(votes)
        np.add.at(shares, (start + at, primary[near[at, column]]), np.maximum(value[at, column], 1e-3) ** 4)
        np.add.at(counts, (start + at, primary[near[at, column]]), 1)
    asked = counts.sum(axis=1)
    return Vote(shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12), counts, asked)


def _near_duplicates(rows: np.ndarray, near: np.ndarray, cosine: np.ndarray, texts: Sequence[str]) -> np.ndarray:
    """(m, k) bool: the neighbour is a near-duplicate of the row, as lab.corpus.duplicates has it."""
    out = np.zeros(near.shape, dtype=bool)
    for at, column in zip(*np.nonzero(cosine >= SIMILAR), strict=True):
        a, b = grams(fold(texts[rows[at]])), grams(fold(texts[near[at, column]]))
        out[at, column] = len(a & b) >= THRESHOLD * len(a | b) - 1e-9
    return out
