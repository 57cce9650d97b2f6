"""The order of a queue: best first, but no look-alikes in a row."""

from __future__ import annotations

from itertools import islice

import numpy as np

ALIKE = 0.7
"""Prompts at this cosine or above look alike. One in ten prompts of the shipped corpus has such a neighbour."""
RECENT = 4
"""An item is held back while one of the last so many looks like it."""
SAME = 3
"""At most so many items of one kind (label → suggestion) in a row."""
AHEAD = 200
"""How far down the scores the next item is looked for."""


def diverse_order(scores: np.ndarray, vectors: np.ndarray, kind: np.ndarray | None = None, group: np.ndarray | None = None) -> np.ndarray:
    """(n,) row numbers, each once. ``scores`` (n,), ``vectors`` (n, D) of unit length, ``kind`` and ``group`` (n,) integers.

    Greedy: always the best score among those that look like none of the last RECENT and are not of the kind of all the last SAME;
    if there is none, the least alike of the next AHEAD. What is left as look-alikes side by side moves up into a gap where it
    differs from both neighbours; only if no such gap exists do look-alikes stay together. Rows of one ``group`` stay together,
    best first: there the likeness is the point.
    """
    n = len(scores)
    kind = np.arange(n) if kind is None else kind
    if group is None:
        return _spread(_greedy(scores, vectors, kind), vectors)
    by_score = np.argsort(-scores, kind="stable")
    members: dict[int, list[int]] = {}
    for row in by_score:
        members.setdefault(int(group[row]), []).append(int(row))
    heads = np.asarray([rows[0] for rows in members.values()], dtype=np.int64)
    order = diverse_order(scores[heads], vectors[heads], kind[heads])
    return np.asarray([row for head in heads[order] for row in members[int(group[head])]], dtype=np.int64)


def _greedy(scores: np.ndarray, vectors: np.ndarray, kind: np.ndarray) -> np.ndarray:
    rest = iter(np.argsort(-scores, kind="stable").tolist())
    window = list(islice(rest, AHEAD))
    out: list[int] = []
    while window:
        recent = out[-RECENT:]
        last = {int(kind[row]) for row in out[-SAME:]} if len(out) >= SAME else set()
        barred = next(iter(last)) if len(last) == 1 else None
        out.append(window.pop(_next(window, vectors, recent, kind, barred)))
        window += islice(rest, 1)
    return np.asarray(out, dtype=np.int64)


def _next(window: list[int], vectors: np.ndarray, recent: list[int], kind: np.ndarray, barred: int | None) -> int:
    """Place in ``window`` (best score first) of the next item. A few are tried before all: mostly one of the first will do."""
    if not recent:
        return 0
    shown = vectors[recent].T
    unlike: int | None = None
    for start, stop in ((0, 8), (8, len(window))):
        part = np.asarray(window[start:stop], dtype=np.int64)
        if len(part) == 0:
            break
        nearness = (vectors[part] @ shown).max(axis=1)
        differs = np.flatnonzero(nearness < ALIKE)
        free = differs[kind[part[differs]] != barred] if barred is not None else differs
        if len(free):
            return start + int(free[0])
        if unlike is None and len(differs):
            unlike = start + int(differs[0])
    if unlike is not None:
        return unlike
    return int((vectors[np.asarray(window)] @ shown).max(axis=1).argmin())


def _spread(order: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Move each item that looks like the one before it to the latest earlier gap where it differs from both sides."""
    out: list[int] = []
    moving: list[int] = []
    for row in order.tolist():
        (moving if out and vectors[row] @ vectors[out[-1]] >= ALIKE else out).append(row)
    for row in moving:
        alike = vectors[np.asarray(out)] @ vectors[row] >= ALIKE
        gaps = np.flatnonzero(~alike[:-1] & ~alike[1:])
        out.insert(int(gaps[-1]) + 1 if alike[-1] and len(gaps) else len(out), row)
    return np.asarray(out, dtype=np.int64)
