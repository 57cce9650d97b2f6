"""The layout that fits a corpus: shipped, kept, grown from either, or computed in a process of its own while people look on."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lab.errors import ArtefactError, LabError
from lab.evaluation.projection import (
    PARAMETERS,
    Layout,
    Progress,
    extend,
    key_sha256,
    layout_key,
    make_layout,
    project,
    read_layout,
    write_layout,
)  # fmt: skip

LINE = "map: {stage} {done}/{of}"
"""What the background process writes on stderr; :data:`LINE_PATTERN` reads it."""
LINE_PATTERN = re.compile(r"^map: (.+) (\d+)/(\d+)$")
ENOUGH = 0.5
"""A known layout is grown if it holds at least this share of the corpus; otherwise a new one tells more."""


@dataclass
class Job:
    """A projection under way. Read by any number of pages; written by one thread."""

    stage: str = "start"
    done: int = 0
    of: int = 1
    error: str = ""
    running: bool = True


class Maps:
    """Layouts under ``folder`` by content, and the shipped one. Safe to share between threads."""

    def __init__(self, folder: Path, shipped: Path) -> None:
        self._folder, self._shipped = folder, shipped
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._kept: dict[str, Layout] = {}

    def path(self, key: dict[str, Any]) -> Path:
        return self._folder / f"{key_sha256(key)[:16]}.npz"

    def layout(self, encoder_id: str, text_ids: Sequence[str], vectors: np.ndarray) -> Layout | None:
        """A layout with a point for each of ``text_ids``, whose ``vectors`` (n, d) are the encoder's. None: it must be computed.

        The exact one if it is known; else the known one that shares most prompts, grown by anchored placement, and kept.
        """
        key = layout_key(encoder_id, text_ids)
        name = key_sha256(key)
        with self._lock:
            if name not in self._kept:
                found = self._exact(key) or self._grown(key, text_ids, vectors)
                if found is None:
                    return None
                self._kept = {name: found}  # one corpus is looked at, at a time
            return self._kept[name]

    def _exact(self, key: dict[str, Any]) -> Layout | None:
        return next((one for one in self._readable([self._shipped, self.path(key)]) if one.key == key), None)

    def _grown(self, key: dict[str, Any], text_ids: Sequence[str], vectors: np.ndarray) -> Layout | None:
        same = [
            one
            for one in self._readable([self._shipped, *sorted(self._folder.glob("*.npz"))])
            if {**one.key, "ids_sha256": ""} == {**key, "ids_sha256": ""}
        ]
        shares = [float((one.find(text_ids) >= 0).mean()) if len(text_ids) else 0.0 for one in same]
        if not shares or max(shares) < ENOUGH:
            return None
        grown = extend(same[int(np.argmax(shares))], key, text_ids, vectors)
        write_layout(self.path(key), grown)
        return grown

    @staticmethod
    def _readable(paths: Sequence[Path]) -> list[Layout]:
        """A damaged layout is as good as none: it is computed again and written over."""
        out = []
        for path in paths:
            try:
                out.append(read_layout(path))
            except ArtefactError:
                continue
        return out

    def compute(self, encoder: str, encoder_id: str, text_ids: Sequence[str]) -> Job:
        """Start ``python -m lab map`` in the background, or join the one that runs. Read the job; then ask for :meth:`layout`."""
        name = key_sha256(layout_key(encoder_id, text_ids))
        with self._lock:
            job = self._jobs.get(name)
            if job is None or not job.running:
                job = self._jobs[name] = Job()
                target = self.path(layout_key(encoder_id, text_ids))
                command = [sys.executable, "-m", "lab", "map", "--encoder", encoder, "--output", str(target), "--background"]
                threading.Thread(target=follow, args=(command, job), name="map", daemon=True).start()
            return job


def follow(command: Sequence[str], job: Job, cwd: Path = Path(__file__).parents[2]) -> None:
    """Run ``command`` and keep ``job`` up to date from its stderr until it ends."""
    last = ""
    try:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=cwd)
        assert process.stderr is not None
        for line in process.stderr:
            said = LINE_PATTERN.match(line.strip())
            if said:
                job.stage, job.done, job.of = said[1], int(said[2]), max(1, int(said[3]))
            elif line.strip():
                last = line.strip()
        if process.wait() != 0:
            job.error = last or f"exit status {process.returncode}"
    except OSError as error:
        job.error = str(error)
    finally:
        job.running = False


def compute_layout(encoder_id: str, text_ids: Sequence[str], vectors: np.ndarray, progress: Progress) -> Layout:
    """Project now, in this process: tens of seconds. For the command line."""
    return make_layout(layout_key(encoder_id, text_ids, PARAMETERS), text_ids, project(vectors, PARAMETERS, progress))


def wait(job: Job, tell: Callable[[Job], None], pause: Callable[[], None]) -> None:
    """Tell of the job until it ends. LabError if it failed."""
    while job.running:
        tell(job)
        pause()
    if job.error:
        raise LabError(f"The map could not be computed: {job.error[:300]}", "Run it by hand to see more: python -m lab map")
