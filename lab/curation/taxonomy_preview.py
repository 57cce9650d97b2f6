"""A taxonomy change looked at before it is applied, and the parts of a split proposed by nearness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lab.curation.diff import LabelDiff, compare_labels
from lab.curation.state import State
from lab.curation.taxonomy_change import Migration, TaxonomyChange
from lab.errors import InputError
from lab.files import sha256_bytes


@dataclass(frozen=True)
class Preview:
    """``counts``: domain → (prompts now, prompts then), only where they differ. ``per_split``: side → migrated prompts; those of
    test make a new version of the evaluation set. ``samples``: by (from, to), drawn by hash, the same each time."""

    diff: LabelDiff
    counts: dict[str, tuple[int, int]]
    per_split: dict[str, int]
    samples: dict[tuple[str, str], tuple[Migration, ...]]


def preview(change: TaxonomyChange, labels: Mapping[str, State], splits: Mapping[str, str] | None = None, n_samples: int = 5) -> Preview:
    after = dict(labels) | {one.prompt_id: one.after for one in change.migrations}
    diff = compare_labels(labels, after)
    drawn: dict[tuple[str, str], list[Migration]] = {}
    for one in sorted(change.migrations, key=lambda one: sha256_bytes(one.prompt_id.encode())):
        kept = drawn.setdefault((str(one.before), str(one.after)), [])
        if len(kept) < n_samples:
            kept.append(one)
    return Preview(
        diff,
        {name: (flow.before, flow.after) for name, flow in diff.per_domain.items()},
        dict(Counter((splits or {}).get(one.prompt_id, "") for one in change.migrations)),
        {pair: tuple(kept) for pair, kept in drawn.items()},
    )


@dataclass(frozen=True)
class Assignment:
    """``part``: id → part. ``margin``: id → cosine to the nearest centre minus cosine to the second; small is unsure."""

    part: dict[str, str]
    margin: dict[str, float]


def assign_by_nearest(ids: Sequence[str], vectors: np.ndarray, seeds: Mapping[str, Sequence[str]]) -> Assignment:
    """Each prompt to the part whose centre is nearest by cosine; a seed stays where it was put, with margin 1.

    ``vectors``: (n, d) float, rows of unit length, of ``ids``. ``seeds``: part → ids given to it by hand. A centre is the mean
    of the seeds' vectors, scaled to unit length (nearest centroid, Manning et al., Introduction to Information Retrieval, §14.2).
    InputError for fewer than two parts, a part without a seed among ``ids``, or an id given to two parts.
    """
    place = {one: n for n, one in enumerate(ids)}
    fixed = {one: part for part, given in seeds.items() for one in given}
    rows = {part: [place[one] for one in given if one in place] for part, given in seeds.items()}
    if len(rows) < 2 or not all(rows.values()) or len(fixed) != sum(len(set(given)) for given in seeds.values()):
        raise InputError("Every part needs prompts of its own to be nearest to.", "Give at least one prompt to each of two parts or more.")
    parts = list(rows)
    centres = np.stack([vectors[rows[part]].mean(axis=0) for part in parts])
    centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
    cosine = vectors @ centres.T
    order = np.sort(cosine, axis=1)
    best = cosine.argmax(axis=1)
    part = {one: fixed.get(one, parts[best[n]]) for n, one in enumerate(ids)}
    margin = {one: 1.0 if one in fixed else float(order[n, -1] - order[n, -2]) for n, one in enumerate(ids)}
    return Assignment(part, margin)
