"""One query's pick, and what stands behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from lab.errors import InputError
from lab.selector.contract import LabSelector
from lab.selector.guarded import GuardedKnnSelector
from lab.selector.knn import nearest
from lab.selector.store import SelectorSet
from lab.selector.utility import Utility

EVIDENCE = 100
"""Training queries that the predicted quality, latency and cost are read from, where a selector does not predict them itself."""


@dataclass(frozen=True)
class Pick:
    """``model`` was chosen among ``candidates``. ``scores`` is in the algorithm's own unit (``unit``); a model without one could not win.

    ``predicted``: per model quality, latency_s and cost_usd as far as the data has them.
    """

    selector: str
    model: str
    reason: str
    unit: str
    candidates: list[str]
    scores: dict[str, float]
    unknown: list[str] = field(default_factory=list)
    predicted: dict[str, dict[str, float]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


UNITS = {"knn": "sum of votes", "kmeans": "minus squared distance to the model's nearest cluster", "svm": "decision value", "mlp": "output"}


def pick(one: SelectorSet, key: str, x: np.ndarray, candidates: Sequence[str] = (), utility: Utility | None = None) -> Pick:
    """For raw features (1, D + K). Only ``candidates`` may win (all models without any); those the selector does not know are listed.

    If it knows none of them the first is taken, as the router does.
    """
    key = key or one.default
    selector, entry = one.selector(key), one.meta["selectors"][key]
    models = selector.file.models if not isinstance(selector, LabSelector) else one.models
    wanted = list(dict.fromkeys(candidates)) or models
    unknown = [name for name in wanted if name not in models]
    name = f"{one.name}/{key}"
    if len(unknown) == len(wanted):
        why = f"{name} knows none of the candidates ({', '.join(wanted)}); the first is taken, as the router does"
        return Pick(name, wanted[0], why, "", wanted, {}, unknown)
    allowed = np.asarray([model in wanted for model in models])
    if isinstance(selector, LabSelector):
        guarded = isinstance(selector, GuardedKnnSelector)
        scores = (selector.scores(x, utility, allowed) if guarded else selector.scores(x, utility))[0]
        won = int(np.where(allowed, scores, -np.inf).argmax())
        unit = "gain over the best single model that is certain" if guarded else "predicted utility"
    else:
        scores, won, unit = selector.scores(x)[0], selector.pick(x, allowed), UNITS[entry["algorithm"]]
        if not np.isfinite(scores[allowed]).any():
            first = next(model for model in wanted if model not in unknown)
            return Pick(name, first, "no candidate has a score here; the first that is known is taken", unit, wanted, {}, unknown)
    kept = {model: float(score) for model, score, may in zip(models, scores, allowed, strict=True) if may and np.isfinite(score)}
    return Pick(name, models[won], _reason(one, selector, models, scores, allowed, won), unit, wanted, kept, unknown)


def _reason(one: SelectorSet, selector: Any, models: list[str], scores: np.ndarray, allowed: np.ndarray, won: int) -> str:
    others = np.where(allowed, scores, -np.inf)
    others[won] = -np.inf
    if isinstance(selector, GuardedKnnSelector):
        if won == selector.best(allowed=allowed):
            return f"{models[won]} is the best single model of those allowed, and no other is better beyond {selector.z:g} standard errors on similar queries"
        return f"on the {selector.k} most similar queries {models[won]} beats {models[selector.best(allowed=allowed)]} by more than {selector.z:g} standard errors"
    if not np.isfinite(others).any():
        return f"{models[won]} is the only candidate with a score"
    second = int(others.argmax())
    return f"{models[won]} scores {scores[won]:.4g}, {models[second]} follows with {scores[second]:.4g}"


@dataclass(frozen=True)
class Ballot:
    """What would change the pick: each model's lead, the training queries nearest by the selector's own measure, and what they say."""

    pick: Pick
    neighbours: list[dict[str, Any]]
    flips: list[dict[str, Any]]


def predicted(one: SelectorSet, key: str, x: np.ndarray) -> dict[str, dict[str, float]]:
    """Quality, latency_s and cost_usd per model: the selector's own prediction, or the mean of the EVIDENCE nearest training queries."""
    selector = one.selector(key)
    if isinstance(selector, LabSelector):
        values = selector.utility.original(selector.components(x)[0])
        return {model: {name: float(value[place]) for name, value in values.items()} for place, model in enumerate(one.models)}
    if not len(one.x):
        return {}
    rows = nearest(x, one.x, EVIDENCE)[0]
    cells = one.cells[rows]
    out: dict[str, dict[str, float]] = {}
    for place, model in enumerate(one.models):
        known = {"quality": cells.quality[:, place], "latency_s": cells.latency_s[:, place], "cost_usd": cells.cost_usd[:, place]}
        out[model] = {name: float(np.nanmean(value)) for name, value in known.items() if not np.isnan(value).all()}
    return out


