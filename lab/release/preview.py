"""What a batch of relabels would change, in seconds: which held-out prompts a retrain would answer differently.

Two short refits that differ in nothing but the labels (same rows, order, seed) are subtracted, and the difference is added to the
champion's logits. What the two refits share – being short, being of another seed – cancels; what is left is what the labels did.
A single short refit against the champion would show hundreds of flips of which none is due to the labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lab.errors import InputError
from lab.evaluation.compare import difference_interval
from lab.files import canonical, sha256_bytes
from lab.router.dataset import Dataset
from lab.router.recipe import Recipe
from lab.router.train import Epoch, TrainingSet, train_head

EPOCHS = 10
SIDE = "valid"
"""Flips are shown on validation prompts; test prompts are kept for the gate."""

Logits = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Flip:
    """One held-out prompt that would be answered otherwise. ``kind``: fixed, broken, or neutral (wrong before and after)."""

    text_id: str
    text: str
    label: str
    before: str
    after: str
    kind: str


@dataclass(frozen=True)
class Preview:
    """``changes``: training rows relabelled, added, removed. ``difference``: 95 % interval of the change of top-1 on these prompts."""

    n: int
    flips: tuple[Flip, ...]
    fixed: int
    broken: int
    neutral: int
    per_domain: dict[str, dict[str, int]]
    changes: dict[str, int]
    top1_before: float
    top1_after: float
    difference: tuple[float, float]
    side: str
    epochs: int
    corpus_before: str
    corpus_after: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def sentence(self) -> str:
        changed = sum(self.changes.values())
        if not changed:
            return "No training label changed since the champion was trained."
        return (
            f"{changed} training labels changed: of {self.n} held-out prompts about {self.fixed} would be fixed, {self.broken} broken, "
            f"{self.neutral} would move from one wrong domain to another."
        )


@dataclass(frozen=True)
class Baseline:
    """The refit on the old labels, kept so that the next batch needs one refit instead of two. ``key`` binds it to its inputs."""

    key: str
    logits: np.ndarray


def shadow_recipe(recipe: Recipe) -> Recipe:
    """The champion's recipe, shortened; without mixup, which only adds noise to a run this short; last epoch kept."""
    return recipe.with_changes(epochs=min(EPOCHS, recipe.epochs), mixup_alpha=0.0, keep="last")


def preview(
    champion: Logits, names: list[str], before: tuple[Dataset, np.ndarray], after: tuple[Dataset, np.ndarray], recipe: Recipe,
    baseline: Baseline | None = None, side: str = SIDE, progress: Callable[[str, int, int], None] = lambda stage, done, of: None,
) -> tuple[Preview, Baseline]:  # fmt: skip
    """``champion`` maps (n, D) vectors to (n, N) logits over ``names``; ``before`` and ``after`` are the corpus it was trained on and the
    corpus of now, each with the (n, D) vectors of its rows.

    An added row counts in the old run as what the champion answers for it, a removed one in the new run likewise: so the two runs have
    the same rows. ``side`` may be any side but train. Pass the returned Baseline back in to halve the time.
    """
    (old, old_vectors), (new, new_vectors) = before, after
    held = new.side(side)
    if side == "train" or len(held) == 0:
        raise InputError(f"There are no held-out prompts on the side '{side}'.", "Use the side valid of a corpus with a split.")
    domains = sorted({*names, *old.domains, *new.domains})
    rows, vectors = _union(old, old_vectors, new, new_vectors)
    own = [names[i] for i in champion(vectors).argmax(1)]
    labels_old, labels_new = ([from_one.get(one, (own[n], ())) for n, one in enumerate(rows)] for from_one in (_labels(old), _labels(new)))
    short, held_vectors = shadow_recipe(recipe), new_vectors[held]
    key = sha256_bytes(canonical([rows, labels_old, domains, [new.rows[n].id for n in held], short.to_json()]) + vectors[:1].tobytes())
    if baseline is None or baseline.key != key:
        baseline = Baseline(
            key, _refit(vectors, labels_old, domains, held_vectors, short, lambda e: progress("refit old labels", e.epoch, short.epochs))
        )
    logits = _refit(vectors, labels_new, domains, held_vectors, short, lambda e: progress("refit new labels", e.epoch, short.epochs))
    place = {domain: n for n, domain in enumerate(domains)}
    served = baseline.logits.copy()  # a domain that the champion lacks is taken as the refits see it
    served[:, [place[name] for name in names]] = champion(held_vectors)
    report = _report(served, served + logits - baseline.logits, domains, new, held)
    return Preview(
        **report, changes=changes(old, new), side=side, epochs=short.epochs, corpus_before=old.corpus_sha256, corpus_after=new.corpus_sha256
    ), baseline


