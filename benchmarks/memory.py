"""Resident memory of a process that has everything open, and whether 1 000 routed prompts make it grow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.common import Figure
from lab.workbench import Workbench


def _resident_mb() -> float | None:
    status = Path("/proc/self/status")
    if not status.is_file():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def run() -> Iterator[Figure]:
    before = _resident_mb()
    if before is None:
        yield Figure("resident memory", "not readable on this system")
        return
    bench = Workbench()
    for name in bench.router_names():
        bench.neighbours("how do I flash my stm32 over swd", name)
        bench.explain("how do I flash my stm32 over swd", name, bench.router(name).domains[0])
    texts = [row.text for row in bench.corpus.rows[:1_000]]
    for text in texts[:100]:
        bench.route(text)
    opened = _resident_mb()
    for text in texts:
        bench.route(text)
    after = _resident_mb()
    yield Figure(
        "routers, encoder (two precisions), corpus and vectors open",
        f"{opened - before:.0f} MB",
        "target ≤ 1 200 MB",
        opened - before <= 1_200,
    )
    yield Figure("growth over 1 000 routed prompts", f"{after - opened:.1f} MB", "target: none (≤ 5 MB)", after - opened <= 5)
