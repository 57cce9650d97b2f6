"""How far two curators agree beyond chance."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from lab.evaluation.intervals import bootstrap, wilson

FEWEST = 10
"""With fewer prompts in common no kappa is given."""


@dataclass(frozen=True)
class Decision:
    """What one person said about one prompt: a domain, or any other word ("not routable"). Without having seen the other's choice."""

    prompt_id: str
    who: str
    choice: str


@dataclass(frozen=True)
class Agreement:
    """Of ``first`` and ``second`` on the ``n`` prompts that both decided. ``same``: on how many they chose alike. ``kappa`` (Cohen 1960, "A
    coefficient of agreement for nominal scales") and its 95 % ``interval`` (bootstrap over prompts; Wilson where they agree on all) are None where ``note`` says why.
    ``disputes``: (choice of the first, of the second, how often), most frequent first.
    """

    first: str
    second: str
    n: int
    same: int
    kappa: float | None
    interval: tuple[float, float] | None
    disputes: tuple[tuple[str, str, int], ...]
    note: str = ""


def agreements(decisions: Iterable[Decision], repeats: int = 1_000, seed: int = 0) -> list[Agreement]:
    """One for each pair of people with a prompt in common, most prompts first. Of several decisions by one person the last counts."""
    by_who: dict[str, dict[str, str]] = defaultdict(dict)
    for one in decisions:
        by_who[one.who][one.prompt_id] = one.choice
    out = []
    for first, second in combinations(sorted(by_who), 2):
        common = sorted(by_who[first].keys() & by_who[second].keys())
        if common:
            out.append(
                _agreement(first, second, [by_who[first][one] for one in common], [by_who[second][one] for one in common], repeats, seed)
            )
    return sorted(out, key=lambda one: (-one.n, one.first, one.second))


def by_chance(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> float:
    """Share of rows on which (n,) choices ``a`` and ``b`` (integers from 0) would agree if they were independent."""
    classes = int(max(a.max(), b.max())) + 1
    return float(np.bincount(a, weights, classes) @ np.bincount(b, weights, classes)) / float(weights.sum()) ** 2


def kappa_of(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> float:
    """Cohen's kappa with rows counted ``weights`` (n,) times; NaN if chance alone would agree always.

    scikit-learn's cohen_kappa_score gives the same (a test says so) but takes 70 times as long: half a minute for ten curators.
    """
    chance = by_chance(a, b, weights)
    observed = float(weights[a == b].sum() / weights.sum())
    return float("nan") if chance > 1 - 1e-12 else (observed - chance) / (1 - chance)


def _agreement(first: str, second: str, a: list[str], b: list[str], repeats: int, seed: int) -> Agreement:
    names, ids = np.unique([*a, *b], return_inverse=True)
    left, right = ids[: len(a)], ids[len(a) :]
    disputes = Counter((str(names[x]), str(names[y])) for x, y in zip(left, right, strict=True) if x != y)
    listed = tuple((x, y, n) for (x, y), n in sorted(disputes.items(), key=lambda one: (-one[1], one[0])))
    n, same = len(a), int((left == right).sum())
    if n < FEWEST:
        return Agreement(first, second, n, same, None, None, listed, f"Only {n} prompts in common; from {FEWEST} on a kappa is given.")
    kappa = kappa_of(left, right, np.ones(n))
    if np.isnan(kappa):
        return Agreement(
            first, second, n, same, None, None, listed, "Both chose one and the same domain throughout: chance alone explains it."
        )
    if same == n:  # every draw would say 1: the lower bound of the agreement itself says how little n prompts prove
        chance = by_chance(left, right, np.ones(n))
        return Agreement(first, second, n, same, kappa, ((wilson(same, n)[0] - chance) / (1 - chance), 1.0), listed)
    draws = bootstrap(n, lambda weights: np.asarray(kappa_of(left, right, weights)), repeats, seed)
    if np.isnan(draws).any():
        return Agreement(first, second, n, same, kappa, None, listed, "Too few different choices for an interval.")
    return Agreement(first, second, n, same, kappa, (float(draws[0]), float(draws[1])), listed)
