"""The whole corpus judged from cached vectors, and out-of-fold predictions made anew."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from benchmarks.common import Figure, in_loops
from benchmarks.train import loader_loop_s
from lab.evaluation.confusions import cluster_order, ranked_pairs
from lab.evaluation.curves import histogram, reliability, risk_coverage
from lab.evaluation.metrics import confusion
from lab.evaluation.out_of_fold import compute, fold_numbers
from lab.evaluation.report import place_labels
from lab.router.recipe import Recipe
from lab.workbench import Workbench


def run() -> Iterator[Figure]:
    bench = Workbench()
    router = bench.router()
    rows = bench.corpus.rows
    bench.evaluate(router, rows[:100])
    start = time.perf_counter()
    report = bench.evaluate(router, rows)
    seconds = time.perf_counter() - start
    yield Figure(f"report on {report['n']:,} prompts, vectors read from the cache", f"{seconds:.2f} s", "target ≤ 2 s", seconds <= 2)
    p = bench.predictions(router, rows)
    start = time.perf_counter()
    table = confusion(p.primary, p.predicted, len(p.domains))
    ranked_pairs(table, p.domains, bench.costs)
    cluster_order(table)
    for curve in (reliability, risk_coverage, histogram):
        curve(p.probability, p.right)
    yield Figure("confusions ranked and ordered, curves", f"{(time.perf_counter() - start) * 1e3:.0f} ms")
    layout = bench.map_layout(router)
    bench.pin("warm up", router, layout)
    start = time.perf_counter()
    bench.pin(rows[0].text, router, layout)
    seconds = time.perf_counter() - start
    yield Figure("typed prompt pinned on the map, warm", f"{seconds * 1e3:.0f} ms", "target ≤ 200 ms", seconds <= 0.2)
    loop = loader_loop_s()
    for name in ("v9-47", "lab-47"):
        yield in_loops(f"out-of-fold, {name}, five folds in two processes", _out_of_fold(bench, name), 30, loop)


def _out_of_fold(bench: Workbench, name: str) -> float:
    router = bench.router(name)
    index = bench.corpus_index(router.encoder_name)
    primary, also = place_labels(router, index.rows, bench.taxonomy)
    recipe = Recipe(**router.ours["recipe"])
    start = time.perf_counter()
    compute(
        index.vectors, primary, also, fold_numbers(index.rows), np.zeros(len(index.rows), dtype=bool), recipe,
        router.logits(index.vectors, index.texts), texts=index.texts, blend=router.lexical.blend if router.lexical else None,
    )  # fmt: skip
    return time.perf_counter() - start