def ballot(one: SelectorSet, key: str, x: np.ndarray, candidates: Sequence[str] = (), neighbours: int = 10) -> Ballot:
    """The pick with its neighbours (no texts are kept: category, similarity, outcomes) and other picks: by category, by quality weight, with less
    evidence, without the model picked."""
    key = key or one.default
    made = pick(one, key, x, candidates)
    made = Pick(**(made.__dict__ | {"predicted": predicted(one, key, x)}))
    near: list[dict[str, Any]] = []
    if len(one.x):
        selector = one.selector(key)
        rows = (selector.neighbours(x, neighbours) if hasattr(selector, "neighbours") else nearest(x, one.x, neighbours))[0]
        places = one.x[:, one.dim :].argmax(1)
        for row in rows:
            near.append({
                "cosine": float(one.x[row, : one.dim] @ x[0, : one.dim]), "category": one.one_hot[places[row]],
                "quality": {model: _known(one.cells.quality[row, place]) for place, model in enumerate(one.models)},
            })  # fmt: skip
    flips = [found for by in (_by_category, _by_weight, _by_evidence, _without) for found in by(one, key, x, candidates, made.model)]
    return Ballot(made, near, flips)


def _by_category(one: SelectorSet, key: str, x: np.ndarray, candidates: Sequence[str], model: str) -> list[dict[str, Any]]:
    out = []
    for place, name in enumerate(one.one_hot):
        other = x.copy()
        other[0, one.dim :] = 0
        other[0, one.dim + place] = 1
        found = pick(one, key, other, candidates).model
        if found != model:
            out.append({"what": "category", "to": name, "model": found})
    return out


def _by_weight(one: SelectorSet, key: str, x: np.ndarray, candidates: Sequence[str], model: str) -> list[dict[str, Any]]:
    if not isinstance(one.selector(key), LabSelector) or len(one.utility.parts) < 2:
        return []
    out, last = [], model
    for weight in np.linspace(0, 1, 21).round(2):
        found = pick(one, key, x, candidates, one.utility.at(float(weight))).model
        if found not in (last, model):
            out.append({"what": "quality_weight", "to": float(weight), "model": found})
        last = found
    return out


def _by_evidence(one: SelectorSet, key: str, x: np.ndarray, candidates: Sequence[str], model: str) -> list[dict[str, Any]]:
    """How many standard errors would have to be enough for a guarded selector to leave the best single model, or too few to have left it."""
    selector = one.selector(key)
    allowed = np.asarray([not candidates or name in candidates for name in one.models])
    if not isinstance(selector, GuardedKnnSelector) or not allowed.any():
        return []
    best = selector.best(allowed=allowed)
    mean, error = selector.evidence(selector.neighbours(x), best)
    ratio = np.where(allowed & (mean[0] > 0), mean[0] / np.maximum(error[0], 1e-12), 0.0)
    single, top = one.models[best], int(ratio.argmax())
    if ratio[top] <= 0:
        return []
    left = model != single
    return [{"what": "more_evidence" if left else "less_evidence", "to": round(float(ratio[top]), 2), "model": single if left else one.models[top]}]


def _without(one: SelectorSet, key: str, x: np.ndarray, candidates: Sequence[str], model: str) -> list[dict[str, Any]]:
    rest = [name for name in (candidates or one.models) if name != model and name in one.models]
    return [{"what": "without", "to": model, "model": pick(one, key, x, rest).model}] if rest else []


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def check_candidates(names: Sequence[str], one: SelectorSet) -> None:
    """InputError for a name that no selector of the set knows, with the names that it does."""
    unknown = [name for name in names if name not in one.models]
    if unknown:
        raise InputError(f"{one.name} does not know {', '.join(unknown)}.", f"It knows: {', '.join(one.models)}.")
