"""Out-of-fold predictions: every prompt of the corpus scored by a head that never saw it or its near-duplicates."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from lab.corpus.duplicates import groups, near_pairs
from lab.corpus.rows import Row, corpus_sha256
from lab.errors import LabError
from lab.files import sha256_bytes, write_bytes
from lab.router.fit import fit
from lab.router.recipe import Recipe
from lab.router.router import Router
from lab.router.train import TrainingSet

FOLDS = 5
NAME = "out_of_fold.npz"
UNKNOWN = -1


@dataclass(frozen=True)
class Predictions:
    """Of one router on one list of prompts. ``primary`` is the class id, or UNKNOWN where the router lacks the label.

    ``kind``: "out-of-fold", or "direct" when the router's recipe is not known: then its training rows may be among the prompts.
    """

    router: Router
    rows: list[Row]
    logits: np.ndarray
    primary: np.ndarray
    kind: str
    corpus_sha256: str

    @property
    def domains(self) -> list[str]:
        return self.router.domains

    @cached_property
    def predicted(self) -> np.ndarray:
        """(n,) class id of the highest logit."""
        return self.logits.argmax(axis=1)

    @cached_property
    def known(self) -> np.ndarray:
        """(n,) bool: the router has the label."""
        return self.primary != UNKNOWN

    @cached_property
    def right(self) -> np.ndarray:
        return self.predicted == self.primary

    @cached_property
    def probability(self) -> np.ndarray:
        """(n,) claimed probability of the top domain."""
        return self.router.claimed(self.logits)

    @cached_property
    def margin(self) -> np.ndarray:
        """(n,) probability (or raw score) of the first domain minus the second."""
        from lab.router.head import sigmoid

        values = self.router.calibration.probabilities(self.logits)
        two = np.sort(sigmoid(self.logits) if values is None else values, axis=1)[:, -2:]
        return two[:, 1] - two[:, 0]


def fold_numbers(rows: Sequence[Row]) -> np.ndarray:
    """(n,) fold of each row: by hash of the smallest text id of its near-duplicate group, so that adding rows moves nobody else."""
    group = groups(len(rows), near_pairs([row.text for row in rows]))
    smallest: dict[int, str] = {}
    for row, number in zip(rows, group, strict=True):
        smallest[number] = min(smallest.get(number, row.id), row.id)
    return np.asarray([int(sha256_bytes(f"fold-1:{smallest[number]}".encode())[:8], 16) % FOLDS for number in group])


def fit_fold(
    train: TrainingSet, valid: TrainingSet | None, outside: np.ndarray, texts: Sequence[str] | None, recipe: Recipe, blend: np.ndarray | None
) -> np.ndarray:
    """(n, N) logits of the rows ``outside`` (n, D) with their ``texts``; a lexical part is added as ``blend`` says (None: as fitted on ``valid``)."""
    trained = fit(train, valid, recipe)
    if trained.lexical is not None and blend is not None:
        trained = replace(trained, lexical=replace(trained.lexical, blend=blend))
    return trained.logits(outside, texts)


def end_with_parent() -> None:
    """A process that fits a fold ends with the one that started it, also when that one was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()


def compute(
    vectors: np.ndarray, primary: np.ndarray, also: np.ndarray, fold: np.ndarray, validation: np.ndarray, recipe: Recipe, full: np.ndarray,
    workers: int = 2, progress: Callable[[int, int], None] | None = None, texts: Sequence[str] | None = None, blend: np.ndarray | None = None,
    learnt: np.ndarray | None = None, folds: Sequence[int] = range(FOLDS),
) -> np.ndarray:  # fmt: skip
    """(n, N) logits. Folds are fitted in processes of their own, one thread each.

    ``primary`` (n,) class ids or UNKNOWN; ``also`` (n, N); ``validation`` (n,) bool rows a recipe may pick its epoch on; ``full`` (n, N)
    logits of the full router, used for rows with an UNKNOWN label, which no head was trained on. ``texts`` (n) and ``blend`` (the full
    router's, so that logits of all folds lie on its scale) are for a recipe with a lexical part. ``learnt`` (n,) bool: rows that may be
    learnt from (default all); every row of ``folds`` is scored.
    """
    out = full.astype(np.float32).copy()
    known = primary != UNKNOWN
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
        jobs = {}
        for k in folds:
            inside, outside = known & (fold != k), np.flatnonzero(known & (fold == k))
            held = inside & validation if recipe.keep != "last" else np.zeros_like(inside)
            rows = inside & ~held if learnt is None else inside & ~held & learnt

            def side(chosen: np.ndarray) -> TrainingSet:
                return TrainingSet(vectors[chosen], primary[chosen], also[chosen], _at(texts, np.flatnonzero(chosen)))

            valid = side(held) if held.any() else None
            job = pool.submit(fit_fold, side(rows), valid, vectors[outside], _at(texts, outside), recipe, blend)
            jobs[job] = outside
        for done, job in enumerate(as_completed(jobs), 1):
            out[jobs[job]] = job.result()
            if progress:
                progress(done, len(folds))
    return out


def _at(texts: Sequence[str] | None, rows: np.ndarray) -> list[str] | None:
    return None if texts is None else [texts[row] for row in rows]


def save(path: Path, router_sha256: str, rows: Sequence[Row], logits: np.ndarray) -> None:
    """Logits as float16 (a router of 47 domains on 15 000 prompts: about 1.3 MB), bound to router, corpus and row order."""
    import io

    stream = io.BytesIO()
    np.savez_compressed(stream, logits=logits.astype(np.float16), router=router_sha256, corpus=corpus_sha256(rows), order=_order(rows))
    write_bytes(path, stream.getvalue())


def load(path: Path, router_sha256: str, rows: Sequence[Row]) -> np.ndarray | None:
    """(n, N) float32 logits, or None if there is no file or it belongs to another router, corpus or order."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            bound = (str(stored["router"]), str(stored["corpus"]), str(stored["order"]))
            if bound == (router_sha256, corpus_sha256(rows), _order(rows)):
                return stored["logits"].astype(np.float32)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None  # a cache that cannot be read is computed again
    return None


def _order(rows: Sequence[Row]) -> str:
    return sha256_bytes("".join(row.id for row in rows).encode())


def run_in_process(router: str, progress: Callable[[int, int], None] | None = None) -> None:
    """``python -m lab out-of-fold`` in a niced process; its lines "done of" are passed on. LabError with its last words if it fails."""
    command = [sys.executable, "-m", "lab", "out-of-fold", "--router", router]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None and process.stderr is not None
    for line in process.stdout:
        words = line.split()
        if progress and len(words) == 3 and words[1] == "of":
            progress(int(words[0]), int(words[2]))
    if process.wait() != 0:
        raise LabError(
            f"Out-of-fold predictions failed: {process.stderr.read().strip()[-500:]}", "Run it by hand: python -m lab out-of-fold"
        )
