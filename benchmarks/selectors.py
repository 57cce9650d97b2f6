"""Selectors on 10 000 queries × 10 models: training, one pick beyond the embedding, the weight sweep."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.common import Figure, interleaved
from lab.selector.choose import COMPATIBLE, LAB, train
from lab.selector.contract import LabSelector
from lab.selector.features import features
from lab.selector.held_out import SWEEP, fit_parts, sweep
from lab.selector.table import Cells, OutcomeTable
from lab.selector.utility import Utility

QUERIES, HELD_OUT, MODELS, DIM, CATEGORIES = 10_000, 2_000, 10, 384, 14
TRAIN_TARGETS_S = {"knn": 2, "kmeans": 2, "svm": 20, "mlp": 30}
PICK_TARGET_S = 0.2e-3


def run() -> Iterator[Figure]:
    x, cells = outcomes(QUERIES + HELD_OUT)
    utility = Utility(0.9).for_cells(cells)
    picks: dict[str, Callable[[], object]] = {}
    queries = iter_queries(x[QUERIES:])
    for name in LAB:
        start = time.perf_counter()
        chosen = train(name, "lab", x[:QUERIES], cells[:QUERIES], utility, CATEGORIES)
        seconds = time.perf_counter() - start
        limit = TRAIN_TARGETS_S.get(name)
        goal = (f"target ≤ {limit} s", seconds <= limit) if limit else ("", None)
        tried = chosen.validation["settings_tried"]
        yield Figure(f"train {name}, {QUERIES} × {DIM + CATEGORIES}, {tried} settings tried", f"{seconds:.2f} s", *goal)
        picks[name] = one_pick(chosen.selector, queries)
    for name in COMPATIBLE:
        if name != "mlp":  # its loop over 100 000 rows takes minutes and says nothing here
            start = time.perf_counter()
            train(name, "compatible", x[:QUERIES], cells[:QUERIES], utility, CATEGORIES)
            yield Figure(f"train {name} as the semantic router does", f"{time.perf_counter() - start:.2f} s")
    for name, call in picks.items():  # one after the other: a gateway runs one selector, and the others' data would fill the caches
        seconds = interleaved({name: call}, 600, 20)[name]
        yield Figure(f"pick, {name}, beyond the embedding, p50", f"{seconds * 1e3:.3f} ms", "target ≤ 0.2 ms", seconds <= PICK_TARGET_S)
    plain = np.ascontiguousarray(x[:QUERIES])
    seconds = interleaved({"plain": lambda: plain @ queries()[0]}, 600, 20)["plain"]
    yield Figure("float32 product of one query with all of them, alone, p50", f"{seconds * 1e3:.3f} ms")
    yield from _sweep(x, cells, utility)


def _sweep(x: np.ndarray, cells: Cells, utility: Utility) -> Iterator[Figure]:
    sides = ["train"] * QUERIES + ["test"] * HELD_OUT
    names = [f"model {one}" for one in range(cells.quality.shape[1])]
    table = OutcomeTable([str(one) for one in range(len(x))], [f"c{one}" for one in x[:, DIM:].argmax(1)], sides, names, cells)
    fixed = {"mlp": {"epochs": 3}, "svm": {"gamma": 1.0}}
    _, parts, _ = fit_parts(table, x, utility, CATEGORIES, tuple(LAB), ("lab",), fixed=fixed)
    start = time.perf_counter()
    points = sweep(table, x, parts, utility)
    seconds = time.perf_counter() - start
    name = f"sweep of {len(SWEEP)} weights, {HELD_OUT} held-out queries, {len(points)} points"
    yield Figure(name, f"{seconds:.2f} s", "target ≤ 3 s", seconds <= 3)


def outcomes(n: int, seed: int = 0) -> tuple[np.ndarray, Cells]:
    """Made-up outcomes: models differ, some are better on some kinds of queries; latency and cost known."""
    random = np.random.default_rng(seed)
    kind = random.integers(0, 40, n)
    vectors = random.normal(size=(40, DIM))[kind] + 1.5 * random.normal(size=(n, DIM))
    chance = np.clip(random.normal(0.5, 0.15, (40, MODELS)) + np.linspace(0, 0.2, MODELS), 0.05, 0.95)[kind]
    quality = (random.random((n, MODELS)) < chance).astype(float)
    latency_s = random.gamma(2, 1, (n, MODELS)) * np.linspace(0.2, 3, MODELS)
    return features(vectors, kind % CATEGORIES, CATEGORIES), Cells(quality, latency_s, latency_s / 1000)


def iter_queries(x: np.ndarray) -> Callable[[], np.ndarray]:
    """The next query, round and round: no two picks in a row of the same one."""
    state = {"row": 0}

    def query() -> np.ndarray:
        state["row"] = (state["row"] + 1) % len(x)
        return x[state["row"] : state["row"] + 1]

    return query


def one_pick(selector: LabSelector, query: Callable[[], np.ndarray]) -> Callable[[], int]:
    return lambda: int(selector.predict(query())[0])
