"""Models' code can compute and nothing else. What it tries leaves no trace."""

from __future__ import annotations

import os
import platform
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.benchmark import sandbox
from lab.benchmark.scoring.code import extract
from lab.benchmark.scoring.dispatch import score
from lab.errors import InputError

linux = pytest.mark.skipif(platform.machine() != "x86_64", reason="the filter is written for x86-64")


def judged(code, *asserts):
    return sandbox.run_assertions(code, "\n".join(asserts) or "assert True")


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(sandbox, "CPU_S", 1)
    monkeypatch.setattr(sandbox, "WALL_S", 3.0)


@linux
def test_the_share_of_assertions_that_hold():
    result = judged("def f(x):\n    return x + 1", "assert f(1) == 2", "assert f(2) == 4", "assert f('a') == 1", "assert f(0) == 1, 'message'")
    assert (result.passed, result.total, result.ended) == (2, 4, "ran")
    assert result.detail.startswith("TypeError")


@linux
def test_a_check_function_gets_the_answers_function():
    tests = "METADATA = {}\ndef check(candidate):\n    assert candidate(1, 2) == 3\n    for n in range(3):\n        assert candidate(n, n) == 2 * n\n"
    assert judged("def helper(a): return a\ndef add(a, b): return helper(a) + b", tests).passed == 4
    wrong = judged("def add(a, b): return a - b", tests)
    assert (wrong.passed, wrong.total) == (1, 4)


@linux
def test_usual_modules_are_there_and_others_are_not():
    assert judged("import math, re, collections, itertools, datetime\nx = datetime.datetime.strptime('2020', '%Y').year", "assert x == 2020").passed == 1
    assert "No module named" in judged("import subprocess").detail


HOSTILE = {
    "fork": "import os\nwhile True:\n    os.fork()",
    "thread": "import threading\nthreading.Thread(target=print).start()",
    "process": "import os\nos.posix_spawn('/bin/true', ['true'], {{}})",
    "exec": "import os\nos.execv('/bin/sh', ['sh', '-c', 'touch {trace}'])",
    "write a file": "open({trace!r}, 'w').write('x')",
    "write here": "open('trace', 'w').write('x')",
    "read a file": "open('/etc/passwd').read()",
    "read the environment of others": "open('/proc/1/environ').read()",
    "list": "import os\nos.listdir('/')",
    "make a folder": "import os\nos.mkdir({trace!r})",
    "remove": "import os\nos.unlink({kept!r})",
    "link": "import os\nos.symlink('/etc', {trace!r})",
    "socket": "import socket\nsocket.create_connection(('127.0.0.1', {port}), 1).send(b'x')",
    "datagram": "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
    "unix socket": "import socket\nsocket.socketpair()",
    "kill its parent": "import os\nos.kill(os.getppid(), 9)",
    "kill everyone": "import os\nos.kill(-1, 9)",
    "raise its limits": "import os\nos.nice(-5)",
}


@linux
@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_code_is_refused_and_leaves_no_trace(what, tmp_path):
    kept, trace = tmp_path / "kept", tmp_path / "trace"
    kept.write_text("kept")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        code = HOSTILE[what].format(kept=str(kept), trace=str(trace), port=server.getsockname()[1])
        result = judged(code)
        assert (result.passed, result.ended) == (0, "code failed"), result
        with pytest.raises(BlockingIOError):
            server.accept()
    assert kept.read_text() == "kept"
    assert not trace.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]


@linux
def test_system_calls_by_hand_are_refused_too():
    code = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nfound = [libc.syscall(n, 2, 1, 0) for n in (41, 57, 56, 58, 59, 2, 257, 62, 425, 435, 101, 0x40000029)]"
    assert judged(code, "assert set(found) == {-1}").passed == 1 or "No module" in judged(code).detail