def changes(old: Dataset, new: Dataset) -> dict[str, int]:
    """Training rows of ``new`` against ``old``: relabelled (domain or also), added, removed."""
    a, b = _labels(old), _labels(new)
    return {
        "relabelled": sum(a[one] != b[one] for one in a.keys() & b.keys()), "added": len(b.keys() - a.keys()), "removed": len(a.keys() - b.keys()),
    }  # fmt: skip


def _labels(dataset: Dataset) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Text id → (domain, also) of the training rows."""
    return {dataset.rows[n].id: (dataset.rows[n].domain, tuple(sorted(dataset.rows[n].also))) for n in dataset.side("train")}


def _union(old: Dataset, old_vectors: np.ndarray, new: Dataset, new_vectors: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Text ids of the rows that train before or after, in a fixed order, and their vectors."""
    where: dict[str, np.ndarray] = {old.rows[n].id: old_vectors[n] for n in old.side("train")}
    where |= {new.rows[n].id: new_vectors[n] for n in new.side("train")}
    ids = sorted(where)
    return ids, np.stack([where[one] for one in ids])


def _refit(
    vectors: np.ndarray, labels: list[tuple[str, tuple[str, ...]]], domains: list[str], held: np.ndarray, recipe: Recipe, tell: Callable[[Epoch], None]
) -> np.ndarray:  # fmt: skip
    place = {domain: n for n, domain in enumerate(domains)}
    also = np.zeros((len(labels), len(domains)), dtype=np.uint8)
    for n, (_, others) in enumerate(labels):
        also[n, [place[one] for one in others if one in place]] = 1
    primary = np.asarray([place[domain] for domain, _ in labels], dtype=np.int64)
    return train_head(TrainingSet(vectors, primary, also), None, recipe, tell).head.logits(held)


def _report(before: np.ndarray, after: np.ndarray, domains: list[str], dataset: Dataset, held: np.ndarray) -> dict[str, Any]:
    first, second = before.argmax(1), after.argmax(1)
    flips = []
    for n in np.flatnonzero(first != second):
        row, was, becomes = dataset.rows[held[n]], domains[first[n]], domains[second[n]]
        kind = "fixed" if becomes == row.domain else "broken" if was == row.domain else "neutral"
        flips.append(Flip(row.id, row.text, row.domain, was, becomes, kind))
    labels = np.asarray([dataset.rows[n].domain for n in held])
    names = np.asarray(domains)
    count = Counter(flip.kind for flip in flips)
    table: dict[str, dict[str, int]] = {}
    for flip in flips:
        table.setdefault(flip.label, {"fixed": 0, "broken": 0, "neutral": 0})[flip.kind] += 1
    return {
        "n": len(held), "flips": tuple(flips), "fixed": count["fixed"], "broken": count["broken"], "neutral": count["neutral"],
        "per_domain": dict(sorted(table.items(), key=lambda one: (-sum(one[1].values()), one[0]))),
        "top1_before": float((names[first] == labels).mean()), "top1_after": float((names[second] == labels).mean()),
        "difference": difference_interval(count["fixed"], count["broken"], len(held)),
    }  # fmt: skip
