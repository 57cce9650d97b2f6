"""The taxonomy doctor: can two domains be told apart at all, and what would merging or splitting domains do to the scores?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from math import sqrt
from typing import Any

import numpy as np

from lab.corpus.split import SIDES
from lab.errors import InputError
from lab.evaluation.compare import difference_interval, mcnemar
from lab.evaluation.intervals import Z95
from lab.evaluation.metrics import ENOUGH, confusion, f1_from_confusion
from lab.files import sha256_bytes
from lab.release.learning import EPOCHS
from lab.release.preview import shortened
from lab.router.dataset import Dataset
from lab.router.fit import fit
from lab.router.recipe import Recipe

Progress = Callable[[str, int, int], None]
MERGED = " + "


@dataclass(frozen=True)
class Separability:
    """``auc``: chance that a prompt of ``a`` scores more like ``a`` than one of ``b`` does, cross-validated; 0.5: not to be told apart."""

    a: str
    b: str
    n_a: int
    n_b: int
    auc: float
    interval: tuple[float, float]
    verdict: str


@dataclass(frozen=True)
class Simulation:
    """Two refits, on the domains as they are and as proposed, on the same held-out prompts and held to the same proposed labels.

    ``parts``: the new domains with support and F1; ``neighbours``: other domains whose recall changes by more than chance (McNemar
    p < 0.05 on their own prompts), as (domain, before, after).
    """

    kind: str
    domains: tuple[str, ...]
    n: int
    top1_before: float
    top1_after: float
    fixed: int
    broken: int
    mcnemar_p: float
    difference: tuple[float, float]
    macro_f1_before: float
    macro_f1_after: float
    domains_before: int
    domains_after: int
    parts: dict[str, dict[str, float | int | None]]
    neighbours: tuple[tuple[str, float, float], ...]
    sentence: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def separability(
    dataset: Dataset, vectors: np.ndarray, pairs: Sequence[tuple[str, str]], folds: int = 5, progress: Progress = lambda s, d, o: None
) -> list[Separability]:
    """Of each pair, by a logistic regression on the vectors of the train and valid sides. Least separable first."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    known = np.isin(np.asarray(dataset.splits), SIDES[:2])
    labels = np.asarray([row.domain for row in dataset.rows])
    fold = np.asarray([int(sha256_bytes(f"pair-1:{row.id}".encode())[:8], 16) % folds for row in dataset.rows])
    out = []
    for done, (a, b) in enumerate(pairs):
        progress("pairs", done, len(pairs))
        rows = np.flatnonzero(known & ((labels == a) | (labels == b)))
        wanted = labels[rows] == a
        n_a, n_b = int(wanted.sum()), int((~wanted).sum())
        if min(n_a, n_b) < ENOUGH:
            raise InputError(f"{a} and {b} have {n_a} and {n_b} prompts.", f"At least {ENOUGH} of each are needed to judge a pair.")
        score = np.zeros(len(rows))
        for k in range(folds):
            inside, outside = fold[rows] != k, fold[rows] == k
            if outside.any():
                score[outside] = (
                    LogisticRegression(C=10, class_weight="balanced")
                    .fit(vectors[rows[inside]], wanted[inside])
                    .decision_function(vectors[rows[outside]])
                )
        auc = float(roc_auc_score(wanted, score))
        out.append(Separability(a, b, n_a, n_b, auc, auc_interval(auc, n_a, n_b), _verdict(auc)))
    progress("pairs", len(pairs), len(pairs))
    return sorted(out, key=lambda one: one.auc)


def auc_interval(auc: float, positives: int, negatives: int) -> tuple[float, float]:
    """95 % interval of an AUC (Hanley & McNeil 1982, "The meaning and use of the area under a ROC curve")."""
    q1, q2 = auc / (2 - auc), 2 * auc * auc / (1 + auc)
    variance = (auc * (1 - auc) + (positives - 1) * (q1 - auc * auc) + (negatives - 1) * (q2 - auc * auc)) / (positives * negatives)
    half = Z95 * sqrt(max(0.0, variance))
    return max(0.0, auc - half), min(1.0, auc + half)


def _verdict(auc: float) -> str:
    if auc < 0.80:
        return "The vectors hardly tell them apart: more prompts will not help much; sharpen the border, or merge."
    return "They can be told apart with effort: prompts near the border help." if auc < 0.95 else "They are well apart."


def simulate_merge(
    dataset: Dataset, vectors: np.ndarray, recipe: Recipe, domains: Sequence[str], progress: Progress = lambda s, d, o: None
) -> Simulation:
    """What if these domains were one? Scores on the valid side; "before" counts an answer within the merged domains as right too."""
    _known(dataset, domains)
    if len(set(domains)) < 2:
        raise InputError("A merge needs two domains.", "Name two or more.")
    name = MERGED.join(sorted(set(domains)))
    new = [name if row.domain in domains else row.domain for row in dataset.rows]
    return _simulate(
        "merge",
        dataset,
        vectors,
        recipe,
        new,
        tuple(sorted(set(domains))),
        (name,),
        lambda domain: name if domain in domains else domain,
        progress,
    )