@linux
@pytest.mark.parametrize(
    ("code", "ended"),
    [
        ("while True: pass", "out of time"), ("x = [0] * 10**10", "out of memory"), ("x = []\nwhile True: x.append('y' * 10**7)", "out of memory"),
        ("import time\ntime.sleep(60)", "out of time"), ("import sys\nsys.exit(0)", "code ended the process"), ("import os\nos._exit(0)", "killed"),
        ("raise KeyboardInterrupt", "code ended the process"), ("def f(n): return f(n)\nf(1)", "too deep"), ("x = " + "(" * 3000, "code failed"),
        ("import os\nos.write(3, b'{\"nonce\": \"guessed\", \"passed\": 1}')\nos._exit(0)", "forged"),
        ("import os\nwhile True: os.write(3, b'x' * 10**6)", "killed"), ("while True: print('x' * 10**6)", "out of time"),
        ("import signal\nsignal.signal(signal.SIGALRM, print)\nwhile True: pass", "out of time"),
    ],
)  # fmt: skip
def test_code_that_takes_too_much_or_ends_early_scores_nothing(code, ended, short):
    start = time.monotonic()
    result = judged(code)
    assert (result.passed, result.total, result.ended) == (0, 1, ended), result
    assert time.monotonic() - start < 15


@linux
def test_nothing_is_left_running_and_no_folder_is_left(short, tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox.tempfile, "tempdir", str(tmp_path))
    judged("import time\ntime.sleep(60)")
    assert list(tmp_path.iterdir()) == []
    mine = [path for path in Path("/proc").glob("[0-9]*/stat") if f" {os.getpid()} " in _stat(path)]
    assert not [path for path in mine if b"jail.py" in (path.parent / "cmdline").read_bytes()]


def _stat(path):
    try:
        return path.read_text()
    except OSError:
        return ""


@linux
def test_many_at_once_from_threads_do_not_meet():
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: judged(f"x = {n}", f"assert x == {n}", f"assert x == {n + 1}").passed, range(8)))
    assert found == [1] * 8
    assert threading.active_count() < 20


def test_where_code_cannot_be_isolated_none_is_run(monkeypatch):
    def refused():
        return "no filter"

    refused.cache_clear = lambda: None
    monkeypatch.setattr(sandbox, "unavailable", refused)
    monkeypatch.setattr(sandbox, "_run", lambda code, tests: pytest.fail("it ran"))
    with pytest.raises(InputError, match="cannot be isolated here: no filter"):
        judged("x = 1")


@linux
def test_the_probe_would_notice_an_open_door(monkeypatch):
    """The same probe without the filter must fail, or it proves nothing."""
    sandbox.unavailable.cache_clear()
    text = sandbox.JAIL.read_text()
    open_jail = Path(sandbox.__file__).with_name("jail.py").read_text().replace("    lock()\n", "    pass\n")
    assert text != open_jail
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "jail.py"
        path.write_text(open_jail)
        monkeypatch.setattr(sandbox, "JAIL", path)
        monkeypatch.setattr(sandbox, "PROBE", sandbox.PROBE.replace(', tried(lambda: os.execv("/bin/true", ["true"])),', ", True,").replace("tried(os.fork)", "True"))
        assert "the probe ended with" in sandbox.unavailable()
    sandbox.unavailable.cache_clear()


def test_code_is_off_unless_enabled():
    found = score("q", "def f(x): return x + 1", "['assert f(1) == 2']", "code_eval")
    assert (found.value, found.rule) == (None, "code_eval is off")


@linux
def test_code_eval_scores_an_answer_with_prose_and_fences():
    answer = "Sure! Here it is:\n```python\ndef f(x):\n    return x + 1\n```\nIt adds one.\n```bash\nrm -rf /\n```"
    found = score("q", answer, "['assert f(1) == 2', 'assert f(2) == 2']", "code_eval", None, True)
    assert (found.value, found.rule) == (0.5, "code_eval: ran")
    assert score("q", "I would rather not.", "['assert f(1) == 2']", "code_eval", None, True).value == 0.0
    assert score("q", answer, "f(1) is 2", "code_eval", None, True).value is None


def test_code_is_found_without_fences_and_in_an_unfinished_fence():
    assert extract("Here:\ndef f(x):\n    return x\n\nThat is all.").startswith("def f(x):")
    assert extract("```python\ndef f(x):\n    return x\n").strip() == "def f(x):\n    return x"
