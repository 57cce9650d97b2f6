"""Exact and near-duplicates. Exact Jaccard join, so that the answer does not depend on chance or order."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from math import ceil

GRAM = 5
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
    """Every (i, j, similarity) with i < j and Jaccard ≥ threshold, sorted.

    Prefix filter of Chaudhuri et al. 2006 and Bayardo et al. 2007 ("Scaling up all pairs similarity search"): with the grams of
    a set ordered from rare to common, two similar sets share one among their first |x| − ⌈t·|x|⌉ + 1.
    """
    by_fold: dict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        by_fold[fold(text)].append(row)
    folded = list(by_fold)
    sets = [grams(one) for one in folded]
    count = Counter(gram for one in sets for gram in one)
    out = [(i, j, 1.0) for rows in by_fold.values() for n, i in enumerate(rows) for j in rows[n + 1 :]]
    index: dict[str, list[int]] = defaultdict(list)
    slack = 1e-9  # as floats, 0.55 · 100 lies just above 55
    for x in sorted(range(len(sets)), key=lambda x: len(sets[x])):
        size = len(sets[x])
        prefix = sorted(sets[x], key=lambda gram: (count[gram], gram))[: size - ceil(threshold * size - slack) + 1]
        seen: set[int] = set()
        for gram in prefix:
            seen.update(index[gram])
            index[gram].append(x)
        for y in seen:
            if len(sets[y]) < threshold * size - slack:
                continue
            both = len(sets[x] & sets[y])
            similarity = both / (size + len(sets[y]) - both)
            if similarity >= threshold:
                out += [(min(i, j), max(i, j), similarity) for i in by_fold[folded[x]] for j in by_fold[folded[y]]]
    return sorted(out)


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
