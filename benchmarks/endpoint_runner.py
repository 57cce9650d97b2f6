"""10 000 calls at concurrency 64 to a real HTTP server in a process of its own: throughput, overhead per call, memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from benchmarks.common import Figure
from lab.benchmark.endpoints import read_models
from lab.benchmark.ledger import Place, read_rows
from lab.benchmark.plan import Plan
from lab.benchmark.queries import Query
from lab.benchmark.rules import Rules
from lab.benchmark.runner import run as run_benchmark

CALLS, AT_ONCE, ALONE = 10_000, 64, 300
FAKE = Path(__file__).parents[1] / "tests" / "unit" / "fake_endpoint.py"
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def asked(n: int, start: int = 0) -> list[Query]:
    return [Query(f"What is {number} + {number % 7}?", "math", str(number + number % 7), "GSM8K") for number in range(start, start + n)]


def measured(url: str, queries: list[Query], concurrency: int, folder: Path, streaming: bool) -> dict:
    """One run; its figures."""
    entry = {"name": "even", "endpoint": url, "stream": streaming}
    models = read_models(json.dumps({"models": [entry]}), {}, Rules.own())
    place, memory = Place.of_output(folder / f"{concurrency}-{streaming}.jsonl"), []
    cpu, wall = time.process_time(), time.perf_counter()
    status = run_benchmark(models, queries, place, Plan(concurrency=concurrency), Rules.own(), lambda told: memory.append((told["done"], resident_bytes())))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    rows = list(read_rows(place.rows))
    latency = sorted(row["response_time"] for row in rows)
    early = next(size for done, size in memory if done >= len(queries) // 10)
    return {
        "done": status["done"], "rows": len(rows), "per_s": len(rows) / wall, "cpu_ms": 1e3 * cpu / len(rows), "p50_ms": 1e3 * latency[len(latency) // 2],
        "grown_mb": (memory[-1][1] - early) / 1e6, "peak_mb": max(size for _, size in memory) / 1e6,
    }  # fmt: skip


def run() -> list[Figure]:
    server = subprocess.Popen([sys.executable, str(FAKE)], stdout=subprocess.PIPE, text=True)
    try:
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            measured(url, asked(ALONE, 10**6), 1, folder, False)  # warm
            (folder / "1-False.jsonl").unlink()
            alone = measured(url, asked(ALONE, 2 * 10**6), 1, folder, False)
            plain = measured(url, asked(CALLS), AT_ONCE, folder, False)
            streamed = measured(url, asked(CALLS, 3 * 10**6), AT_ONCE, folder, True)
            stats = json.loads(urllib.request.urlopen(url.removesuffix("/v1") + "/stats").read())
    finally:
        server.terminate()
        server.wait()
    return [
        *_figures("whole answers", plain), *_figures("streamed", streamed),
        Figure("one call after another: latency measured, server on the same machine", f"{alone['p50_ms']:.2f} ms", "target ≤ 10 ms", alone["p50_ms"] <= 10),
        Figure("calls the server counted, none twice", f"{stats['asked']:,} / {stats['distinct']:,}", "equal", stats["asked"] == stats["distinct"]),
    ]  # fmt: skip


def _figures(what: str, one: dict) -> list[Figure]:
    head = f"{CALLS:,} calls, {AT_ONCE} at once, {what}: "
    return [
        Figure(head + "answers per second", f"{one['per_s']:.0f}", "target ≥ 100", one["per_s"] >= 100),
        Figure(head + "CPU of the runner per call", f"{one['cpu_ms']:.2f} ms", "target ≤ 5 ms", one["cpu_ms"] <= 5),
        Figure(head + "memory grown from a tenth of the run to its end", f"{one['grown_mb']:.1f} MB", "target ≤ 20 MB", one["grown_mb"] <= 20),
        Figure(head + "memory at most", f"{one['peak_mb']:.0f} MB"),
        Figure(head + "rows written", f"{one['rows']:,}", f"{CALLS:,}", one["rows"] == CALLS == one["done"]),
    ]
