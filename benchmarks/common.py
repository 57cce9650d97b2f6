"""What benchmarks share: interleaved timing, so that a machine that slows down slows every contestant down."""

from __future__ import annotations

import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lab.home import PROJECT

LOOP_S = 4.6
"""Seconds of the usual DataLoader loop (15 040 prompts, 47 domains, 30 epochs) on the machine that the targets in seconds were set on."""


@dataclass(frozen=True)
class Figure:
    """One printed line. ``met`` is None where there is no target."""

    name: str
    value: str
    target: str = ""
    met: bool | None = None


def interleaved(contestants: dict[str, Callable[[], object]], rounds: int, warm: int = 3) -> dict[str, float]:
    """Median seconds of each contestant, called in turn ``rounds`` times after ``warm`` calls each."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for call in contestants.values():
        for _ in range(warm):
            call()
    for _ in range(rounds):
        for name, call in contestants.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def ratio(name: str, value: float, at_least: float) -> Figure:
    return Figure(name, f"{value:.2f} ×", f"target ≥ {at_least:g} ×", value >= at_least)


def in_loops(name: str, seconds: float, at_most: float, loop: float) -> Figure:
    """Work that a processor bounds: in seconds, and in loops of this same run, as its target in seconds is so many of LOOP_S."""
    value, target = seconds / loop, at_most / LOOP_S
    return Figure(name, f"{seconds:.1f} s = {value:.2f} loops", f"target ≤ {at_most:g} s = {target:.2f} loops", value <= target)


def sentence_transformer():
    """The usual path, as a gateway calls it: SentenceTransformer with two threads."""
    import torch

    from lab.text.encoder import MINILM, find_source
    from lab.text.torch_encoder import load_sentence_transformer

    torch.set_num_threads(2)
    return load_sentence_transformer(find_source(MINILM))


def browser_path() -> str | None:
    return shutil.which("chromium-headless-shell") or shutil.which("chromium")


@contextmanager
def serving(script: str) -> Iterator[str]:
    """The address of ``streamlit run script`` on a free port; it may not answer yet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", script, "--server.port", str(port), "--server.address", "127.0.0.1"]
    server = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()
