"""A report on a router: its figures on labelled prompts, bound to weights, data, split and encoder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from lab.corpus.rows import Row, corpus_sha256
from lab.errors import InputError
from lab.evaluation.curves import area_under_risk, length_group, multi_label, reliability
from lab.evaluation.metrics import expected_calibration_error, slices, summarise
from lab.router.calibrate import TARGETS
from lab.router.head import GATEWAY_SCORE, sigmoid
from lab.router.router import Router
from lab.taxonomy import Taxonomy
from lab.text.encoder import Encoder
from lab.text.language import detect


def place_labels(router: Router, rows: Sequence[Row], taxonomy: Taxonomy) -> tuple[np.ndarray, np.ndarray]:
    """(n,) class id of each row's label, by its name or its taxonomy name, −1 if the router lacks it; (n, N) 0/1 of its also-labels."""
    place = {taxonomy.canonical(domain): i for i, domain in enumerate(router.domains)} | {
        domain: i for i, domain in enumerate(router.domains)
    }

    def find(label: str) -> int:
        return place.get(label, place.get(taxonomy.canonical(label), -1))

    also = np.zeros((len(rows), len(router.domains)), dtype=np.uint8)
    for n, row in enumerate(rows):
        for one in row.also:
            if find(one) >= 0:
                also[n, find(one)] = 1
    return np.asarray([find(row.domain) for row in rows], dtype=np.int64), also


def evaluate(
    router: Router,
    rows: Sequence[Row],
    vectors: np.ndarray,
    encoder: Encoder,
    taxonomy: Taxonomy,
    training_ids: Collection[str] | None = None,
) -> dict[str, Any]:
    """The report as JSON. ``vectors`` (n, D) belong to ``rows``. Rows with a label that the router does not have are counted apart.

    ``training_ids``: text ids of the router's training rows, if known; how many of them are among ``rows`` is said.
    """
    if len(rows) == 0:
        raise InputError("There are no rows to evaluate.", "Check that the data has usable rows, and rows on the chosen side of the split.")
    placed, also = place_labels(router, rows, taxonomy)
    kept = np.flatnonzero(placed >= 0)
    primary = placed[kept]
    unknown = dict(sorted(Counter(row.domain for row, one in zip(rows, placed, strict=True) if one < 0).items()))
    if len(kept) == 0:
        raise InputError(
            f"None of the {len(rows)} labels is a domain of router {router.name} (e.g. {', '.join(list(unknown)[:5])}).",
            "Use data with its labels.",
        )
    logits = router.logits(vectors[kept], [rows[n].text for n in kept])
    claimed, right = router.claimed(logits), logits.argmax(1) == primary
    chosen = [rows[n] for n in kept]
    raw = sigmoid(logits).max(axis=1)
    return {
        "bound_to": _bound_to(router, rows, encoder),
        **summarise(logits, primary, router.domains, claimed),
        "ece_of_raw_score": expected_calibration_error(raw, right),
        "calibration": router.calibration.kind,
        "per_language": slices(logits, primary, [row.lang or detect(row.text) for row in chosen]),
        "per_part": slices(logits, primary, [row.part or "–" for row in chosen]),
        "per_length": slices(logits, primary, [length_group(row.text) for row in chosen]),
        "per_source": slices(logits, primary, [row.source or "–" for row in chosen]),
        "multi_label": multi_label(sigmoid(logits), primary, also[kept]),
        "reliability": {"raw_score": reliability(raw, right), "probability": reliability(claimed, right)},
        "area_under_risk": area_under_risk(claimed, right),
        "gateway": _gateway(raw, sigmoid(logits), right),
        "abstain": [_abstain(router, target, claimed, right) for target in TARGETS],
        "unknown_labels": unknown,
        "rows_from_training": None if training_ids is None else sum(row.id in training_ids for row in chosen),
    }  # fmt: skip


def _bound_to(router: Router, rows: Sequence[Row], encoder: Encoder) -> dict[str, Any]:
    """The hashes that the report holds for."""
    return {
        "router": router.name, "router_sha256": router.sha256, "data_sha256": corpus_sha256(rows), "encoder_id": encoder.id, "precision": encoder.precision,
        "trained_on": {key: router.ours.get(key) for key in ("corpus_sha256", "split_sha256", "encoder_id")},
    }  # fmt: skip


def _gateway(top: np.ndarray, scores: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """What score ≥ 0.50 does: share of prompts with a selection, how often its first is right, how many pass, wrong ones at ≥ 0.99."""
    passed = top >= GATEWAY_SCORE
    return {
        "answered": float(passed.mean()), "top1_of_answered": float(right[passed].mean()) if passed.any() else None,
        "selections_mean": float(np.minimum((scores >= GATEWAY_SCORE).sum(1), 4).mean()), "wrong": int((~right).sum()), "wrong_at_099": int((~right & (top >= 0.99)).sum()),
    }  # fmt: skip


def _abstain(router: Router, target: float, claimed: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """The threshold fitted on validation rows, applied here."""
    from lab.evaluation.intervals import wilson

    row = router.threshold(target)
    if row is None or row["threshold"] is None:
        return {"target": target, "threshold": None, "precision": None, "interval": None, "coverage": 0.0, "n": len(right)}
    passed = claimed >= row["threshold"]
    n = int(passed.sum())
    return {
        "target": target, "threshold": row["threshold"], "precision": float(right[passed].mean()) if n else None,
        "interval": list(wilson(int(right[passed].sum()), n)) if n else None, "coverage": float(passed.mean()), "n": len(right),
    }  # fmt: skip
