"""Models' code in a process that can do nothing but compute (see jail.py). Where that cannot be had, no code runs."""

from __future__ import annotations

import ast
import contextlib
import functools
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from lab.errors import InputError

JAIL = Path(__file__).with_name("jail.py")
CPU_S, WALL_S, MEMORY_BYTES, LONGEST_RESULT = 4, 12.0, 512 * 1024 * 1024, 65_536
PROBE = """
import os, socket, sys
def tried(call):
    try:
        call()
    except (OSError, RuntimeError):
        return True
    return False
shut = [
    tried(lambda: socket.socket()), tried(lambda: open("/etc/hostname")), tried(lambda: open("trace", "w")), tried(os.fork),
    tried(lambda: os.kill(os.getpid(), 0)), tried(lambda: os.listdir("/")), tried(lambda: os.mkdir("trace")), tried(lambda: os.execv("/bin/true", ["true"])),
]
"""


@dataclass(frozen=True)
class Result:
    """``ended``: ran, code failed, code ended the process, too deep, out of memory, out of time, killed, or forged."""

    passed: int
    total: int
    ended: str
    detail: str = ""


def run_assertions(code: str, tests: str) -> Result:
    """InputError if this machine cannot isolate code."""
    check_isolation()
    return _run(code, tests)


def check_isolation() -> None:
    """InputError if this machine cannot isolate code: then none is run."""
    problem = unavailable()
    if problem:
        unavailable.cache_clear()  # a busy machine may do better next time
        raise InputError(f"Models' code cannot be isolated here: {problem}.", "Score code_eval on Linux (x86-64), or leave it off.")


@functools.cache
def unavailable() -> str:
    """Why code cannot be isolated here, or "". Asked by trying: code that wants a file, a socket and a process must get none of them."""
    result = _run(PROBE, "assert len(shut) == 8 and all(shut)")
    return "" if (result.passed, result.total, result.ended) == (1, 1, "ran") else f"the probe ended with '{result.ended}' {result.detail}".strip()


def _run(code: str, tests: str) -> Result:
    total = sum(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(tests)))
    nonce = secrets.token_hex(16)
    task = json.dumps({"code": code, "tests": tests, "nonce": nonce, "cpu_s": CPU_S, "memory_bytes": MEMORY_BYTES}).encode()
    read, write = os.pipe()
    with tempfile.TemporaryDirectory(prefix="answer-") as empty:
        process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-c", f"import os, runpy; os.dup2({write}, 3); runpy.run_path({str(JAIL)!r}, run_name='__main__')"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=empty, env={}, pass_fds=(write,), start_new_session=True,
        )  # fmt: skip
        os.close(write)
        try:
            answer, late = _read(process, task, read)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            complaint = process.stderr.read(4_000).decode("utf-8", "replace")
            process.stderr.close()
            process.wait()
            os.close(read)
    return _judged(answer, late, nonce, total, process.returncode, complaint)


def _read(process: subprocess.Popen, task: bytes, read: int) -> tuple[bytes, bool]:
    """(what the jail wrote, whether its time was up)."""
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(task)
        process.stdin.close()
    end, answer = time.monotonic() + WALL_S, b""
    while len(answer) < LONGEST_RESULT:
        left = end - time.monotonic()
        if left <= 0 or not select.select([read], [], [], left)[0]:
            return answer, True
        part = os.read(read, LONGEST_RESULT)
        if not part:
            break
        answer += part
    return answer, False


def _judged(answer: bytes, late: bool, nonce: str, total: int, status: int, complaint: str) -> Result:
    if late:
        return Result(0, total, "out of time", f"{WALL_S:g} s passed.")
    try:
        value = json.loads(answer)
    except ValueError:
        if status == -signal.SIGXCPU or (status == -signal.SIGKILL and not answer):
            return Result(0, total, "out of time", f"{CPU_S} s of CPU were used.")
        return Result(0, total, "killed", (complaint.strip().splitlines() or [f"exit status {status}"])[-1][:200])
    if not isinstance(value, dict) or value.get("nonce") != nonce:
        return Result(0, total, "forged", "The result is not the sandbox's own.")
    whole = max(total, int(value["seen"]))
    return Result(min(int(value["passed"]), whole), whole, str(value["ended"]), str(value["detail"]))
