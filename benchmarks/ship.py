"""From a relabel to a promoted router: each step timed once on a lab of its own, with the shipped corpus and warm vectors."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.common import Figure, in_loops
from benchmarks.train import loader_loop_s
from lab.curation.state import Actor, State, Write
from lab.home import Home
from lab.settings import Settings
from lab.workbench import Workbench

RELABELLED = 20


def run() -> Iterator[Figure]:
    shared = Home.from_environment()
    with tempfile.TemporaryDirectory(prefix="router-lab-") as folder:
        home = Home(state=Path(folder))
        shutil.copy(shared.vectors, home.vectors)
        home.encoders.symlink_to(shared.encoders)
        bench = Workbench(home, Settings.from_environment())
        yield from _steps(bench, bench.actor("Anna"), loader_loop_s())


def _steps(bench: Workbench, anna: Actor, loop: float) -> Iterator[Figure]:
    yield Figure("the usual DataLoader loop of 30 epochs, the unit of what follows", f"{loop:.2f} s")
    bench.retrain_plan()
    for batch in ("first", "next"):
        _relabel(bench, anna, f"benchmark-{batch}")
        yield in_loops(f"preview of {RELABELLED} relabels, the {batch} batch of a process", _seconds(bench.preview), 3, loop)
    bench.retrain_plan()  # the page shows it before anyone can click
    started = time.perf_counter()
    job = bench.start_retrain(anna)
    yield _within("retrain: click → running", time.perf_counter() - started, 1)
    while bench.job(job.id).status in ("queued", "running"):
        time.sleep(0.1)
    seconds, job = time.perf_counter() - started, bench.job(job.id)
    assert job.status == "done", job.error
    recipe = job.params["recipe"]
    yield in_loops(f"retrain, recipe {recipe}, folds, suites and gate included", seconds, 60, loop)
    yield Figure("  its stages", ", ".join(f"{name} {took:.0f} s" for name, took in job.result["stages"].items() if took >= 1))
    champion = bench.champion().id
    yield _within("promote", _seconds(lambda: bench.promote(anna, job.result["name"], champion, "benchmark")), 1)
    yield _within("rollback", _seconds(lambda: bench.promote(anna, champion, bench.version(job.result["name"]).id, "benchmark")), 1)


def _relabel(bench: Workbench, anna: Actor, session: str) -> None:
    """Training prompts that the router's out-of-fold answers contradict are given those answers: the hardest case for a preview."""
    found = bench.out_of_fold(bench.router("lab-47"))
    sure = sorted((-p, row.id, found.domains[best]) for p, row, best, right in zip(found.probability, found.rows, found.predicted, found.right, strict=True) if not right and bench.frozen_split[row.id] == "train")
    skip = RELABELLED if session.endswith("next") else 0
    chosen = sure[skip : skip + RELABELLED]
    states = bench.state([one for _, one, _ in chosen])
    written = bench.write(anna, [Write(session, n, one, "label", states[one][1], State(domain)) for n, (_, one, domain) in enumerate(chosen)])
    assert {one.status for one in written} == {"stored"}


def _seconds(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _within(name: str, seconds: float, most: float) -> Figure:
    return Figure(name, f"{seconds:.2f} s", f"target ≤ {most:g} s", seconds <= most)
