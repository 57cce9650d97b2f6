"""Writes that are on the disk when they return, and a lock that the kernel releases when its holder is killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


def write_synced(path: Path, data: bytes) -> None:
    """A new file that is on the disk when this returns, readable by all, writable by nobody."""
    with path.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    path.chmod(0o444)


def sync_folder(path: Path) -> None:
    """After a rename: the names in ``path`` are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[None]:
    """One process at a time between here and the end of the block. ``lock`` is an empty file that stays."""
    with lock.open("ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
