"""Queues rebuilt on 100 000 prompts: the shipped corpus six times over, with noise on vectors and logits and texts of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from benchmarks.common import Figure
from lab.curation.candidates import candidate_domains
from lab.curation.material import Material, OtherVersion, Unlike
from lab.curation.queues import build
from lab.workbench import Workbench

SIZE = 100_000
TARGET_S = 20


def enlarged(bench: Workbench, size: int = SIZE, seed: int = 0) -> Material:
    """Copies are no near-duplicates: each joins the halves of two prompts, and its vector is turned away from the original's."""
    random = np.random.default_rng(seed)
    predictions = bench.out_of_fold(None)
    index = bench.corpus_index(predictions.router.encoder_name)
    texts = [row.text.split() for row in index.rows]
    drawn = random.integers(0, len(texts), size)
    other = random.integers(0, len(texts), size)
    vectors = index.vectors[drawn] + random.normal(0, 0.03, (size, index.vectors.shape[1])).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    logits = predictions.logits[drawn] + random.normal(0, 0.5, (size, len(predictions.domains))).astype(np.float32)
    also = np.zeros(logits.shape, np.uint8)
    primary = predictions.primary[drawn]
    flipped = random.random(size) < 0.02
    primary[flipped] = random.integers(0, len(predictions.domains), int(flipped.sum()))
    probabilities = predictions.router.calibration.probabilities(logits)
    second = predictions.router.calibration.probabilities(logits + random.normal(0, 1.0, logits.shape).astype(np.float32))
    sampled = np.ones(size, dtype=bool)
    unlike = random.random(size).astype(np.float32)
    return Material(
        [f"{n:064x}" for n in range(size)],
        [" ".join(texts[a][: len(texts[a]) // 2 + 1] + texts[b][len(texts[b]) // 2 :]) for a, b in zip(drawn, other, strict=True)],
        vectors, predictions.domains, probabilities, sampled, primary, also,
        other=OtherVersion("second", predictions.domains, second, sampled), unlike=Unlike(unlike, 0.95, unlike[:1000], sampled),
    )  # fmt: skip


def run() -> Iterator[Figure]:
    material = enlarged(Workbench())
    for name in ("label-issues", "confidently-wrong", "low-margin", "versions-disagree", "out-of-domain", "near-duplicates", "audit"):
        start = time.perf_counter()
        found = build(name, material)
        seconds = time.perf_counter() - start
        title = f"{name}: {len(found.items):,} of {found.found:,} from {SIZE:,} prompts"
        yield Figure(title, f"{seconds:.1f} s", f"target ≤ {TARGET_S} s", seconds <= TARGET_S)
    start = time.perf_counter()
    offered = candidate_domains(material.vectors[:10_000], material.texts[:10_000], ["en"] * 10_000, material.texts[10_000:20_000])
    seconds = time.perf_counter() - start
    yield Figure(
        f"candidate domains: {len(offered.offered)} among {offered.n:,} prompts",
        f"{seconds:.1f} s",
        f"target ≤ {TARGET_S} s",
        seconds <= TARGET_S,
    )
