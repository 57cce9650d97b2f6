"""Every algorithm in both forms by name; its parameters chosen on validation queries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lab.errors import InputError
from lab.selector.compatible import CompatibleKMeans, CompatibleKnn, CompatibleMlp, CompatibleSelector, CompatibleSvm
from lab.selector.contract import LabSelector, check_training
from lab.selector.guarded import GuardedKnnSelector
from lab.selector.kmeans import KMeansSelector
from lab.selector.knn import KnnSelector
from lab.selector.mlp import MlpSelector
from lab.selector.svm import SvmSelector
from lab.selector.table import Cells
from lab.selector.utility import Utility, filled

GUARDED = "guarded-knn"
LAB: dict[str, type[LabSelector]] = {
    "knn": KnnSelector, "kmeans": KMeansSelector, "svm": SvmSelector, "mlp": MlpSelector, GUARDED: GuardedKnnSelector,
}  # fmt: skip
COMPATIBLE: dict[str, type[CompatibleSelector]] = {
    "knn": CompatibleKnn, "kmeans": CompatibleKMeans, "svm": CompatibleSvm, "mlp": CompatibleMlp,
}  # fmt: skip
FORMS = ("lab", "compatible")
MIN_TUNED = 40
FOLDS, JUDGED_FOLDS = 4, 2
"""The training queries are dealt into four folds; two of them in turn choose the parameters. What is kept is fitted on all."""


@dataclass(frozen=True)
class Chosen:
    """A fitted selector, its parameters, and how it was chosen: validation utility of it and of the best single model, on n queries."""

    algorithm: str
    form: str
    selector: LabSelector | CompatibleSelector
    validation: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.algorithm if self.form == "lab" else f"{self.algorithm} (compatible)"


def train(
    algorithm: str,
    form: str,
    x: np.ndarray,
    y: Cells,
    utility: Utility,
    categories: int,
    seed: int = 42,
    fixed: dict[str, Any] | None = None,
) -> Chosen:
    """x (n, D + K) raw features, y the outcomes of the same queries. ``fixed``: parameters a person has set; the others are chosen, for the
    lab's forms, by the gain in utility on queries held out of the fit. InputError where nothing can be learnt.
    """
    fixed = fixed or {}
    known = LAB if form == "lab" else COMPATIBLE
    if form not in FORMS or algorithm not in known:
        raise InputError(f"There is no {form} form of {algorithm}.", f"Use one of: {', '.join(known)}; forms are {', '.join(FORMS)}.")
    check_training(x, y)
    utility = utility.for_cells(y)
    check_signal(y, utility)
    if form == "compatible":
        selector = COMPATIBLE[algorithm]()
        return Chosen(
            algorithm, form, selector.set_params(**{key: one for key, one in fixed.items() if key in selector._names()}).fit(x, y)
        )
    kind = LAB[algorithm]
    fixed = {key: one for key, one in fixed.items() if key in kind._names()}
    if len(x) < MIN_TUNED:
        return Chosen(algorithm, form, kind(utility=utility, categories=categories, **fixed).fit(x, y), {"n": 0})
    params, report = _best(kind, x, y, utility, categories, seed, fixed)
    return Chosen(algorithm, form, kind(utility=utility, categories=categories, **(fixed | params)).fit(x, y), report)


def _best(
    kind: type[LabSelector], x: np.ndarray, y: Cells, utility: Utility, categories: int, seed: int, fixed: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters whose picks gain most over the best single model on the validation queries, less one standard error of that paired gain:
    among many settings the luckiest is one that wanders, and this does not pay it for wandering. The first (most cautious) on ties."""
    fold = np.random.default_rng(seed).permutation(len(x)) % FOLDS
    u = utility.mix(filled(utility.components(y)))
    settings: list[dict[str, Any]] = []
    sums: list[np.ndarray] = []
    single = 0.0
    for held in range(JUDGED_FOLDS):
        inside, outside = np.flatnonzero(fold != held), np.flatnonzero(fold == held)
        judged, rows = u[outside], np.arange(len(outside))
        base = judged[:, u[inside].mean(0).argmax()]
        single += float(base.sum())
        for place, (params, scores) in enumerate(kind.candidates(x[inside], y[inside], x[outside], utility, categories, seed, fixed)):
            if place == len(settings):
                settings.append(params)
                sums.append(np.zeros(2))
            gain = judged[rows, scores.argmax(1)] - base
            sums[place] += gain.sum(), (gain * gain).sum()
    n = int((fold < JUDGED_FOLDS).sum())
    mean, square = np.asarray(sums).T / n
    error = np.sqrt(np.maximum(square - mean * mean, 0) / n)
    best = int((mean - error).round(9).argmax())
    report = {
        "n": n, "settings_tried": len(settings), "utility": single / n + float(mean[best]), "best_single_utility": single / n,
        "gain": float(mean[best]), "gain_standard_error": float(error[best]),
    }  # fmt: skip
    return settings[best], report


def check_signal(y: Cells, utility: Utility) -> None:
    """InputError if every outcome is 0 although quality counts, or if every model has the same utility on every query."""
    if utility.quality_weight > 0 and y.observed.any() and np.nanmax(y.quality) == 0:
        raise InputError(
            "Every outcome is 0; nothing can be learnt from them.",
            "Check the scoring (the metric field and the ground truth); for speed and cost alone set the quality weight to 0.",
        )
    u = utility.mix(utility.components(y))
    known = ~np.isnan(u)
    spread = np.where(known, u, -np.inf).max(1) - np.where(known, u, np.inf).min(1)
    if not (spread[known.sum(1) > 1] > 0).any():
        raise InputError("On no query did two models differ; there is nothing to choose by.", "Add queries on which the models differ.")


def each(algorithms: tuple[str, ...], forms: tuple[str, ...]) -> list[tuple[str, str]]:
    """(algorithm, form) pairs that exist, the lab's first."""
    return [(name, form) for form in FORMS if form in forms for name in algorithms if name in (LAB if form == "lab" else COMPATIBLE)]


Progress = Callable[[str, int, int], None]
