"""What the work of a job needs: its progress told to the database, and folds fitted beside the training."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import asdict
from multiprocessing import get_context
from typing import Any

import numpy as np

from lab.database.connect import Database
from lab.errors import InputError
from lab.release import jobs
from lab.router.dataset import Dataset
from lab.router.recipe import Recipe
from lab.router.router import Router
from lab.router.train import TrainingSet

LIMITS = {"epochs": (1, 500), "learning_rate": (1e-6, 1.0), "batch_size": (1, 65_536), "seed": (0, 2_147_483_647)}
"""What of a recipe a person may change for one retrain, and between which bounds."""

POLL_S = 0.2
FEW = 3_000
"""With so few rows a fold takes less time than starting another process for it."""


class Told:
    """Progress of a job: to the database at most ten times a second, and never past a cancellation."""

    def __init__(self, database: Database, job_id: str, pulse: jobs.Pulse) -> None:
        self._database, self._job_id, self._pulse = database, job_id, pulse
        self._last, self._stage, self._started = 0.0, "", time.monotonic()
        self._seconds: dict[str, float] = {}

    def __call__(self, stage: str, done: int, of: int) -> None:
        self._pulse.check()
        at = time.monotonic()
        if stage != self._stage:
            self._seconds[self._stage] = self._seconds.get(self._stage, 0.0) + at - self._started
            self._stage, self._started = stage, at
        elif at - self._last < 0.1 and done < of:
            return
        self._last = at
        jobs.tell(self._database, self._job_id, stage, done, of)

    def line(self, text: str) -> None:
        jobs.write_log(self._database, self._job_id, "line", text)

    def point(self, epoch: Any) -> None:
        jobs.write_log(self._database, self._job_id, "point", epoch if isinstance(epoch, dict) else asdict(epoch))

    def seconds(self) -> dict[str, float]:
        """Stage → seconds it took."""
        return {stage: round(value, 2) for stage, value in self._seconds.items() if stage}


class Folds:
    """Out-of-fold logits, fitted in processes of their own while the caller trains the full router: no core waits.

    Leaving the block by an error (a cancellation) ends those processes.
    """

    def __init__(self, dataset: Dataset, vectors: np.ndarray, recipe: Recipe) -> None:
        from lab.evaluation.out_of_fold import FOLDS, end_with_parent, fit_fold, fold_numbers

        self._shape = (len(dataset.rows), len(dataset.domains))
        workers = min(FOLDS, (os.cpu_count() or 1) + 1) if len(dataset.rows) > FEW else 1
        self._pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=end_with_parent)
        blend = np.asarray([recipe.lexical_weight, 1, 0], dtype=np.float32) if recipe.lexical_weight else None  # slope and shift are the full router's
        fold = fold_numbers(dataset.rows)
        held = np.asarray([side == "valid" and recipe.keep != "last" for side in dataset.splits])
        self._rows: dict[Future, np.ndarray] = {}
        for k in range(FOLDS):
            outside = np.flatnonzero(fold == k)
            train, valid = (_part(dataset, vectors, np.flatnonzero((fold != k) & side)) for side in (~held, held))
            job = self._pool.submit(fit_fold, train, valid, vectors[outside], [dataset.rows[n].text for n in outside], recipe, blend)
            self._rows[job] = outside

    def __enter__(self) -> Folds:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            for process in multiprocessing.active_children():
                process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def logits(self, router: Router, told: Told) -> np.ndarray:
        """(n, N) on the scale of ``router``, which was trained on the same rows."""
        left = set(self._rows)
        while left:
            told("out-of-fold", len(self._rows) - len(left), len(self._rows))
            left = wait(left, POLL_S).not_done
        out = np.empty(self._shape, dtype=np.float32)
        for job, rows in self._rows.items():
            out[rows] = job.result()
        told("out-of-fold", len(self._rows), len(self._rows))
        if router.lexical is None:
            return out
        _, slope, shift = router.lexical.blend
        return slope * out + shift


def _part(dataset: Dataset, vectors: np.ndarray, rows: np.ndarray) -> TrainingSet | None:
    return TrainingSet(vectors[rows], *dataset.labels(rows), [dataset.rows[n].text for n in rows]) if len(rows) else None


def checked(changes: Mapping[str, Any]) -> dict[str, Any]:
    """InputError for a parameter that a person may not set, or out of range."""
    for name, value in changes.items():
        if name not in LIMITS:
            raise InputError(f"'{name}' cannot be set here.", f"Set one of: {', '.join(LIMITS)}.")
        low, high = LIMITS[name]
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise InputError(f"{name} is {value!r}.", f"It must lie between {low} and {high}.")
    return dict(changes)
