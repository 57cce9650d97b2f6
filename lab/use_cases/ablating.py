"""Compare recipes and encoders by out-of-fold figures, out-of-domain separation, latency, size and training time."""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lab.corpus.rows import corpus_sha256
from lab.router.recipe import Recipe
from lab.use_cases.opening import REFERENCE, Opening, Progress

REPEATS = 200
WORTH = {"macro_f1": 0.03, "latency": 2.0, "size_bytes": 60_000_000}
"""The rule of ``encoders compare``: macro-F1 gained at least, times the reference's latency at most, bytes more than it at most."""


def ablate(bench: Opening, recipe: Recipe, encoder_name: str, progress: Progress = lambda stage, done, of: None) -> dict[str, Any]:
    """One row. Trained on the shipped corpus's train side for size, time and latency; on five grouped folds for the figures.

    Out-of-domain separation is on the validation side against the dev half of the out-of-domain prompts. The test side is not read.
    """
    from lab.evaluation.ablation import figures, slices_of
    from lab.evaluation.behaviour import reserved_ids
    from lab.evaluation.out_of_fold import compute, fold_numbers
    from lab.router.dataset import build_dataset
    from lab.router.fit import fit
    from lab.router.folder import OURS, write_router
    from lab.router.router import Router
    from lab.text.language import detect

    dataset = build_dataset(bench.corpus.rows, bench.taxonomy, bench.frozen_split, None, reserved_ids(bench.home))
    encoder = bench.encoder(encoder_name, REFERENCE)
    texts = [row.text for row in dataset.rows]
    vectors = bench.vectors.encode(encoder, texts, lambda done, of: progress("encode", done, of))
    start = time.perf_counter()
    trained = fit(dataset.training_set(vectors, "train"), dataset.training_set(vectors, "valid"), recipe)
    train_s = time.perf_counter() - start
    primary, also = dataset.labels(np.arange(len(texts)))
    fold, validation = fold_numbers(dataset.rows), np.asarray([side == "valid" for side in dataset.splits])
    blend = trained.lexical.blend if trained.lexical else None
    logits = compute(
        vectors, primary, also, fold, validation, recipe, trained.logits(vectors, texts), texts=texts, blend=blend,
        progress=lambda done, of: progress("folds", done, of),
    )  # fmt: skip
    languages = [row.lang or detect(row.text) for row in dataset.rows]
    with tempfile.TemporaryDirectory(prefix="router-lab-") as scratch:
        folder = write_router(Path(scratch) / "row", trained.head, dataset.domains, {"embedding_model": encoder.name, OURS: {}}, lexical=trained.lexical)
        size = sum(one.stat().st_size for one in folder.path.iterdir())
        router = Router(folder, recipe.name)
    return {
        "recipe": asdict(recipe), "encoder_id": encoder.id, "router_sha256": router.sha256, "corpus_sha256": corpus_sha256(dataset.rows),
        "split_sha256": dataset.split_sha256, "slices": figures(logits, primary, fold, slices_of(dataset.rows, languages), dataset.domains),
        "out_of_domain": _separation(bench, router, encoder, dataset, vectors), "latency_p50_s": _latency(bench, router), "size_bytes": size, "encoder_bytes": _encoder_bytes(bench, encoder_name), "train_s": train_s,
    }  # fmt: skip


def _separation(bench: Opening, router, encoder, dataset, vectors: np.ndarray) -> dict[str, Any]:
    from lab.evaluation.ood import max_probability
    from lab.evaluation.ood_report import read_prompts, separation
    from lab.router.calibrate import fit_calibration

    held = dataset.side("valid")
    outside = [one.text for one in read_prompts(bench.home.project / "models" / "out_of_domain.jsonl")[0] if one.split == "dev"]
    inside = router.logits(vectors[held], [dataset.rows[n].text for n in held])
    foreign = router.logits(bench.vectors.encode(encoder, outside), outside)
    calibration = fit_calibration(inside, dataset.labels(held)[0])[0]
    scores = [max_probability(calibration.probabilities(logits).max(axis=1)) for logits in (inside, foreign)]
    return {"score": "max_probability", "n_in": len(inside), "n_out": len(foreign), **separation(*scores, repeats=400)}


def _latency(bench: Opening, router) -> float:
    """Median seconds to prepare, encode and score one short prompt with the served encoder, over REPEATS different prompts."""
    from lab.text.prepare import prepare

    encoder = bench.encoder(router.encoder_name, bench.settings.precision)
    texts = sorted({row.text for row in bench.corpus.rows}, key=lambda text: (abs(len(text) - 60), text))[:REPEATS]
    seconds = []
    for text in texts:
        start = time.perf_counter()
        prepared = prepare(text)
        router.score(encoder.encode([prepared])[0], prepared)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def _encoder_bytes(bench: Opening, name: str) -> int:
    """Size of the graph that is served; of the model's own weights where torch serves."""
    from lab.text.encoder import find_source
    from lab.text.onnx_export import manifest_of
    from lab.text.open_encoder import export_folder

    source = find_source(bench.settings.encoder or name)
    folder = export_folder(source, bench.home.encoders)
    entry = ((manifest_of(folder) or {}).get("precisions") or {}).get(bench.settings.precision)
    return (folder / entry["file"]).stat().st_size if entry else source.weights.stat().st_size


def verdict(row: dict[str, Any], reference: dict[str, Any]) -> str:
    """One sentence by the stated rule WORTH."""
    gain = row["slices"]["all"]["macro_f1"] - reference["slices"]["all"]["macro_f1"]
    slower = row["latency_p50_s"] / reference["latency_p50_s"]
    more = sum(row[key] - reference[key] for key in ("size_bytes", "encoder_bytes"))
    fails = [
        text
        for text, bad in (
            (f"gains {gain * 100:+.1f} points of macro-F1, needs {WORTH['macro_f1'] * 100:+.0f}", gain < WORTH["macro_f1"]),
            (f"takes {slower:.1f} times as long, may take {WORTH['latency']:.0f}", slower > WORTH["latency"]),
            (f"has {more / 1e6:.0f} MB more, may have {WORTH['size_bytes'] / 1e6:.0f}", more > WORTH["size_bytes"]),
        )
        if bad
    ]
    return f"not worth it: {'; '.join(fails)}" if fails else f"worth it: {gain * 100:+.1f} points of macro-F1 at {slower:.1f} times the latency"
