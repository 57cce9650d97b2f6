"""One row of an ablation table: out-of-fold figures of a recipe, by half of the corpus and by language, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lab.corpus.rows import Row
from lab.evaluation.intervals import wilson
from lab.evaluation.metrics import expected_calibration_error, summarise
from lab.evaluation.out_of_fold import FOLDS
from lab.router.calibrate import fit_calibration, thresholds
from lab.router.head import sigmoid

PRECISION = 0.95
MAIN_LANGUAGES = ("fr", "en")
REST = "other"


def calibrated(logits: np.ndarray, primary: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """(n,) probability claimed for the top domain of each row, by a calibration fitted on the other folds."""
    out = np.empty(len(logits))
    for k in range(FOLDS):
        outside = fold == k
        values = fit_calibration(logits[~outside], primary[~outside])[0].probabilities(logits[outside])
        values = sigmoid(logits[outside]) if values is None else values
        out[outside] = values[np.arange(len(values)), logits[outside].argmax(axis=1)]
    return out


def coverage(claimed: np.ndarray, right: np.ndarray, fold: np.ndarray, precision: float = PRECISION) -> dict[str, Any]:
    """Share of rows accepted, and how many of them are right, with each fold's threshold chosen on the other folds."""
    accepted = np.zeros(len(claimed), dtype=bool)
    for k in range(FOLDS):
        outside = fold == k
        row = thresholds(claimed[~outside], right[~outside], (precision,))[0]
        if row["threshold"] is not None:
            accepted[outside] = claimed[outside] >= row["threshold"]
    n, kept, good = len(claimed), int(accepted.sum()), int(right[accepted].sum())
    return {
        "target": precision, "coverage": kept / n, "interval": list(wilson(kept, n)), "n": n,
        "precision": good / kept if kept else None, "precision_interval": list(wilson(good, kept)) if kept else None,
    }  # fmt: skip


def slices_of(rows: Sequence[Row], languages: Sequence[str]) -> Mapping[str, np.ndarray]:
    """Name → (n,) bool: all rows, each part of the corpus, the main languages and the rest."""
    parts, spoken = np.asarray([row.part for row in rows]), np.asarray(languages)
    out = {"all": np.ones(len(rows), dtype=bool)} | {str(part): parts == part for part in sorted(set(parts)) if part}
    out |= {lang: spoken == lang for lang in MAIN_LANGUAGES} | {REST: ~np.isin(spoken, MAIN_LANGUAGES)}
    return {name: chosen for name, chosen in out.items() if chosen.any()}


def figures(logits: np.ndarray, primary: np.ndarray, fold: np.ndarray, chosen: Mapping[str, np.ndarray], domains: list[str]) -> dict[str, Any]:
    """Slice → n, top1, top3, macro_f1, ece, intervals and coverage, from (n, N) out-of-fold logits of rows with known labels."""
    claimed, right = calibrated(logits, primary, fold), logits.argmax(axis=1) == primary
    out = {}
    for name, rows in chosen.items():
        full = summarise(logits[rows], primary[rows], domains, claimed[rows], repeats=400)
        out[name] = {key: full[key] for key in ("n", "top1", "top3", "macro_f1", "intervals")}
        out[name] |= {"ece": expected_calibration_error(claimed[rows], right[rows]), "coverage": coverage(claimed[rows], right[rows], fold[rows])}
    return out
