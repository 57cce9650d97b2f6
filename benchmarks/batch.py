"""Many prompts, unsorted: encode of 4 000 corpus prompts against SentenceTransformer.encode(batch_size=32)."""

from __future__ import annotations

import random
from collections.abc import Iterator

from benchmarks.common import Figure, interleaved, ratio, sentence_transformer
from lab.text.prepare import prepare
from lab.workbench import Workbench

SIZE = 4_000


def run() -> Iterator[Figure]:
    bench = Workbench()
    texts = [prepare(row.text) for row in bench.corpus.rows]
    random.Random(0).shuffle(texts)
    texts = texts[:SIZE]
    usual = sentence_transformer()
    name = bench.router().encoder_name
    encoders = {precision: bench.encoder(name, precision) for precision in ("int8", "int8-fast", "fp32")}
    contestants = {"usual": lambda: usual.encode(texts, batch_size=32, normalize_embeddings=True)} | {
        key: lambda encoder=encoder: encoder.encode(texts) for key, encoder in encoders.items()
    }
    seconds = interleaved(contestants, 3, warm=0)
    yield Figure(f"SentenceTransformer, {SIZE} prompts", f"{seconds['usual']:.1f} s")
    for key in encoders:
        yield Figure(f"{key}, {SIZE} prompts", f"{seconds[key]:.1f} s")
    for key in ("int8", "fp32"):
        yield Figure(f"SentenceTransformer / {key}", f"{seconds['usual'] / seconds[key]:.2f} ×")
    yield ratio("SentenceTransformer / int8-fast", seconds["usual"] / seconds["int8-fast"], 5)
