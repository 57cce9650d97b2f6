"""The rows of a run on disk.

A row is written when its answer arrives, so that a killed process loses no answer it had; it counts as done after the next fsync, so that a
power cut loses none that was counted. One fsync serves all rows that arrived during the one before it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.benchmark.plan import pair_key
from lab.errors import ArtefactError, InputError
from lab.files import jsonl_dump, make_folder

MARK = 17
"""Bytes of a line of the journal of started tries: 16 of the call's name and a line end."""


@dataclass(frozen=True)
class Place:
    """``rows``: the JSONL that people use; ``side``: status, control and the journal of started tries."""

    rows: Path
    side: Path

    @classmethod
    def of_output(cls, output: Path) -> Place:
        return cls(output, output.with_name(output.name + ".run"))

    @classmethod
    def of_folder(cls, folder: Path) -> Place:
        return cls(folder / "rows.jsonl", folder)

    @property
    def status(self) -> Path:
        return self.side / "status.json"

    @property
    def control(self) -> Path:
        return self.side / "control"

    @property
    def journal(self) -> Path:
        return self.side / "started.log"

    @property
    def lock(self) -> Path:
        return self.side / "lock"


def is_running(place: Place) -> bool:
    """Whether a process holds the run."""
    return is_held(place.lock)


def is_held(path: Path) -> bool:
    """Whether a process holds the lock. The kernel lets go of it whenever that process ends, however it ends."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(handle)


@contextlib.contextmanager
def hold(path: Path, wait_s: float = 0.0) -> Iterator[int]:
    """The locked handle: a process that inherits it holds the lock from its first moment to its last. InputError if another still holds it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    end = time.monotonic() + wait_s
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise InputError("Another process is at work here.", "Wait for it.") from None
                time.sleep(0.02)
        yield handle
    finally:
        os.close(handle)


class Ledger:
    """Open rows and journal of one run, held by one process."""

    def __init__(self, place: Place) -> None:
        self.place = place
        make_folder(place.side)
        make_folder(place.rows.parent)
        self._lock = self._open(place.lock, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise InputError(f"Another run is writing {place.rows.name}.", "Wait for it, or name another output.") from None
        self._rows = self._open(place.rows, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self._journal = self._open(place.journal, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self.cut_bytes = _cut_tail(self._rows)
        os.ftruncate(self._journal, os.fstat(self._journal).st_size // MARK * MARK)
        self._size = os.fstat(self._rows).st_size
        self.written = self.synced = 0
        for folder in {place.rows.parent, place.side}:
            handle = os.open(folder, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)

    def _open(self, path: Path, flags: int) -> int:
        try:
            return os.open(path, flags | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ArtefactError(f"{path} cannot be written: {error.strerror}.", "Name a place that can be written.") from None

    @property
    def started(self) -> int:
        """Tries that were sent, over all resumes."""
        return os.fstat(self._journal).st_size // MARK

    def start(self, call: str) -> None:
        """Note a try before it is sent."""
        self._write(self._journal, f"{call:16.16}\n".encode(), self.place.journal)

    def append(self, row: dict[str, Any]) -> None:
        data = jsonl_dump([row])
        try:
            self._write(self._rows, data, self.place.rows)
        except ArtefactError:
            os.ftruncate(self._rows, self._size)
            raise
        self._size += len(data)
        self.written += 1

    def _write(self, handle: int, data: bytes, path: Path) -> None:
        try:
            done = os.write(handle, data)
            while done < len(data):
                done += os.write(handle, data[done:])
        except OSError as error:
            raise ArtefactError(f"{path} cannot be written: {error.strerror}.", "Make room and start the run again: it continues.") from None

    async def sync(self) -> int:
        """How many rows of this process are now safe from a power cut."""
        upto = self.written
        if upto > self.synced:
            await asyncio.to_thread(os.fdatasync, self._rows)
            self.synced = max(self.synced, upto)
        return self.synced

    def close(self) -> None:
        os.fdatasync(self._rows)
        for handle in (self._rows, self._journal, self._lock):
            os.close(handle)


def _cut_tail(handle: int) -> int:
    """Remove a last line without an end, left by a process that was killed in the middle of it. Returns the bytes removed."""
    size = position = os.fstat(handle).st_size
    while position > 0:
        start = max(0, position - 65_536)
        found = os.pread(handle, position - start, start).rfind(b"\n")
        if found >= 0:
            position = start + found + 1
            break
        position = start
    if position < size:
        os.ftruncate(handle, position)
    return size - position


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The newest row of each (model, query), in order. Broken lines are left out; :func:`broken_lines` counts them."""
    last: dict[str, int] = {}
    for place, row in _rows(path):
        last[pair_key(str(row.get("model_name")), str(row.get("query")))] = place
    keep = set(last.values())
    for place, row in _rows(path):
        if place in keep:
            yield row


def broken_lines(path: Path) -> int:
    with path.open("rb") as lines:
        total = sum(1 for line in lines if line.strip())
    return total - sum(1 for _ in _rows(path))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open("rb") as lines:
            for place, line in enumerate(lines):
                try:
                    value = json.loads(line)
                except ValueError:
                    continue
                if isinstance(value, dict) and isinstance(value.get("query"), str) and isinstance(value.get("model_name"), str):
                    yield place, value
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from None
