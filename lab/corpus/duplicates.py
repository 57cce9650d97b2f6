"""Exact and near-duplicates. Exact Jaccard join, so that the answer does not depend on chance or order."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.sparse import csr_matrix

GRAM = 5
BLOCK = 4096
MIX = np.uint64(0x9E3779B97F4A7C15)
THRESHOLD = 0.8
"""Two prompts are near-duplicates when the Jaccard similarity of their folded character 5-gram sets is at least this."""


def fold(text: str) -> str:
    """Lower case, no accents, letters, digits, + and # only, single spaces: "Ça VA ?" and "ca va" fold alike, "C" and "C++" do not."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return re.sub(r"[^\w+#]+", " ", plain).strip() or text.strip()


def grams(folded: str) -> frozenset[str]:
    padded = f" {folded} "
    return frozenset(padded[i : i + GRAM] for i in range(max(1, len(padded) - GRAM + 1)))


def near_pairs(texts: Sequence[str], threshold: float = THRESHOLD) -> list[tuple[int, int, float]]:
    """Every (i, j, similarity) with i < j and Jaccard ≥ threshold, sorted. The last answers are remembered.

    Prefix filter of Chaudhuri et al. 2006 and Bayardo et al. 2007 ("Scaling up all pairs similarity search"): with the grams of
    a set ordered from rare to common, two similar sets share one among their first |x| − ⌈t·|x|⌉ + 1: a product of two sparse
    tables finds those pairs, and another one counts what they share.
    """
    return list(_near_pairs(tuple(texts), threshold))


@lru_cache(maxsize=4)
def _near_pairs(texts: tuple[str, ...], threshold: float) -> tuple[tuple[int, int, float], ...]:
    if not texts:
        return ()
    by_fold: dict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        by_fold[fold(text)].append(row)
    out = [(i, j, 1.0) for rows in by_fold.values() for n, i in enumerate(rows) for j in rows[n + 1 :]]
    members = list(by_fold.values())
    first, second, similarity = _joined(_gram_table(list(by_fold)), threshold)
    for x, y, value in zip(first.tolist(), second.tolist(), similarity.tolist(), strict=True):
        out += [(min(i, j), max(i, j), value) for i in members[x] for j in members[y]]
    return tuple(sorted(out))


def _gram_table(folded: Sequence[str]) -> csr_matrix:
    """(n, grams) 0/1, columns from rare to common. A gram is known by 64 bits of hash: two of a million grams collide once in 10⁷ corpora."""
    padded = [f" {one} ".ljust(GRAM, "\0") for one in folded]  # the one gram of a shorter text is the text
    lengths = np.asarray([len(one) for one in padded])
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    rolled = np.zeros(len(codes) - GRAM + 1, dtype=np.uint64)
    for place in range(GRAM):
        rolled = (rolled ^ (codes[place : place + len(rolled)] + np.uint64(1))) * MIX
        rolled ^= rolled >> np.uint64(29)
    owner = np.repeat(np.arange(len(padded)), lengths)
    inside = np.arange(len(codes)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    starts = np.flatnonzero(inside <= np.repeat(lengths, lengths) - GRAM)  # grams do not reach into the next text
    names, column = np.unique(rolled[starts], return_inverse=True)
    table = csr_matrix((np.ones(len(column), dtype=np.float32), (owner[starts], column)), shape=(len(padded), len(names)))
    table.data[:] = 1  # csr_matrix has added up what stands twice in a text
    common = np.bincount(table.indices, minlength=len(names))
    rank = np.empty(len(names), dtype=np.int64)
    rank[np.lexsort((names, common))] = np.arange(len(names))
    table.indices = rank[table.indices].astype(table.indices.dtype)
    table.has_sorted_indices = False
    table.sort_indices()
    return table


def _joined(table: csr_matrix, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows x < y of the table with Jaccard ≥ threshold, and the similarity."""
    size = np.diff(table.indptr)
    slack = 1e-9  # as floats, 0.55 · 100 lies just above 55
    prefix = size - np.ceil(threshold * size - slack).astype(np.int64) + 1
    inside = np.arange(table.nnz) - np.repeat(table.indptr[:-1], size)
    kept = inside < np.repeat(prefix, size)
    heads = csr_matrix((table.data[kept], table.indices[kept], np.concatenate([[0], np.cumsum(prefix)])), shape=table.shape)
    other = heads.T.tocsr()
    found = []
    for start in range(0, table.shape[0], BLOCK):
        shared = (heads[start : start + BLOCK] @ other).tocoo()
        x, y = shared.row + start, shared.col
        able = (x < y) & (np.minimum(size[x], size[y]) >= threshold * np.maximum(size[x], size[y]) - slack)
        x, y = x[able], y[able]
        both = np.concatenate([table[x[n : n + BLOCK]].multiply(table[y[n : n + BLOCK]]).sum(axis=1).A1 for n in range(0, len(x), BLOCK)] or [np.zeros(0)])
        value = both.astype(np.float64) / (size[x] + size[y] - both)
        good = value >= threshold
        found.append((x[good], y[good], value[good]))
    return tuple(np.concatenate(part) for part in zip(*found, strict=True)) if found else (np.zeros(0, int), np.zeros(0, int), np.zeros(0))


def groups(size: int, pairs: Sequence[tuple[int, int, float]]) -> list[int]:
    """Group number of each of ``size`` rows: rows joined by a chain of pairs share the smallest row number among them."""
    parent = list(range(size))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for i, j, _ in pairs:
        a, b = sorted((root(i), root(j)))
        parent[b] = a
    return [root(row) for row in range(size)]
