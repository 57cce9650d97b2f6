"""A lab on a few hundred prompts of the shipped corpus, so that a retrain takes seconds; and a worker of it that kills itself.

``python -m tests.ship.small STATE JOB STAGE``: run the job, and die by SIGKILL when it reports STAGE ("" never).
``python -m tests.ship.small STATE start``: start a retrain as a server does, print its id, and stay until killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np

from lab.home import PROJECT, Home
from lab.settings import Settings
from lab.workbench import Workbench

ROWS = 24
"""Prompts a domain."""
LEFT_OUT = ("selectors", "v5-32", "v9-47", "categories*", "out_of_fold.npz")


class NoFolds:
    """Stands for lab.use_cases.job_work.Folds where out-of-fold predictions do not matter: no process is started."""

    def __init__(self, dataset, vectors, recipe) -> None:
        self._shape = (len(dataset.rows), len(dataset.domains))

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        pass

    def logits(self, router, told):
        told("out-of-fold", 1, 1)
        return np.zeros(self._shape, dtype=np.float32)


def make(folder: Path, prepared: Path) -> Workbench:
    """A project with every tenth or so prompt of the corpus and the shipped default router; vectors and encoder of ``prepared``."""
    project, state = folder / "project", folder / "state"
    if not project.exists():
        shutil.copytree(PROJECT / "models", project / "models", ignore=shutil.ignore_patterns(*LEFT_OUT))
        shutil.copytree(PROJECT / "lab", project / "lab", ignore=shutil.ignore_patterns("__pycache__"))  # its workers find this corpus
        for file in sorted((PROJECT / "corpus").rglob("*.jsonl")):
            target = project / "corpus" / file.relative_to(PROJECT / "corpus")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[: ROWS // 2]))
        shutil.copy(PROJECT / "corpus" / "split.json", project / "corpus")
        state.mkdir()
        for name in ("encoders", "vectors.sqlite"):
            (state / name).symlink_to(prepared / name)
    return Workbench(Home(project=project, state=state), Settings(default_router="lab-47"))


def main() -> int:
    state, job_id, stage = Path(sys.argv[1]), sys.argv[2], "".join(sys.argv[3:])
    bench = Workbench(Home(project=state.parent / "project", state=state), Settings(default_router="lab-47"))
    if job_id == "start":
        print(bench.start_retrain(bench.actor("Anna"), "lab", {"epochs": 2}, anyway=True).id, flush=True)
        time.sleep(600)
    if stage:
        from lab.use_cases import retraining

        if stage != "out-of-fold":
            retraining.Folds = NoFolds
        told = retraining._Told.__call__

        def deadly(self, name: str, done: int, of: int) -> None:
            if name == stage:
                os.kill(os.getpid(), signal.SIGKILL)
            told(self, name, done, of)

        retraining._Told.__call__ = deadly
    return 0 if bench.run_job(job_id, f"test:{os.getpid()}") == "done" else 1


if __name__ == "__main__":
    sys.exit(main())
