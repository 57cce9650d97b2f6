"""What the gate computes: paired differences with intervals, and which losses are more than chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import comb
from typing import Any

import numpy as np

from lab.corpus.duplicates import near_pairs
from lab.evaluation.compare import Comparison
from lab.evaluation.intervals import bootstrap
from lab.evaluation.metrics import confusion, expected_calibration_error, f1_from_confusion
from lab.evaluation.out_of_fold import Predictions
from lab.router.dataset import Dataset


def macro_f1_change(
    champion: Predictions, candidate: Predictions, compared: Comparison, canonical_name: Callable[[str], str]
) -> dict[str, float]:
    """Macro-F1 of both on the compared rows, among the labels both have, and the paired 95 % bootstrap of the difference."""
    shared = sorted({canonical_name(one) for one in champion.domains} & {canonical_name(one) for one in candidate.domains})
    place = {name: n for n, name in enumerate(shared)}
    wanted = np.asarray([place[label] for label in compared.labels])
    answers = [_among(one, shared, canonical_name)[compared.rows] for one in (champion, candidate)]

    def macro(answer: np.ndarray, weights: np.ndarray | None) -> float:
        table = confusion(wanted, answer, len(shared), weights)
        return float(f1_from_confusion(table)[table.sum(1) > 0].mean())

    def difference(weights: np.ndarray) -> np.ndarray:
        return np.asarray(macro(answers[1], weights) - macro(answers[0], weights))

    low, high = bootstrap(len(wanted), difference)
    return {
        "champion": macro(answers[0], None),
        "candidate": macro(answers[1], None),
        "low": float(low),
        "high": float(high),
        "n": len(wanted),
    }


def _among(predictions: Predictions, shared: list[str], canonical_name: Callable[[str], str]) -> np.ndarray:
    names = [canonical_name(one) for one in predictions.domains]
    return predictions.logits[:, [names.index(label) for label in shared]].argmax(axis=1)


def calibration_change(champion: Predictions, candidate: Predictions, rows: np.ndarray) -> dict[str, float]:
    """ECE of the claimed top-1 probability of both, and the paired 95 % bootstrap of the difference."""
    parts = [(one.probability[rows].astype(float), one.right[rows]) for one in (champion, candidate)]

    def difference(weights: np.ndarray) -> np.ndarray:
        drawn = np.repeat(np.arange(len(rows)), weights)
        first, second = (expected_calibration_error(p[drawn], right[drawn]) for p, right in parts)
        return np.asarray(second - first)

    low, high = bootstrap(len(rows), difference)
    first, second = (expected_calibration_error(p, right) for p, right in parts)
    return {"champion": first, "candidate": second, "low": float(low), "high": float(high), "n": len(rows)}


def domain_losses(
    per_domain: Mapping[str, Mapping[str, Any]], margin: float, level: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], int]:
    """(lost, within chance, number judged) among the domains with enough support that lose more than ``margin`` of recall.

    Lost: the one-sided exact McNemar test on the domain's own prompts gives p < ``level``.
    """
    from scipy.special import bdtr  # scipy.stats takes 2 s to load

    judged = {name: row for name, row in per_domain.items() if row["judged"]}
    lost, maybe = [], []
    for name, row in judged.items():
        loss = row["recall_a"] - row["recall_b"]
        if loss <= margin:
            continue
        p = float(bdtr(row["fixed"], row["broken"] + row["fixed"], 0.5))  # as many fixed or fewer
        found = {
            "domain": name,
            "n": row["n"],
            "champion": row["recall_a"],
            "candidate": row["recall_b"],
            "fixed": row["fixed"],
            "broken": row["broken"],
            "p": p,
        }
        (lost if p < level else maybe).append(found)
    return lost, maybe, len(judged)


def suite_changes(champion: Mapping[str, Any], candidate: Mapping[str, Any], margin: float, level: float) -> list[dict[str, Any]]:
    """One row a suite: flip rates, and ``worse`` when the rise is over ``margin`` and Fisher's exact one-sided p is under ``level``.

    The reports keep counts, not pairs, so the two runs are taken as independent: a cautious test.
    """
    out = []
    for suite in sorted(set(champion) & set(candidate)):
        a, b = champion[suite], candidate[suite]
        if not a["n"] or not b["n"]:
            continue
        flips_a, flips_b = round(a["flip_rate"] * a["n"]), round(b["flip_rate"] * b["n"])
        flips = flips_a + flips_b
        ways = sum(comb(b["n"], k) * comb(a["n"], flips - k) for k in range(flips_b, min(b["n"], flips) + 1))
        p = ways / comb(a["n"] + b["n"], flips)  # Fisher 1922, without the 2 s that scipy.stats takes to load
        worse = b["flip_rate"] - a["flip_rate"] > margin and p < level
        out.append({"suite": suite, "n": b["n"], "champion": a["flip_rate"], "candidate": b["flip_rate"], "p": p, "worse": bool(worse)})
    return out


def train_test_pairs(dataset: Dataset) -> list[tuple[str, str, float]]:
    """(train text id, test text id, similarity) of near-duplicates across the two sides; about 2 s for 15 000 prompts."""
    rows = dataset.rows
    out = []
    for i, j, similarity in near_pairs([row.text for row in rows]):
        sides = {dataset.splits[i]: i, dataset.splits[j]: j}
        if set(sides) == {"train", "test"}:
            out.append((rows[sides["train"]].id, rows[sides["test"]].id, similarity))
    return out
