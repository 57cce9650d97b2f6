"""What a batch of relabels would change, in seconds: which held-out prompts a retrain would answer differently.

Two short refits that differ in nothing but the labels (same rows, order, seed) are subtracted, and the difference is added to the
champion's logits. What the two refits share – being short, being of another seed – cancels; what is left is what the labels did.
A single short refit against the champion would show hundreds of flips of which none is due to the labels.

Measured with refits of 10 epochs on the shipped corpus (12 batches of 20 to 600 corrected labels, 1 482 validation prompts, 604 flips shown, 847 made): 69 % of the
flips shown are made by the full retrain too, to the same domain; 49 % of the retrain's flips are shown; fixed to broken is 1.29 here and
1.30 there. Half of a retrain's flips are its own noise: another seed with the same labels flips 150 prompts.
Four epochs show no fewer of the real ones, but for a hybrid only about half of the flips shown come true. Router lab-47, two batches of 40 labels that its out-of-fold answers contradict, 1 482 validation prompts: the full
retrains flip 33 and 98; shown are 57 with four epochs (28 flip in the retrains too, 23 of them to the same domain), 55 with ten (29 and 24).
Starting from the champion's head instead shows no more of them (57, 28, 23 after two epochs; 57, 29, 24 after three).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

import numpy as np

from lab.errors import InputError
from lab.evaluation.compare import difference_interval
from lab.files import canonical, sha256_bytes
from lab.release.preview_lexical import concerned, lexical_change
from lab.router.dataset import Dataset
from lab.router.lexical import Lexical
from lab.router.recipe import Recipe
from lab.router.train import Epoch, TrainingSet, train_head

EPOCHS, STEPS = 4, 380
"""At least so many of both: few prompts make few steps an epoch."""
SIDE = "valid"
"""Flips are shown on validation prompts; test prompts are kept for the gate."""

Logits = Callable[[np.ndarray, Sequence[str]], np.ndarray]
"""(n, D) vectors and their n prompts → (n, N) logits: Router.logits."""


Label = tuple[str, tuple[str, ...]]
"""The domain of a row and, sorted, who else could answer it."""


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


def shadow_recipe(recipe: Recipe, rows: int) -> Recipe:
    """The champion's recipe, :func:`shortened` to EPOCHS, or as many as make STEPS on ``rows`` prompts."""
    return shortened(recipe, max(EPOCHS, ceil(STEPS / ceil(rows / recipe.batch_size))))


def shortened(recipe: Recipe, epochs: int) -> Recipe:
    """At most ``epochs``; without mixup, which only adds noise to a run this short; last epoch kept."""
    return recipe.with_changes(epochs=min(epochs, recipe.epochs), mixup_alpha=0.0, keep="last")


def preview(
    champion: Logits, names: list[str], before: tuple[Dataset, np.ndarray], after: tuple[Dataset, np.ndarray], recipe: Recipe,
    baseline: Baseline | None = None, side: str = SIDE, scale: float = 1.0, lexical: Lexical | None = None, progress: Callable[[str, int, int], None] = lambda stage, done, of: None,
) -> tuple[Preview, Baseline]:  # fmt: skip
    """``champion`` answers over ``names``; ``before`` and ``after`` are the corpus it was trained on and the corpus of now, each with the
    (n, D) vectors of its rows.

    An added row counts in the old run as what the champion answers for it, a removed one in the new run likewise: so the two runs have
    the same rows. ``side`` may be any side but train. Pass the returned Baseline back in to halve the time. The refits are of the
    embedding head; ``scale`` is the slope that a lexical part gives its logits, and what the labels do to the part ``lexical`` itself is
    worked out by lab.release.preview_lexical.
    """
    (old, _), (new, new_vectors) = before, after
    held = new.side(side)
    if side == "train" or len(held) == 0:
        raise InputError(f"There are no held-out prompts on the side '{side}'.", "Use the side valid of a corpus with a split.")
    domains = sorted({*names, *old.domains, *new.domains})
    ids, vectors, texts = _union(before, after)
    labels_old, labels_new = _filled(
        ids, _labels(old), _labels(new), lambda rows: [names[i] for i in champion(vectors[rows], [texts[n] for n in rows]).argmax(1)]
    )
    short, held_vectors = shadow_recipe(recipe, len(ids)), new_vectors[held]
    key = sha256_bytes(canonical([ids, labels_old, domains, [new.rows[n].id for n in held], short.to_json()]) + vectors[:1].tobytes())
    if baseline is None or baseline.key != key:
        logits = _refit(vectors, labels_old, domains, held_vectors, short, lambda e: progress("refit old labels", e.epoch, short.epochs))
        baseline = Baseline(key, logits)
    logits = _refit(vectors, labels_new, domains, held_vectors, short, lambda e: progress("refit new labels", e.epoch, short.epochs))
    place = {domain: n for n, domain in enumerate(domains)}
    served = scale * baseline.logits  # a domain that the champion lacks is taken as the refits see it
    served[:, [place[name] for name in names]] = champion(held_vectors, [new.rows[n].text for n in held])
    change = logits - baseline.logits
    if lexical is not None:
        progress("move the n-grams", 0, 1)
        held_texts = [new.rows[n].text for n in held]
        change[:, [place[name] for name in names]] += _lexical(lexical, recipe, names, (ids, vectors, texts), (_labels(old), _labels(new)), held_texts)
    report = _report(served, served + scale * change, domains, new, held)
    found = Preview(
        **report, changes=changes(old, new), side=side, epochs=short.epochs, corpus_before=old.corpus_sha256, corpus_after=new.corpus_sha256
    )
    return found, baseline


