"""Figures of a router on labelled prompts, each with its interval."""

from __future__ import annotations

from typing import Any

import numpy as np

from lab.evaluation.intervals import bootstrap, wilson

ENOUGH = 10
"""Support under which a domain's figures are shown but marked: it cannot be judged."""
ECE_BINS = 15


def top_k_hits(logits: np.ndarray, primary: np.ndarray, k: int) -> np.ndarray:
    """(n,) bool: the primary domain is among the k highest logits (ties: lower index first)."""
    order = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    return (order == primary[:, None]).any(axis=1)


def confusion(primary: np.ndarray, predicted: np.ndarray, domains: int, weights: np.ndarray | None = None) -> np.ndarray:
    """(N, N) counts; row = primary, column = predicted."""
    return np.bincount(primary * domains + predicted, weights=weights, minlength=domains * domains).reshape(domains, domains)


def f1_from_confusion(table: np.ndarray) -> np.ndarray:
    """(N,) F1 per domain, 2·tp / (support + predicted); 0 where both are 0."""
    tp = np.diag(table)
    return np.divide(2 * tp, table.sum(0) + table.sum(1), out=np.zeros(len(table)), where=(table.sum(0) + table.sum(1)) > 0)


def expected_calibration_error(probability: np.ndarray, correct: np.ndarray, bins: int = ECE_BINS) -> float:
    """Mean |accuracy − confidence| over equally filled bins, weighted by rows (Naeini et al. 2015; equal-mass bins, Nixon et al. 2019)."""
    if len(probability) == 0:
        return float("nan")
    parts = np.array_split(np.argsort(probability, kind="stable"), min(bins, len(probability)))
    return float(sum(len(rows) * abs(correct[rows].mean() - probability[rows].mean()) for rows in parts) / len(probability))


def summarise(logits: np.ndarray, primary: np.ndarray, domains: list[str], probability: np.ndarray, repeats: int = 1_000) -> dict[str, Any]:
    """n, top1, top3, top5, macro_f1, weighted_f1, ece with ``intervals``, and per_domain.

    ``probability`` (n,) is what is claimed for the top domain: calibrated, or the raw score of a router that has no calibration.
    macro_f1 averages over the domains that have support. Bootstrap over rows, seed 0.
    """
    n, size = len(primary), len(domains)
    predicted = logits.argmax(axis=1)
    right, right3 = predicted == primary, top_k_hits(logits, primary, 3)
    table = confusion(primary, predicted, size)
    support = table.sum(1)
    present = support > 0
    f1 = f1_from_confusion(table)

    def figures(weights: np.ndarray) -> np.ndarray:
        drawn = confusion(primary, predicted, size, weights)
        each, rows = f1_from_confusion(drawn), drawn.sum(1)
        seen = rows > 0
        return np.concatenate([[each[seen].mean(), (each * rows).sum() / rows.sum()], each])

    low, high = bootstrap(n, figures, repeats)
    return {
        "n": n, "top1": float(right.mean()), "top3": float(right3.mean()), "macro_f1": float(f1[present].mean()),
        "top5": float(top_k_hits(logits, primary, 5).mean()),
        "weighted_f1": float((f1 * support).sum() / n), "ece": expected_calibration_error(probability, right),
        "intervals": {
            "top1": list(wilson(int(right.sum()), n)), "top3": list(wilson(int(right3.sum()), n)),
            "macro_f1": [float(low[0]), float(high[0])], "weighted_f1": [float(low[1]), float(high[1])],
        },
        "per_domain": {
            domain: {
                "precision": float(table[i, i] / table[:, i].sum()) if table[:, i].sum() else None,
                "recall": float(table[i, i] / support[i]) if support[i] else None,
                "f1": float(f1[i]) if support[i] else None, "support": int(support[i]),
                "interval": [float(low[2 + i]), float(high[2 + i])] if support[i] else None, "judged": bool(support[i] >= ENOUGH),
            }
            for i, domain in enumerate(domains)
        },
    }  # fmt: skip


def slices(logits: np.ndarray, primary: np.ndarray, keys: list[str]) -> dict[str, dict[str, Any]]:
    """top1 with Wilson interval, top3 and n for each value of ``keys``, largest first."""
    right, right3, values = logits.argmax(1) == primary, top_k_hits(logits, primary, 3), np.asarray(keys)
    out = {}
    for value in sorted(set(keys), key=lambda v: (-int((values == v).sum()), v)):
        rows = values == value
        out[value] = {
            "n": int(rows.sum()),
            "top1": float(right[rows].mean()),
            "interval": list(wilson(int(right[rows].sum()), int(rows.sum()))),
            "top3": float(right3[rows].mean()),
        }
    return out
