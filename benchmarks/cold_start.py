"""From nothing to the first routed prompt by CLI, and to a ready page."""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

from benchmarks.common import Figure
from lab.home import PROJECT


def run() -> Iterator[Figure]:
    command = [sys.executable, "-m", "lab", "route", "how do I flash my stm32 over swd", "--json"]
    times = []
    for _ in range(6):
        start = time.perf_counter()
        subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    cold = statistics.median(times[1:])
    yield Figure("python -m lab route …, whole process", f"{cold:.2f} s", "target ≤ 2 s", cold <= 2)
    served = statistics.median(_app_start() for _ in range(3))
    yield Figure("streamlit run server.py → server answers", f"{served:.2f} s", "target ≤ 5 s", served <= 5)


def _app_start() -> float:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start = time.perf_counter()
    command = [sys.executable, "-m", "streamlit", "run", "server.py", "--server.port", str(port), "--server.address", "127.0.0.1"]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1)
                return time.perf_counter() - start
            except OSError:
                time.sleep(0.02)
    finally:
        process.terminate()
        process.wait()