def _lexical(
    lexical: Lexical, recipe: Recipe, names: list[str], rows: tuple[list[str], np.ndarray, list[str]], labels: tuple[dict[str, Label], dict[str, Label]], held: list[str]
) -> np.ndarray:  # fmt: skip
    """(n, N) change of what the lexical part adds to the logits of the ``held`` prompts. ``rows``: ids, vectors, texts of all that train."""
    ids, vectors, texts = rows
    changed = np.asarray([n for n, one in enumerate(ids) if labels[0].get(one) != labels[1].get(one)], dtype=np.int64)
    if len(changed) == 0:
        return np.zeros((len(held), len(names)))
    near = concerned(changed, vectors)
    old, new = ([one.get(ids[n]) for n in near] for one in labels)
    return float(lexical.blend[0]) * lexical_change(lexical, recipe.lexical_cost, names, [texts[n] for n in near], old, new, held)


def changes(old: Dataset, new: Dataset) -> dict[str, int]:
    """Training rows of ``new`` against ``old``: relabelled (domain or also), added, removed."""
    a, b = _labels(old), _labels(new)
    return {
        "relabelled": sum(a[one] != b[one] for one in a.keys() & b.keys()), "added": len(b.keys() - a.keys()), "removed": len(a.keys() - b.keys()),
    }  # fmt: skip


def _labels(dataset: Dataset) -> dict[str, Label]:
    """Text id → (domain, also) of the training rows."""
    return {dataset.rows[n].id: (dataset.rows[n].domain, tuple(sorted(dataset.rows[n].also))) for n in dataset.side("train")}


def _union(before: tuple[Dataset, np.ndarray], after: tuple[Dataset, np.ndarray]) -> tuple[list[str], np.ndarray, list[str]]:
    """Text ids of the rows that train before or after, in a fixed order, with their vectors and prompts."""
    where = {dataset.rows[n].id: (vectors[n], dataset.rows[n].text) for dataset, vectors in (before, after) for n in dataset.side("train")}
    ids = sorted(where)
    return ids, np.stack([where[one][0] for one in ids]), [where[one][1] for one in ids]


def _filled(
    ids: list[str], old: dict[str, Label], new: dict[str, Label], answers: Callable[[list[int]], list[str]]
) -> tuple[list[Label], list[Label]]:
    """The labels of both runs; a row that one of them lacks gets the champion's answer there."""
    odd = [n for n, one in enumerate(ids) if one not in old or one not in new]
    own = dict(zip(odd, answers(odd), strict=True)) if odd else {}
    first, second = ([labels[one] if one in labels else (own[n], ()) for n, one in enumerate(ids)] for labels in (old, new))
    return first, second


def _refit(
    vectors: np.ndarray, labels: list[Label], domains: list[str], held: np.ndarray, recipe: Recipe, tell: Callable[[Epoch], None]
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