def simulate_split(
    dataset: Dataset,
    vectors: np.ndarray,
    recipe: Recipe,
    domain: str,
    parts: dict[str, str] | int = 2,
    seed: int = 0,
    progress: Progress = lambda s, d, o: None,
) -> Simulation:
    """What if ``domain`` were several? ``parts``: text id → new name for its prompts, or a number of clusters of their vectors (k-means).

    "Before" and "after" are compared on the old labels, an answer within the parts counting as the whole; ``parts`` of the result says
    how well the new domains would be told apart.
    """
    _known(dataset, [domain])
    own = [n for n, row in enumerate(dataset.rows) if row.domain == domain]
    named = (
        _clusters(dataset, vectors, own, domain, parts, seed)
        if isinstance(parts, int)
        else {n: parts.get(dataset.rows[n].id, "") for n in own}
    )
    missing = sum(not name for name in named.values())
    if missing or len(set(named.values())) < 2:
        raise InputError(
            f"{missing} prompts of {domain} have no part, and there are {len(set(named.values()) - {''})} parts.",
            "Give each prompt one of two or more parts.",
        )
    new = [named.get(n, row.domain) for n, row in enumerate(dataset.rows)]
    names = tuple(sorted(set(named.values())))
    return _simulate("split", dataset, vectors, recipe, new, (domain,), names, lambda one: domain if one in names else one, progress)


def _clusters(dataset: Dataset, vectors: np.ndarray, own: list[int], domain: str, parts: int, seed: int) -> dict[int, str]:
    from sklearn.cluster import KMeans

    train = [n for n in own if dataset.splits[n] == "train"]
    if parts < 2 or len(train) < parts * ENOUGH:
        raise InputError(f"{domain} has {len(train)} training prompts.", f"Ask for two or more parts with at least {ENOUGH} each.")
    fitted = KMeans(parts, n_init=5, random_state=seed).fit(vectors[train])
    return {n: f"{domain}/{part + 1}" for n, part in zip(own, fitted.predict(vectors[own]), strict=True)}


def _known(dataset: Dataset, domains: Sequence[str]) -> None:
    unknown = sorted(set(domains) - set(dataset.domains))
    if unknown:
        raise InputError(f"The corpus has no domain {', '.join(unknown)}.", "Use the names of the taxonomy.")


def _simulate(
    kind: str, dataset: Dataset, vectors: np.ndarray, recipe: Recipe, new: list[str], old_names: tuple[str, ...], new_names: tuple[str, ...],
    fold_in: Callable[[str], str], progress: Progress,
) -> Simulation:  # fmt: skip
    """``fold_in`` maps a label of either kind to the coarser of the two label sets, in which both are scored."""
    changed = replace(
        dataset, rows=[replace(row, domain=label) for row, label in zip(dataset.rows, new, strict=True)], domains=sorted(set(new))
    )
    answers: list[np.ndarray] = []
    for done, one in enumerate((dataset, changed)):
        progress("refit", done, 2)
        train = one.training_set(vectors, "train")
        held = one.side("valid")
        if train is None or len(held) == 0:
            raise InputError("There are no training or validation prompts.", "Use a corpus with a split.")
        logits = fit(train, None, shortened(recipe, EPOCHS)).logits(vectors[held], [one.rows[n].text for n in held])
        answers.append(np.asarray(one.domains)[logits.argmax(1)])
    progress("refit", 2, 2)
    wanted = np.asarray([fold_in(dataset.rows[n].domain) for n in held])
    first, second = (np.asarray([fold_in(str(name)) for name in answer]) for answer in answers)
    coarse = sorted({str(one) for some in (wanted, first, second) for one in some})
    f1_first, f1_second = _f1(wanted, first, coarse), _f1(wanted, second, coarse)
    fixed, broken = int(((first != wanted) & (second == wanted)).sum()), int(((first == wanted) & (second != wanted)).sum())
    fine = np.asarray([new[n] for n in held])
    fine_f1 = _f1(fine, answers[1], changed.domains)
    parts = {name: {"support": int((fine == name).sum()), "f1": fine_f1.get(name)} for name in new_names}
    before, after = float((first == wanted).mean()), float((second == wanted).mean())
    low, high = difference_interval(fixed, broken, len(held))
    told = ", ".join(f"{name} F1 {one['f1'] or 0:.2f} (n {one['support']})" for name, one in parts.items())
    sentence = (
        f"{kind.capitalize()} of {', '.join(old_names)}: top-1 {before:.1%} → {after:.1%} [{100 * low:+.1f}, {100 * high:+.1f}] on {len(held)} validation prompts "
        f"in the coarser labels; new: {told}."
    )  # fmt: skip
    return Simulation(
        kind, old_names, len(held), before, after, fixed, broken, mcnemar(fixed, broken), (low, high), float(np.mean(list(f1_first.values()))),
        float(np.mean(list(f1_second.values()))), len(dataset.domains), len(changed.domains), parts,
        _moved(wanted, first, second, {*old_names, *new_names}), sentence,
    )  # fmt: skip


def _moved(wanted: np.ndarray, first: np.ndarray, second: np.ndarray, concerned: set[str]) -> tuple[tuple[str, float, float], ...]:
    out = []
    for name in sorted({str(one) for one in wanted} - concerned):
        a, b = first[wanted == name] == name, second[wanted == name] == name
        if mcnemar(int((~a & b).sum()), int((a & ~b).sum())) < 0.05:
            out.append((name, float(a.mean()), float(b.mean())))
    return tuple(out)


def _f1(wanted: np.ndarray, answered: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """Of the domains with support."""
    place = {name: n for n, name in enumerate(names)}
    table = confusion(np.asarray([place[one] for one in wanted]), np.asarray([place[str(one)] for one in answered]), len(names))
    f1 = f1_from_confusion(table)
    return {name: float(f1[n]) for name, n in place.items() if table[n].sum()}
