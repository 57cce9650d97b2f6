"""From rows to a training problem: labels canonical, domains chosen, sides of the split known, everything left out counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lab.corpus.duplicates import groups, near_pairs
from lab.corpus.rows import Row, corpus_sha256
from lab.corpus.split import LEFT_OUT, assign, by_hash, split_sha256
from lab.errors import InputError
from lab.router.train import TrainingSet
from lab.taxonomy import Taxonomy


@dataclass(frozen=True)
class Dataset:
    """``rows`` carry the router's own label names; ``domains`` is alphabetical, as the folder format wants."""

    rows: list[Row]
    domains: list[str]
    splits: list[str]
    left_out: dict[str, int] = field(default_factory=dict)
    renamed: dict[str, int] = field(default_factory=dict)

    def side(self, name: str) -> np.ndarray:
        return np.flatnonzero(np.asarray(self.splits) == name)

    def labels(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n,) primary class ids and (n, N) 0/1 also, for the row numbers given. An also-label outside the domains is no target."""
        place = {domain: i for i, domain in enumerate(self.domains)}
        primary = np.asarray([place[self.rows[row].domain] for row in rows], dtype=np.int64)
        also = np.zeros((len(rows), len(self.domains)), dtype=np.uint8)
        for n, row in enumerate(rows):
            for one in self.rows[row].also:
                if one in place:
                    also[n, place[one]] = 1
        return primary, also

    def training_set(self, vectors: np.ndarray, side: str) -> TrainingSet | None:
        rows = self.side(side)
        return TrainingSet(vectors[rows], *self.labels(rows), [self.rows[row].text for row in rows]) if len(rows) else None

    @property
    def corpus_sha256(self) -> str:
        return corpus_sha256(self.rows)

    @property
    def split_sha256(self) -> str:
        return split_sha256(self.rows, self.splits)


def _named(
    rows: Sequence[Row], taxonomy: Taxonomy, only: Mapping[str, str] | None, reserved: Collection[str]
) -> tuple[list[Row], Counter[str], Counter[str]]:
    """Rows under the router's own label names; how often each label was renamed; how many rows were left out and why."""
    renamed: Counter[str] = Counter()
    left_out: Counter[str] = Counter()

    def name(label: str) -> str | None:
        canonical = taxonomy.canonical(label)
        final = only.get(canonical) if only is not None else canonical
        if final is not None and final != label:
            renamed[f"{label} → {final}"] += 1
        return final

    kept: list[Row] = []
    for row in rows:
        if row.id in reserved:
            left_out["reserved for the behavioural suites"] += 1
            continue
        domain = name(row.domain)
        if domain is None:
            left_out["label outside the chosen domains"] += 1
            continue
        kept.append(replace(row, domain=domain, also=tuple(final for one in row.also if (final := name(one)) and final != domain)))
    return kept, renamed, left_out


def build_dataset(
    rows: Sequence[Row],
    taxonomy: Taxonomy,
    frozen: Mapping[str, str] | None = None,
    only: Mapping[str, str] | None = None,
    reserved: Collection[str] = (),
) -> Dataset:
    """``only`` (taxonomy name → the router's name) keeps and renames a part of the domains, as v5 has it. ``reserved``: text ids of
    the behavioural suites and out-of-domain prompts, which never train.

    Aliases become the taxonomy's names. Rows that come with a train/test split but no valid one give a tenth of train to valid. A
    label needs at least one training row; InputError otherwise.
    """
    kept, renamed, left_out = _named(rows, taxonomy, only, reserved)
    if not kept:
        raise InputError("No labelled row is left to train on.", "Check the corpus and its labels.")
    splits = assign(kept, frozen)
    if "valid" not in splits:
        splits = _give_valid(kept, splits)
    outside = splits.count(LEFT_OUT)
    if outside:
        left_out["near-duplicate of both sides of the split"] += outside
        kept, splits = map(list, zip(*[(row, side) for row, side in zip(kept, splits, strict=True) if side != LEFT_OUT], strict=True))
    domains = sorted({row.domain for row in kept})
    trained = {row.domain for row, side in zip(kept, splits, strict=True) if side == "train"}
    if len(domains) < 2 or set(domains) - trained:
        missing = ", ".join(sorted(set(domains) - trained)[:5])
        raise InputError(
            f"A router needs two or more labels with training rows; without one: {missing or 'there is only one label'}.",
            "Add prompts for them, or leave the label out.",
        )
    return Dataset(kept, domains, splits, dict(left_out), dict(renamed))


def _give_valid(rows: Sequence[Row], splits: Sequence[str]) -> list[str]:
    """A tenth of train becomes valid: near-duplicates together, by the hash of their smallest text id, and never all rows of a label."""
    families: dict[int, list[int]] = defaultdict(list)
    for row, family in enumerate(groups(len(rows), near_pairs([row.text for row in rows]))):
        if splits[row] == "train":
            families[family].append(row)
    left = Counter(rows[row].domain for family in families.values() for row in family)
    out = list(splits)
    for first, family in sorted((min(rows[row].id for row in family), family) for family in families.values()):
        taken = Counter(rows[row].domain for row in family)
        if by_hash(first) == "valid" and all(left[domain] > n for domain, n in taken.items()):
            left -= taken
            for row in family:
                out[row] = "valid"
    return out
