"""Corpus in, router folder out: encode, train, calibrate, evaluate, write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from lab.corpus.split import SIDES
from lab.evaluation.metrics import summarise
from lab.evaluation.report import evaluate
from lab.router.calibrate import fit_calibration, thresholds
from lab.router.dataset import Dataset
from lab.router.fit import fit
from lab.router.folder import OURS, RouterFolder, write_router
from lab.router.head import sigmoid
from lab.router.recipe import Recipe
from lab.router.router import Router
from lab.router.train import Epoch, Trained
from lab.taxonomy import Taxonomy
from lab.text.encoder import Encoder
from lab.text.vectors import VectorCache

LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "onnxruntime", "tokenizers", "safetensors")


def build_router(
    dataset: Dataset, encoder: Encoder, cache: VectorCache, recipe: Recipe, taxonomy: Taxonomy, output: Path, *,
    check: tuple[Encoder, ...] = (), shipped_split: bool = False, progress: Callable[[str, int, int], None] = lambda stage, done, of: None,
    told_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> tuple[RouterFolder, dict[str, Any] | None]:  # fmt: skip
    """Train on the train side, calibrate on valid, report on test; write ``output`` whole. Same inputs, same weights, bit for bit.

    ``shipped_split`` says that the split is the one frozen in corpus/split.json. ``check`` are the encoders that will serve: their agreement with ``encoder`` through this head is measured on the test side.
    Returns the folder and its metrics (None without test rows). ``progress`` is told (stage, done, of), ``told_epoch`` the losses of each epoch as it ends.
    """
    texts = [row.text for row in dataset.rows]
    vectors = cache.encode(encoder, texts, lambda done, of: progress("encode", done, of))
    valid = dataset.training_set(vectors, "valid")
    train = dataset.training_set(vectors, "train")
    trained = fit(train, valid, recipe, lambda epoch: (told_epoch(epoch), progress("train", epoch.epoch, recipe.epochs)))
    calibration: dict[str, Any] = {"kind": "none"}
    abstain: list[dict[str, Any]] = []
    brier: dict[str, float] = {}
    if valid is not None:
        logits = trained.logits(valid.vectors, valid.texts)
        fitted, brier = fit_calibration(logits, valid.primary)
        calibration = fitted.to_json()
        probabilities = fitted.probabilities(logits)
        if probabilities is not None:
            top = logits.argmax(1)
            abstain = thresholds(probabilities[np.arange(len(top)), top], top == valid.primary)
    ours = {
        "format": 1, "recipe": recipe.to_json(), "kept_epoch": trained.kept_epoch, "history": [asdict(epoch) for epoch in trained.history],
        "encoder_id": encoder.id, "encoder_precision": encoder.precision, "corpus_sha256": dataset.corpus_sha256, "split_sha256": dataset.split_sha256,
        "rows": {side: len(dataset.side(side)) for side in SIDES}, "left_out": dataset.left_out, "renamed": dataset.renamed,
        "calibration": calibration, "calibration_brier_cv": brier, "abstain": {"fitted_on": "valid", "thresholds": abstain},
        "trained_on_shipped_split": shipped_split,
        "libraries": {name: version(name) for name in LIBRARIES},
    }  # fmt: skip
    meta = {
        "embedding_model": encoder.name, "epochs": recipe.epochs, "batch_size": recipe.batch_size, "lr": recipe.learning_rate, "seed": recipe.seed,
        OURS: ours,
    }  # fmt: skip
    progress("evaluate", 0, 1)
    metrics = _evaluate_test(output.resolve().name, trained, dataset, meta, vectors, encoder, cache, check, taxonomy)
    folder = write_router(output, trained.head, dataset.domains, _with_figures(meta, metrics, trained), metrics, trained.lexical)
    progress("evaluate", 1, 1)
    return folder, metrics


def _with_figures(meta: dict[str, Any], metrics: dict[str, Any] | None, trained: Trained) -> dict[str, Any]:
    """The keys of later source versions (spec router.md §1), from the test report; absent figures are left out, not invented."""
    best = max((epoch.valid_top1 for epoch in trained.history if epoch.valid_top1 is not None), default=None)
    figures = {} if best is None else {"best_val_top1": best}
    if metrics:
        figures |= {
            "top1_acc": metrics["top1"],
            "top3_acc": metrics["top3"],
            "macro_f1": metrics["macro_f1"],
            "weighted_f1": metrics["weighted_f1"],
        }
        figures["per_label_f1"] = {domain: row["f1"] for domain, row in metrics["per_domain"].items()}
    ours = meta[OURS]
    return {key: value for key, value in meta.items() if key != OURS} | figures | {OURS: ours}


def _evaluate_test(
    name: str, trained: Trained, dataset: Dataset, meta: dict[str, Any], vectors: np.ndarray, encoder: Encoder, cache: VectorCache, check: tuple[Encoder, ...], taxonomy: Taxonomy
) -> dict[str, Any] | None:  # fmt: skip
    import tempfile

    test = dataset.side("test")
    if len(test) == 0:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        router = Router(write_router(Path(scratch) / "router", trained.head, dataset.domains, meta, lexical=trained.lexical), name)
    rows = [dataset.rows[row] for row in test]
    training_ids = {dataset.rows[row].id for row in dataset.side("train")}
    report = evaluate(router, rows, vectors[test], encoder, taxonomy, training_ids)
    report["bound_to"] |= {"corpus_sha256": dataset.corpus_sha256, "split_sha256": dataset.split_sha256, "side": "test"}
    texts, primary = [row.text for row in rows], dataset.labels(test)[0]
    report["drift"] = {other.precision: drift(router, vectors[test], cache.encode(other, texts), texts, primary) for other in check}
    if trained.lexical is not None:
        report["head_alone"] = head_alone(router, vectors[test], texts, primary)
    return report


def head_alone(router: Router, vectors: np.ndarray, texts: Sequence[str], primary: np.ndarray) -> dict[str, Any]:
    """What a gateway loses that loads router.safetensors alone: its figures, and the whole router's, on the same prompts."""
    alone, whole = router.head.logits(vectors), router.logits(vectors, texts)
    keys = ("n", "top1", "top3", "macro_f1", "intervals")
    figures = [summarise(logits, primary, router.domains, sigmoid(logits).max(axis=1)) for logits in (alone, whole)]
    return {key: figures[0][key] for key in keys} | {"whole": {key: figures[1][key] for key in keys}}


def drift(router: Router, reference: np.ndarray, served: np.ndarray, texts: Sequence[str], primary: np.ndarray) -> dict[str, Any]:
    """How far a serving encoder is from the reference on the same prompts: cosine, and top-1 agreement through the router."""
    a, b = (router.logits(vectors, texts).argmax(1) for vectors in (reference, served))
    cosine = (reference * served).sum(1)
    return {
        "n": len(a), "cosine_mean": float(cosine.mean()), "cosine_min": float(cosine.min()), "top1_agreement": float((a == b).mean()),
        "top1_reference": float((a == primary).mean()), "top1_served": float((b == primary).mean()),
    }  # fmt: skip
