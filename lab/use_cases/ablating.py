"""Compare recipes and encoders by out-of-fold figures, out-of-domain separation, latency, size and training time."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lab.corpus.rows import corpus_sha256
from lab.errors import InputError
from lab.files import sha256_bytes
from lab.router.recipe import Recipe
from lab.use_cases.opening import REFERENCE, Opening, Progress

REPEATS = 200
WORTH = {"macro_f1": 0.03, "latency": 2.0, "size_bytes": 60_000_000}
"""The rule of ``encoders compare``: macro-F1 gained at least, times the reference's latency at most, bytes more than it at most."""


def ablate(
    bench: Opening, recipe: Recipe, encoder_name: str, progress: Progress = lambda stage, done, of: None, share: float = 1.0
) -> dict[str, Any]:  # fmt: skip
    """One row. Trained on the shipped corpus's train side for size, time and latency; on five grouped folds for the figures.

    Out-of-domain separation is on the validation side against the dev half of the out-of-domain prompts. The test side is not read. Below 1,
    ``share`` of the rows outside each fold are learnt from: a point of the learning curve.
    """
    from lab.evaluation.ablation import figures, slices_of
    from lab.evaluation.behaviour import reserved_ids
    from lab.evaluation.out_of_fold import FOLDS, compute, fold_numbers
    from lab.router.dataset import build_dataset
    from lab.router.fit import fit
    from lab.router.folder import OURS, write_router
    from lab.router.router import Router
    from lab.text.language import detect

    dataset = build_dataset(bench.corpus.rows, bench.taxonomy, bench.frozen_split, None, reserved_ids(bench.home))
    held_out = _fold_left_out(bench, encoder_name)
    encoder = bench.encoder(encoder_name, REFERENCE)
    texts = [row.text for row in dataset.rows]
    vectors = bench.vectors.encode(encoder, texts, lambda done, of: progress("encode", done, of))
    primary, also = dataset.labels(np.arange(len(texts)))
    fold, validation = fold_numbers(dataset.rows), np.asarray([side == "valid" for side in dataset.splits])
    bound = {"recipe": asdict(recipe), "share": share, "encoder_id": encoder.id, "corpus_sha256": corpus_sha256(dataset.rows), "split_sha256": dataset.split_sha256}
    fitted = {"learnt": drawn([row.id for row in dataset.rows], share), "texts": texts, "progress": lambda done, of: progress("folds", done, of)}
    chosen = slices_of(dataset.rows, [row.lang or detect(row.text) for row in dataset.rows])
    if held_out is not None:
        logits = compute(vectors, primary, also, fold, validation, recipe, np.zeros((len(texts), also.shape[1])), folds=[held_out], **fitted)
        rows = np.flatnonzero(fold == held_out)
        parts = np.arange(len(rows)) % FOLDS  # nothing more is learnt from these rows than their calibration
        return bound | {"fold": held_out, "slices": figures(logits[rows], primary[rows], parts, {name: one[rows] for name, one in chosen.items()}, dataset.domains)}
    start = time.perf_counter()
    trained = fit(dataset.training_set(vectors, "train"), dataset.training_set(vectors, "valid"), recipe)
    train_s = time.perf_counter() - start
    blend = trained.lexical.blend if trained.lexical else None
    logits = compute(vectors, primary, also, fold, validation, recipe, trained.logits(vectors, texts), blend=blend, **fitted)
    with tempfile.TemporaryDirectory(prefix="router-lab-") as scratch:
        folder = write_router(Path(scratch) / "row", trained.head, dataset.domains, {"embedding_model": encoder.name, OURS: {}}, lexical=trained.lexical)
        size = sum(one.stat().st_size for one in folder.path.iterdir())
        router = Router(folder, recipe.name)
    return bound | {
        "router_sha256": router.sha256, "slices": figures(logits, primary, fold, chosen, dataset.domains), "out_of_domain": _separation(bench, router, encoder, dataset, vectors),
        "latency_p50_s": _latency(bench, router), "size_bytes": size, "encoder_bytes": _encoder_bytes(bench, encoder_name), "train_s": train_s,
    }  # fmt: skip


def _fold_left_out(bench: Opening, encoder_name: str) -> int | None:
    """The fold that an adapted encoder has not learnt from, None for one that read no label. InputError if it has learnt from every fold."""
    learnt = bench.learnt(encoder_name)
    if learnt is not None and learnt.fold is None:
        raise InputError(
            f"{encoder_name} was adapted to the whole train side, so figures out of fold would be of prompts that it has learnt.",
            "Read the test side's figures (train router), or adapt one that leaves a fold out: encoders adapt --fold 0.",
        )
    return learnt.fold if learnt else None


def drawn(ids: Sequence[str], share: float) -> np.ndarray:
    """(n,) bool: the rows of a share of a corpus, by hash of the text id, so that a larger share holds the smaller one."""
    return np.asarray([int(sha256_bytes(f"share-1:{one}".encode())[:8], 16) < share * 2**32 for one in ids])


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

    encoder = bench.encoder(router.encoder_name, bench.precision())
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
    from lab.text.onnx_export import manifest_of
    from lab.text.open_encoder import export_folder

    source = bench.encoder_source(name)
    folder = export_folder(source, bench.home.encoders)
    entry = ((manifest_of(folder) or {}).get("precisions") or {}).get(bench.precision())
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
