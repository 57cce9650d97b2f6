"""Calibration, coverage and multi-label figures of predictions, as small tables to draw or print."""

from __future__ import annotations

from typing import Any

import numpy as np

from lab.evaluation.intervals import wilson
from lab.evaluation.metrics import ECE_BINS, ENOUGH
from lab.router.head import GATEWAY_MOST, GATEWAY_SCORE

LENGTHS = ((0, 30, "under 30 characters"), (30, 80, "30 to 79"), (80, 200, "80 to 199"), (200, 10**9, "200 and more"))


def length_group(text: str) -> str:
    return next(name for low, high, name in LENGTHS if low <= len(text) < high)


def reliability(probability: np.ndarray, correct: np.ndarray, bins: int = ECE_BINS) -> list[dict[str, Any]]:
    """Equally filled bins by rising probability: mean probability, share right with Wilson interval, n."""
    out = []
    for rows in np.array_split(np.argsort(probability, kind="stable"), min(bins, len(probability))):
        right = int(correct[rows].sum())
        low, high = wilson(right, len(rows))
        out.append(
            {"probability": float(probability[rows].mean()), "accuracy": right / len(rows), "low": low, "high": high, "n": len(rows)}
        )
    return out


def risk_coverage(probability: np.ndarray, correct: np.ndarray, points: int = 200) -> list[dict[str, float]]:
    """Precision of the most certain share of prompts, for rising shares (El-Yaniv & Wiener 2010), with the threshold that gives it."""
    order = np.argsort(-probability, kind="stable")
    right = np.cumsum(correct[order])
    steps = np.unique(np.linspace(1, len(order), min(points, len(order))).astype(int))
    return [
        {"coverage": k / len(order), "precision": float(right[k - 1] / k), "threshold": float(probability[order[k - 1]])} for k in steps
    ]


def area_under_risk(probability: np.ndarray, correct: np.ndarray) -> float:
    """Mean error over all coverages (AURC, Geifman & El-Yaniv 2017); lower is better."""
    right = np.cumsum(correct[np.argsort(-probability, kind="stable")])
    return float((1 - right / np.arange(1, len(right) + 1)).mean())


def histogram(probability: np.ndarray, correct: np.ndarray, bins: int = 20) -> dict[str, list]:
    """Counts of right and wrong top-1 answers per probability bin in [0, 1]."""
    edges = np.linspace(0, 1, bins + 1)
    return {
        "edges": edges.tolist(),
        "right": np.histogram(probability[correct], edges)[0].tolist(),
        "wrong": np.histogram(probability[~correct], edges)[0].tolist(),
    }


def domain_thresholds(
    probability: np.ndarray, predicted: np.ndarray, correct: np.ndarray, domains: list[str], target: float
) -> list[dict[str, Any]]:
    """Per predicted domain the lowest threshold that keeps ``target`` precision on at least ENOUGH prompts; None where none does."""
    out = []
    for place, domain in enumerate(domains):
        rows = np.flatnonzero(predicted == place)
        order = rows[np.argsort(-probability[rows], kind="stable")]
        right = np.cumsum(correct[order])
        count = np.arange(1, len(order) + 1)
        fits = np.flatnonzero((right / np.maximum(count, 1) >= target) & (count >= ENOUGH))
        k = int(fits[-1]) if len(fits) else None
        out.append(
            {
                "domain": domain,
                "threshold": None if k is None else float(probability[order[k]]),
                "coverage": 0.0 if k is None else float((k + 1) / len(rows)),
                "predicted": len(rows),
            }
        )
    return out


def multi_label(scores: np.ndarray, primary: np.ndarray, also: np.ndarray) -> dict[str, float | None]:
    """The gateway's selections (score ≥ 0.50, at most 4) against domain + also: micro precision and recall, and top-1 counting also.

    ``scores`` (n, N) sigmoids; ``primary`` (n,); ``also`` (n, N) 0/1. Precision is None where nothing was selected.
    """
    n, size = scores.shape
    wanted = also.astype(bool) | (np.arange(size) == primary[:, None])
    rank = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1, kind="stable")
    chosen = (scores >= GATEWAY_SCORE) & (rank < GATEWAY_MOST)
    hit = (chosen & wanted).sum()
    return {
        "precision": float(hit / chosen.sum()) if chosen.any() else None,
        "recall": float(hit / wanted.sum()),
        "top1_or_also": float(wanted[np.arange(n), scores.argmax(axis=1)].mean()),
    }
