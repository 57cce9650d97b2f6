"""Head training on cached vectors, against the usual Dataset + DataLoader loop."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from benchmarks.common import Figure, in_loops
from lab.router.dataset import build_dataset
from lab.router.train import TrainingSet, one_thread, train_head
from lab.workbench import REFERENCE, Workbench


def run() -> Iterator[Figure]:
    bench = Workbench()
    everything = _everything(bench)
    usual = _timed(lambda: _loader_loop(everything))
    yield Figure(f"DataLoader loop, {len(everything.vectors)} prompts, 47 domains, 30 epochs", f"{usual:.2f} s")
    for name in ("published", "lab"):
        recipe = bench.recipes[name]
        seconds = _timed(lambda recipe=recipe: train_head(everything, None, recipe))
        yield in_loops(f"recipe {name}, {recipe.epochs} epochs", seconds, 3 * recipe.epochs / 30, usual)


def loader_loop_s() -> float:
    """Seconds of the usual loop, once: the unit of :func:`benchmarks.common.in_loops`."""
    everything = _everything(Workbench())
    start = time.perf_counter()
    _loader_loop(everything)
    return time.perf_counter() - start


def _everything(bench: Workbench) -> TrainingSet:
    dataset = build_dataset(bench.corpus.rows, bench.taxonomy, bench.frozen_split)
    encoder = bench.encoder(bench.router().encoder_name, REFERENCE)
    vectors = bench.vectors.encode(encoder, [row.text for row in dataset.rows])
    return TrainingSet(vectors, *dataset.labels(np.arange(len(dataset.rows))))


def _timed(call) -> float:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return sorted(times)[1]


def _loader_loop(data: TrainingSet) -> None:
    with one_thread() as torch:
        target = torch.nn.functional.one_hot(torch.from_numpy(data.primary), data.also.shape[1]).float()
        loader = torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(torch.from_numpy(data.vectors), target), batch_size=128, shuffle=True
        )
        net = torch.nn.Sequential(torch.nn.Linear(384, 256), torch.nn.GELU(), torch.nn.Dropout(0.1), torch.nn.Linear(256, target.shape[1]))
        optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3)
        for _ in range(30):
            for x, y in loader:
                optimiser.zero_grad()
                torch.nn.functional.binary_cross_entropy_with_logits(net(x), y).backward()
                optimiser.step()
