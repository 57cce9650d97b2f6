"""Runs one answer's code and its assertions. Started by sandbox.py as a process of its own: ``python -I -B jail.py``; imports nothing of the lab.

The order matters: read the task, load what code may import, give up every right, only then run the code. After that this process can compute,
allocate up to its limit and write to the pipes it holds, and nothing else: no file, no socket, no process or thread, no signal, by a seccomp
filter that allows a short list of system calls (man 2 seccomp) and answers EPERM to the rest.
"""

import ast
import ctypes
import gc
import importlib
import importlib.abc
import json
import os
import platform
import resource
import struct
import sys
import types

MODULES = (
    "abc array base64 binascii bisect calendar cmath collections collections.abc contextlib copy csv dataclasses datetime _strptime decimal difflib enum fractions "
    "functools hashlib heapq hmac html io itertools json keyword locale math numbers operator pprint queue random re secrets statistics string struct "
    "sys textwrap threading time traceback types typing unicodedata uuid warnings weakref zlib zoneinfo encodings.idna encodings.latin_1 encodings.ascii linecache tokenize signal socket"
)
X86_64 = {
    "read": 0, "write": 1, "close": 3, "fstat": 5, "lseek": 8, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14,
    "rt_sigreturn": 15, "sched_yield": 24, "mremap": 25, "madvise": 28, "getpid": 39, "exit": 60, "gettimeofday": 96, "getrusage": 98, "times": 100,
    "sigaltstack": 131, "gettid": 186, "futex": 202, "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230,
    "exit_group": 231, "getrandom": 318,
}  # fmt: skip
AUDIT_X86_64 = 0xC000003E
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, FILTER_MODE = 1, 4, 38, 22, 2
ALLOW, KILL, DENY = 0x7FFF0000, 0x80000000, 0x00050000 | 1  # DENY answers EPERM


def limit(task):
    """Hard limits of CPU, memory, files and processes; the parent keeps the clock."""
    for what, most in (
        (resource.RLIMIT_CPU, task["cpu_s"]), (resource.RLIMIT_AS, task["memory_bytes"]), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 1), (resource.RLIMIT_NOFILE, 16),
    ):  # fmt: skip
        resource.setrlimit(what, (most, most))


def lock():
    """Load the filter. SystemExit if this machine has no such filter: then nothing is run."""
    if platform.machine() != "x86_64" or sys.platform != "linux":
        raise SystemExit("the filter is written for Linux on x86-64")
    libc = ctypes.CDLL(None, use_errno=True)
    program = [(0x20, 0, 0, 4), (0x15, 1, 0, AUDIT_X86_64), (0x06, 0, 0, KILL), (0x20, 0, 0, 0)]  # the architecture, else kill; the call's number
    numbers = sorted(X86_64.values())
    program += [(0x15, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    program += [(0x06, 0, 0, DENY), (0x06, 0, 0, ALLOW)]
    packed = b"".join(struct.pack("HBBI", *line) for line in program)
    held = ctypes.create_string_buffer(packed, len(packed))
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(held)))
    for step in ((PR_SET_PDEATHSIG, 9, 0, 0, 0), (PR_SET_DUMPABLE, 0, 0, 0, 0), (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, FILTER_MODE, ctypes.addressof(head), 0, 0)):
        if libc.prctl(*(ctypes.c_ulong(one) for one in step)) != 0:
            raise SystemExit(f"prctl {step[0]} failed: {os.strerror(ctypes.get_errno())}")


class Source(importlib.abc.InspectLoader):
    """A module from a text or a syntax tree."""

    def __init__(self, source):
        self.source = source

    def get_source(self, fullname):
        return ""

    def get_code(self, fullname):
        return compile(self.source, f"<{fullname}>", "exec")

    def run(self, name, names=None):
        module = types.ModuleType(name)
        module.__dict__.update(names or {})
        self.exec_module(module)
        return module


class Recording(ast.NodeTransformer):
    """``assert test, message`` becomes ``<name>(lambda: test)``, so that each is judged and none ends the text."""

    def __init__(self, name):
        self.name = name

    def visit_Assert(self, node):
        call = ast.Expr(ast.Call(ast.Name(self.name, ast.Load()), [ast.Lambda(ast.arguments([], [], None, [], [], None, []), node.test)], []))
        return ast.copy_location(call, node)


def candidate_of(tests, module):
    """A ``check`` that nobody calls is called with the answer's last function (HumanEval)."""
    checks = [node for node in tests.body if isinstance(node, ast.FunctionDef) and node.name == "check"]
    called = any(isinstance(node, ast.Call) and getattr(node.func, "id", "") == "check" for node in ast.walk(tests))
    if not checks or called:
        return None
    functions = [value for value in vars(module).values() if isinstance(value, types.FunctionType)]
    return functions[-1] if functions else None


class Attempt:
    """``with Attempt() as tried``: whatever the code in it raises is a result, not a fault of ours; ``tried.error`` has it."""

    error = None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.error = error
        return True

    @property
    def told(self):
        return f"{type(self.error).__name__}: {self.error}"[:160] if self.error is not None else ""


class Judge:
    """Counts assertions: ``seen`` were reached, ``passed`` hold; ``failures`` has what the others raised."""

    def __init__(self, task):
        self.task, self.seen, self.passed, self.failures = task, 0, 0, []

    def record(self, test):
        self.seen += 1
        with Attempt() as tried:
            self.passed += bool(test())
        self.keep(tried)

    def keep(self, tried):
        if tried.error is not None:
            self.failures.append(tried.told)
        if isinstance(tried.error, MemoryError | KeyboardInterrupt | SystemExit):
            raise tried.error

    def run(self):
        """Run the code, then each statement of the tests; a statement that fails leaves the next ones their chance."""
        module = Source(self.task["code"]).run("answer")
        tests = ast.parse(self.task["tests"])
        candidate = candidate_of(tests, module)
        name = f"_assert_{self.task['nonce']}"
        names = dict(vars(module)) | {name: self.record}
        for statement in Recording(name).visit(tests).body:
            with Attempt() as tried:
                names = vars(Source(ast.fix_missing_locations(ast.Module([statement], []))).run("tests", names))
            self.keep(tried)
        if candidate is not None:
            with Attempt() as tried:
                names["check"](candidate)
            self.keep(tried)


def ending(error):
    """A closed vocabulary for how the code ended."""
    if error is None:
        return "ran"
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, RecursionError):
        return "too deep"
    return "code failed" if isinstance(error, Exception) else "code ended the process"


def main():
    task = json.loads(sys.stdin.buffer.read())
    answer = 3  # the pipe of the result
    for name in MODULES.split():
        importlib.import_module(name)
    warm = json.dumps({"a": 0.5}), compile("0", "<warm>", "exec"), repr(ast.parse("assert 1"))
    del warm
    gc.collect()
    limit(task)
    lock()
    judge = Judge(task)
    with Attempt() as tried:
        judge.run()
    kept = {"nonce": task["nonce"], "passed": judge.passed, "seen": judge.seen, "ended": ending(tried.error)}
    told = tried.told or (judge.failures[0] if judge.failures else "")
    tried.error = judge = None  # gives back what the code has taken
    result = json.dumps(kept | {"detail": told})
    os.write(answer, result.encode())
    os._exit(0)


if __name__ == "__main__":
    main()
