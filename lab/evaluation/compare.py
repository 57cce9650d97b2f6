"""Two routers on the same prompts: who wins where, and whether the difference is more than chance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lab.errors import InputError
from lab.evaluation.intervals import wilson
from lab.evaluation.metrics import ENOUGH
from lab.evaluation.out_of_fold import Predictions

MODES = ("shared", "mapped")


@dataclass(frozen=True)
class Comparison:
    """``rows`` (m,) numbers of the compared prompts; ``right_a``, ``right_b`` (m,) bool; ``labels`` (m,) what was right."""

    mode: str
    rows: np.ndarray
    right_a: np.ndarray
    right_b: np.ndarray
    labels: list[str]

    @property
    def fixed(self) -> np.ndarray:
        """(m,) a was wrong, b is right."""
        return ~self.right_a & self.right_b

    @property
    def broken(self) -> np.ndarray:
        return self.right_a & ~self.right_b


def compare(
    a: Predictions,
    b: Predictions,
    mode: str,
    canonical: Callable[[str], str],
    backend: Callable[[str], str | None],
    keep: np.ndarray | None = None,
) -> Comparison:
    """``shared``: prompts whose label both routers have, each choosing among the labels they share.

    ``mapped``: labels and answers mapped to their backend, so that routers with different label sets are held to the same question on
    every prompt whose label has a backend. ``keep`` (n,) bool chooses prompts. InputError if nothing is comparable.
    """
    if [row.id for row in a.rows] != [row.id for row in b.rows]:
        raise InputError("The two routers were scored on different prompts.", "Score both on the same data.")
    keep = np.ones(len(a.rows), dtype=bool) if keep is None else keep
    names_a, names_b = [canonical(d) for d in a.domains], [canonical(d) for d in b.domains]
    if mode == "shared":
        shared = sorted(set(names_a) & set(names_b))
        if not shared:
            raise InputError("The two routers share no label.", "Use the mapped mode.")
        picked_a, picked_b = _choose(a, names_a, shared), _choose(b, names_b, shared)
        wanted = [canonical(row.domain) for row in a.rows]
        inside = keep & np.asarray([label in set(shared) for label in wanted])
    elif mode == "mapped":
        picked_a, picked_b = [backend(names_a[i]) for i in a.predicted], [backend(names_b[i]) for i in b.predicted]
        wanted = [backend(canonical(row.domain)) for row in a.rows]
        inside = keep & np.asarray([label is not None for label in wanted])
    else:
        raise InputError(f"There is no mode '{mode}'.", f"Use one of: {', '.join(MODES)}.")
    rows = np.flatnonzero(inside)
    if len(rows) == 0:
        raise InputError("No prompt has a label that both routers can be held to.", "Use data with shared labels, or the mapped mode.")
    labels = [str(wanted[row]) for row in rows]
    right_a = np.asarray([picked_a[row] == wanted[row] for row in rows])
    right_b = np.asarray([picked_b[row] == wanted[row] for row in rows])
    return Comparison(mode, rows, right_a, right_b, labels)


def _choose(predictions: Predictions, names: list[str], shared: list[str]) -> list[str]:
    columns = [names.index(label) for label in shared]
    return [shared[i] for i in predictions.logits[:, columns].argmax(axis=1)]


def mcnemar(fixed: int, broken: int) -> float:
    """Exact two-sided p of McNemar's test (binomial on the discordant pairs, McNemar 1947)."""
    from scipy.special import bdtr  # scipy.stats takes 2 s to load

    return min(1.0, 2 * float(bdtr(min(fixed, broken), fixed + broken, 0.5))) if fixed + broken else 1.0


def difference_interval(fixed: int, broken: int, n: int, repeats: int = 10_000, seed: int = 0) -> tuple[float, float]:
    """95 % paired bootstrap of top1_b − top1_a: drawing n prompts anew is a multinomial draw of fixed, broken and the rest."""
    draws = np.random.default_rng(seed).multinomial(n, [fixed / n, broken / n, (n - fixed - broken) / n], repeats)
    low, high = np.percentile((draws[:, 0] - draws[:, 1]) / n, [2.5, 97.5])
    return float(low), float(high)


def figures(comparison: Comparison) -> dict[str, Any]:
    """n, top1_a, top1_b, fixed, broken, mcnemar_p, difference_low, difference_high, per_domain, verdict."""
    n, fixed, broken = len(comparison.rows), int(comparison.fixed.sum()), int(comparison.broken.sum())
    low, high = difference_interval(fixed, broken, n)
    per_domain: dict[str, dict[str, Any]] = {}
    members: dict[str, list[int]] = defaultdict(list)
    for place, label in enumerate(comparison.labels):
        members[label].append(place)
    for label, places in sorted(members.items()):
        right_a, right_b = int(comparison.right_a[places].sum()), int(comparison.right_b[places].sum())
        per_domain[label] = {
            "n": len(places),
            "recall_a": right_a / len(places),
            "recall_b": right_b / len(places),
            "interval_b": list(wilson(right_b, len(places))),
            "fixed": int(comparison.fixed[places].sum()),
            "broken": int(comparison.broken[places].sum()),
            "judged": len(places) >= ENOUGH,
        }
    verdict = "b is better" if low > 0 else "a is better" if high < 0 else "no difference is shown"
    return {
        "mode": comparison.mode, "n": n, "top1_a": float(comparison.right_a.mean()), "top1_b": float(comparison.right_b.mean()),
        "fixed": fixed, "broken": broken, "mcnemar_p": mcnemar(fixed, broken), "difference_low": low, "difference_high": high,
        "verdict": verdict, "per_domain": per_domain,
    }  # fmt: skip
