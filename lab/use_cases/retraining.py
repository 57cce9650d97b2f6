"""From relabelled prompts to a candidate: what would change, the training job, the gate."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lab.corpus.rows import Reading
from lab.curation.state import Actor
from lab.database.connect import now
from lab.errors import InputError, LabError
from lab.files import jsonl_dump, make_folder
from lab.release import jobs
from lab.release.gate import Corpus, Evaluated, Verdict, judge
from lab.release.gate_statistics import train_test_pairs
from lab.release.golden import read_golden, run_golden
from lab.release.golden import reserved_ids as golden_ids
from lab.release.preview import Baseline, Preview, preview
from lab.release.snapshot import restore, take_snapshot
from lab.release.versions import Version, publish, same_scores
from lab.router.dataset import Dataset, build_dataset
from lab.router.recipe import Recipe
from lab.use_cases.opening import REFERENCE, Progress
from lab.use_cases.registry import RETRAIN, Registry

LIMITS = {"epochs": (1, 500), "learning_rate": (1e-6, 1.0), "batch_size": (1, 65_536), "seed": (0, 2_147_483_647)}


@dataclass(frozen=True)
class Plan:
    """What a retrain would train on. ``per_domain``: training labels that (came, left) since the champion. ``blocked``: why it cannot start."""

    revision: int
    rows: dict[str, int]
    corpus_sha256: str
    split_sha256: str
    champion: str
    changes: dict[str, int]
    per_domain: dict[str, tuple[int, int]]
    test_changes: int
    blocked: str


class Retraining(Registry):
    """A part of :class:`lab.workbench.Workbench`."""

    # what would change

    def dataset_now(self, progress: Progress | None = None) -> tuple[Dataset, int]:
        """The curation set as it is, for training, and the event it stands at. New prompts get their side of the split first."""
        self.ensure_splits(progress)
        revision, rows = self.newest_event(), self.corpus_now()
        return build_dataset(rows, self.taxonomy, {}, None, self._reserved()), revision

    def _reserved(self) -> frozenset[str]:
        from lab.evaluation.behaviour import reserved_ids

        return frozenset(reserved_ids(self.home)) | golden_ids(self.home.golden)

    def dataset_of(self, version: Version) -> Dataset | None:
        """What a version was trained on, None where that is not known."""
        if version.snapshot is None:
            return None
        with self.database.read() as connection:
            from lab.curation import prompts

            texts = {prompt.id: prompt.text for prompt, _ in prompts.everything(connection)}
        rows = restore(version.snapshot, texts).rows
        return build_dataset(rows, self.taxonomy, {}, None, ())

    def retrain_plan(self) -> Plan:
        dataset, revision = self.dataset_now()
        champion = self.champion()
        old = {one.id: one for one in champion.snapshot.labels} if champion.snapshot else {}
        new = {row.id: (row.domain, tuple(row.also), side) for row, side in zip(dataset.rows, dataset.splits, strict=True)}
        came, left, count, test = Counter(), Counter(), Counter(), 0
        for one in old.keys() | new.keys():
            a = (old[one].domain, tuple(old[one].also), old[one].split) if one in old else None
            b = new.get(one)
            if a == b:
                continue
            if (b or a)[2] == "test":
                test += 1
                continue
            count["added" if a is None else "removed" if b is None else "relabelled"] += 1
            came[b[0] if b else ""] += 1
            left[a[0] if a else ""] += 1
        per_domain = {name: (came[name], left[name]) for name in sorted({*came, *left} - {""}, key=lambda name: -(came[name] + left[name]))}
        running = [job for job in self.open_jobs() if job.kind == RETRAIN]
        blocked = f"A retrain by {running[0].who} is {running[0].status}." if running else ""
        if not blocked and not count and champion.snapshot is not None:
            blocked = "No training label has changed since the champion was trained."
        return Plan(
            revision, {side: len(dataset.side(side)) for side in ("train", "valid", "test")}, dataset.corpus_sha256, dataset.split_sha256,
            champion.id, dict(count), per_domain, test, blocked,
        )  # fmt: skip

    def preview(self, progress: Progress = lambda stage, done, of: None) -> Preview:
        """Which held-out prompts a retrain would answer differently; the champion's own corpus is the other side."""
        champion = self.champion()
        before = self.dataset_of(champion)
        if before is None:
            raise InputError(f"What {champion.about.get('name') or champion.short} was trained on is not known.", "Retrain once; then previews work.")
        after, _ = self.dataset_now(progress)
        router = champion.router
        encoder = self.encoder(router.encoder_name, REFERENCE)
        sides = [(one, self.vectors.encode(encoder, [row.text for row in one.rows])) for one in (before, after)]
        recipe = Recipe(**router.ours["recipe"])
        found, self._baseline = preview(router.logits, router.domains, sides[0], sides[1], recipe, self._baseline, progress=progress)
        return found

    _baseline: Baseline | None = None

    # the job

    def start_retrain(self, actor: Actor, recipe: str = "", changes: Mapping[str, Any] | None = None, anyway: bool = False) -> jobs.Job:
        """Queue a retrain and start a process for it, of its own session, so that it outlives this one. InputError if it may not start."""
        self.require(actor, "maintainer")
        params = {"recipe": recipe or self._champion_recipe(), "changes": _checked(changes or {})}
        if params["recipe"] not in self.recipes:
            raise InputError(f"There is no recipe '{params['recipe']}'.", f"Known are: {', '.join(self.recipes)}.")
        blocked = "" if anyway else self.retrain_plan().blocked
        if blocked:
            raise InputError(blocked, "Relabel first, or start it all the same (--anyway).")
        job = jobs.add(self.database, actor, RETRAIN, params)
        make_folder(self.home.job_logs)
        log = (self.home.job_logs / f"{job.id}.log").open("ab")
        with log, self._job_lock:
            command = [sys.executable, "-m", "lab", "worker", job.id]
            environment = self.settings.environment(self.home.state)
            self._processes.append(
                subprocess.Popen(command, cwd=self.home.project, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            )
        return job

    def _champion_recipe(self) -> str:
        kept = self.champion().router.ours.get("recipe") or {}
        return str(kept.get("name") or next(iter(self.recipes)))

    def run_job(self, job_id: str, worker: str) -> str:
        """The worker's work: claim, train, judge; returns the state the job ended in. A bug is logged with its traceback and raised again."""
        job = jobs.claim(self.database, job_id, worker)
        if job is None:
            return self.job(job_id).status
        with jobs.Pulse(self.database, job_id) as pulse:
            try:
                jobs.finish(self.database, job_id, "done", self._retrain(job, pulse))
            except jobs.Cancelled:
                jobs.finish(self.database, job_id, "cancelled")
            except LabError as error:
                jobs.finish(self.database, job_id, "failed", error=str(error))
            except BaseException as error:
                jobs.write_log(self.database, job_id, "line", traceback.format_exc()[-4000:])
                jobs.finish(self.database, job_id, "failed", error=f"A fault of Router Lab: {type(error).__name__}: {error}"[:500])
                raise
        return self.job(job_id).status

    def _retrain(self, job: jobs.Job, pulse: jobs.Pulse) -> dict[str, Any]:
        told = _Told(self, job.id, pulse)
        started = time.monotonic()
        dataset, revision = self.dataset_now(told)
        told.line(f"Corpus {dataset.corpus_sha256[:12]} at event {revision}: {len(dataset.rows)} rows, {len(dataset.domains)} domains.")
        recipe = self.recipes[job.params["recipe"]].with_changes(**job.params["changes"])
        champion = self.champion()
        with tempfile.TemporaryDirectory(prefix="router-lab-") as scratch:
            version, report = self._make(job, Path(scratch) / "router", dataset, revision, recipe, champion, told)
        told("gate", 0, 1)
        verdict = self.judge(version, champion, dataset, {version.id: report})
        told("gate", 1, 1)
        told.line(verdict.sentence)
        return {"version": version.id, "name": version.about["name"], "verdict": verdict.to_json(), "seconds": time.monotonic() - started, "stages": told.seconds()}

    def _make(self, job: jobs.Job, folder: Path, dataset: Dataset, revision: int, recipe: Recipe, champion: Version, told: _Told) -> tuple[Version, dict]:
        """Train, predict out of fold, run the suites, publish."""
        from lab.evaluation.out_of_fold import NAME, compute, fold_numbers, save
        from lab.router.build import build_router
        from lab.router.router import Router

        encoder_name = champion.router.encoder_name
        encoder = self.encoder(encoder_name, REFERENCE)
        build_router(dataset, encoder, self.vectors, recipe, self.taxonomy, folder, progress=told)
        router = Router.load(folder, "candidate")
        for epoch in router.ours["history"]:
            told.point(epoch)
        vectors = self.vectors.encode(encoder, [row.text for row in dataset.rows])
        primary, also = dataset.labels(np.arange(len(dataset.rows)))
        validation = np.asarray([side == "valid" for side in dataset.splits])
        logits = compute(
            vectors, primary, also, fold_numbers(dataset.rows), validation, recipe, router.logits(vectors), progress=lambda done, of: told("out-of-fold", done, of)
        )
        save(folder / NAME, router.sha256, dataset.rows, logits)
        told("behaviour", 0, 1)
        report = self.behaviour(router)
        told("behaviour", 1, 1)
        name = self._next_name()
        about = {"origin": "retrain", "name": name, "made_at_utc": now(), "who": job.who, "verified": job.verified, "parent": champion.id, "job": job.id, "revision": revision}
        extra = take_snapshot(dataset, f"event {revision}").files() | {"behaviour.json": jsonl_dump([report])}
        check = same_scores(folder, lambda one: one.logits(vectors[:512]))
        version = publish(self._registry, folder, about=about, extra=extra, check=check, progress=told)
        told.line(f"Version {name} {version.short} is published.")
        return version, report

    def _next_name(self) -> str:
        """The day and a number: 2026-11-20.1."""
        day = now()[:10]
        taken = {str(one.about.get("name")) for one in self._sound_now()}
        return next(f"{day}.{n}" for n in range(1, len(taken) + 2) if f"{day}.{n}" not in taken)

    # the gate

    def judge(self, candidate: Version, champion: Version, dataset: Dataset | None = None, behaviour: Mapping[str, dict] | None = None) -> Verdict:
        """Both versions on the test side of the curation set as it is now."""
        from lab.corpus.health import examine

        dataset = dataset or self.dataset_now()[0]
        test = [dataset.rows[n] for n in dataset.side("test")]
        health = examine(Reading(list(dataset.rows), []))
        corpus = Corpus(
            dataset.corpus_sha256, health.healthy, {one.kind: one.count for one in health.findings if one.severity == "error"},
            train_test_pairs(dataset), self._reserved(),
        )  # fmt: skip
        both = [self._evaluated(one, test, (behaviour or {}).get(one.id)) for one in (candidate, champion)]
        return judge(both[0], None if champion.id == candidate.id else both[1], corpus, canonical_name=self.taxonomy.canonical, backend=self.backends.backend.get)

    def _evaluated(self, version: Version, test: list, behaviour: dict | None) -> Evaluated:
        router = version.router
        golden = run_golden(router, read_golden(self.home.golden), lambda texts: self.text_logits(router, texts), self.taxonomy)
        trained = {one.id for one in version.snapshot.labels if one.split == "train"} if version.snapshot else None
        return Evaluated(version.id, self.predictions(router, test), behaviour or self.behaviour(router), golden, trained)

    def text_logits(self, router, texts) -> np.ndarray:
        """(n, N) at reference precision."""
        vectors = self.vectors.encode(self.encoder(router.encoder_name, REFERENCE), list(texts))
        return self.live_logits(router, list(texts), vectors)


class _Told:
    """Progress of a job: to the database at most ten times a second, and never past a cancellation."""

    def __init__(self, bench: Retraining, job_id: str, pulse: jobs.Pulse) -> None:
        self._bench, self._job_id, self._pulse = bench, job_id, pulse
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
        jobs.tell(self._bench.database, self._job_id, stage, done, of)

    def line(self, text: str) -> None:
        jobs.write_log(self._bench.database, self._job_id, "line", text)

    def point(self, epoch: Any) -> None:
        jobs.write_log(self._bench.database, self._job_id, "point", epoch if isinstance(epoch, dict) else asdict(epoch))

    def seconds(self) -> dict[str, float]:
        """Stage → seconds it took."""
        return {stage: round(value, 2) for stage, value in self._seconds.items() if stage}


def _checked(changes: Mapping[str, Any]) -> dict[str, Any]:
    """InputError for a parameter that a person may not set, or out of range."""
    for name, value in changes.items():
        if name not in LIMITS:
            raise InputError(f"'{name}' cannot be set here.", f"Set one of: {', '.join(LIMITS)}.")
        low, high = LIMITS[name]
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise InputError(f"{name} is {value!r}.", f"It must lie between {low} and {high}.")
    return dict(changes)
