"""From relabelled prompts to a candidate: the training job, the gate."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lab.corpus.rows import Reading
from lab.curation.state import Actor
from lab.database.connect import now
from lab.errors import InputError, LabError
from lab.evaluation.out_of_fold import Predictions
from lab.files import jsonl_dump, make_folder
from lab.release import jobs
from lab.release.gate import Corpus, Evaluated, Verdict, judge
from lab.release.gate_statistics import train_test_pairs
from lab.release.golden import read_golden, run_golden
from lab.release.snapshot import take_snapshot
from lab.release.versions import Version, publish, same_scores
from lab.router.adapt import Plan as Deep
from lab.router.dataset import Dataset
from lab.router.recipe import Recipe
from lab.router.router import Router
from lab.use_cases.job_work import Folds, checked
from lab.use_cases.job_work import Told as _Told
from lab.use_cases.opening import REFERENCE
from lab.use_cases.previewing import Plan, Previewing
from lab.use_cases.registry import GATE, RETRAIN

__all__ = ["Plan", "Retraining"]

NICE = 10
"""Priority of a worker: people at the pages come first."""


@dataclass(frozen=True)
class Known:
    """What the gate asks for, measured. ``evaluated``: version id → its measures."""

    corpus: Corpus
    evaluated: dict[str, Evaluated]


Work = Callable[[jobs.Job, _Told], dict[str, Any]]


class Retraining(Previewing):
    """A part of :class:`lab.workbench.Workbench`."""

    _tested: tuple[tuple[Any, Predictions], ...] = ()

    # jobs in processes of their own

    def start_retrain(
        self, actor: Actor, recipe: str = "", changes: Mapping[str, Any] | None = None, anyway: bool = False, adapt: Mapping[str, Any] | None = None
    ) -> jobs.Job:
        """Start a retrain in a process of its own session, so that it outlives this one. InputError if it may not start.

        ``adapt`` (fields of lab.router.adapt.Plan) makes it a deep one: the encoder is adapted to the train side first.
        """
        self.require(actor, "maintainer")
        params = {"recipe": recipe or self._champion_recipe(), "changes": checked(changes or {})}
        if adapt is not None:
            params["adapt"] = asdict(self._deep_plan(adapt))
        if params["recipe"] not in self.recipes:
            raise InputError(f"There is no recipe '{params['recipe']}'.", f"Known are: {', '.join(self.recipes)}.")
        blocked = "" if anyway else self.retrain_plan().blocked
        if blocked:
            raise InputError(blocked, "Relabel first, or start it all the same (--anyway).")
        return self._launch(actor, RETRAIN, params)

    def _deep_plan(self, given: Mapping[str, Any]) -> Deep:
        if self.settings.encoder:
            raise InputError("ROUTER_LAB_ENCODER names one encoder for every router, so an adapted one would not be used.", "Unset it, or retrain without adapting.")
        return Deep(**given)

    def start_gate(self, actor: Actor, given: str) -> jobs.Job:
        """Hold a version (an imported one, or one that was judged against an earlier champion) against the champion of now."""
        self.require(actor, "maintainer")
        version = self.version(given)
        if version.id == self.champion().id:
            raise InputError("The champion is not held against itself.", "Choose another version.")
        return self._launch(actor, GATE, {"version": version.id})

    def _launch(self, actor: Actor, kind: str, params: Mapping[str, Any]) -> jobs.Job:
        """A row, and a process for it. It counts as running from here: the process does, and what it needs takes a second to load."""
        job = jobs.add(self.database, actor, kind, params)
        make_folder(self.home.job_logs)
        log = (self.home.job_logs / f"{job.id}.log").open("ab")
        with log, self._job_lock:
            command = [sys.executable, "-m", "lab", "worker", job.id]
            environment = self.settings.environment(self.home.state) | {"OMP_NUM_THREADS": "1"}  # its own processes fill the cores; threads would wait for each other
            process = subprocess.Popen(command, cwd=self.home.project, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            with contextlib.suppress(OSError):  # polite from its first moment, which is when the page shows it; it may have ended already
                os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
            self._processes.append(process)
        return jobs.claim(self.database, job.id, f"{socket.gethostname()}:{process.pid}") or self.job(job.id)

    def _champion_recipe(self) -> str:
        kept = self.champion().router.ours.get("recipe") or {}
        return str(kept.get("name") or next(iter(self.recipes)))

    @cached_property
    def _work(self) -> dict[str, Work]:
        """Kind of job → what its worker does."""
        return {RETRAIN: self._retrain, GATE: self._gate}

    def run_job(self, job_id: str, worker: str) -> str:
        """The worker's work; returns the state the job ended in. A bug is logged with its traceback and raised again."""
        job = jobs.claim(self.database, job_id, worker) or self.job(job_id)
        if job.status != "running" or job.worker != worker:
            return job.status
        with jobs.Pulse(self.database, job_id) as pulse:
            try:
                jobs.finish(self.database, job_id, "done", self._work[job.kind](job, _Told(self.database, job_id, pulse)))
            except jobs.Cancelled:
                jobs.finish(self.database, job_id, "cancelled")
            except LabError as error:
                jobs.finish(self.database, job_id, "failed", error=str(error))
            except BaseException as error:
                jobs.write_log(self.database, job_id, "line", traceback.format_exc()[-4000:])
                jobs.finish(self.database, job_id, "failed", error=f"A fault of Router Lab: {type(error).__name__}: {error}"[:500])
                raise
        return self.job(job_id).status

    # a retrain

    def _retrain(self, job: jobs.Job, told: _Told) -> dict[str, Any]:
        started = time.monotonic()
        told("read the labels", 0, 1)
        dataset, revision = self.dataset_now(told)
        told.line(f"Corpus {dataset.corpus_sha256[:12]} at event {revision}: {len(dataset.rows)} rows, {len(dataset.domains)} domains.")
        recipe = self.recipes[job.params["recipe"]].with_changes(**job.params["changes"])
        champion = self.champion()
        with tempfile.TemporaryDirectory(prefix="router-lab-") as scratch:
            encoder_name = champion.router.encoder_name
            if "adapt" in job.params:
                encoder_name = self._adapt(Path(scratch) / "encoder", dataset, encoder_name, Deep(**job.params["adapt"]), told)
            version, known = self._make(job, Path(scratch) / "router", dataset, revision, recipe, champion, encoder_name, told)
        told("gate", 0, 1)
        verdict = self.judge(version, champion, dataset, known)
        told("gate", 1, 1)
        told.line(verdict.sentence)
        return {
            "version": version.id, "name": version.about["name"], "verdict": verdict.to_json(), "before": self._confusions(champion, dataset),
            "after": self._confusions(version, dataset), "seconds": time.monotonic() - started, "stages": told.seconds(),
        }  # fmt: skip

    def _adapt(self, folder: Path, dataset: Dataset, encoder_name: str, plan: Deep, told: _Told) -> str:
        """Adapt what the champion's encoder was before any adaptation; the name under which it is kept."""
        from lab.text.adapted import keep
        from lab.use_cases.adapting import adapt_to

        before = self.learnt(encoder_name)
        source = self.encoder_source(before.base if before and before.base else encoder_name)
        told("adapt: lower layers", 0, len(dataset.rows))
        account = adapt_to(
            dataset, source, folder, plan, progress=lambda stage, done, of: told(f"adapt: {stage}", done, of),
            told=lambda epoch, loss, top1: told.point({"stage": "encoder", "epoch": epoch, "train_loss": loss, "valid_top1": top1}),
        )  # fmt: skip
        name = keep(folder, self.home.adapted)
        told.line(f"Encoder {name}: {source.name}, {plan.layers} upper layers trained on {account['rows']:,} prompts for {plan.epochs} epochs.")
        return name

    def _make(
        self, job: jobs.Job, folder: Path, dataset: Dataset, revision: int, recipe: Recipe, champion: Version, encoder_name: str, told: _Told
    ) -> tuple[Version, Known]:
        """Train, measure, predict out of fold, publish. What the gate asks of both is measured while the folds are fitted.

        There are no predictions out of fold where the encoder itself has learnt the prompts: they would flatter.
        """
        from lab.evaluation.out_of_fold import NAME, save

        began, encoder, texts = time.monotonic(), self.encoder(encoder_name, REFERENCE), [row.text for row in dataset.rows]
        told("encode", 0, len(texts))
        vectors = self.vectors.encode(encoder, texts, lambda done, of: told("encode", done, of))
        with contextlib.nullcontext() if self.learnt(encoder_name) else Folds(dataset, vectors, recipe) as folds:
            router = self._train(folder, dataset, encoder, recipe, told)
            told("behaviour", 0, 2)
            report = self.behaviour(router)
            told("behaviour", 1, 2)
            known = Known(self._corpus(dataset), {
                "": self._evaluated("", router, _trained_on(dataset), dataset, report), champion.id: self._version_evaluated(champion, dataset)
            })  # fmt: skip
            told("behaviour", 2, 2)
            if folds is not None:
                save(folder / NAME, router.sha256, dataset.rows, folds.logits(router, told))
        name = self._next_name()
        about = {
            "origin": "retrain", "name": name, "made_at_utc": now(), "who": job.who, "verified": job.verified, "parent": champion.id, "job": job.id,
            "revision": revision, "training_s": round(time.monotonic() - began, 2),
        }  # fmt: skip
        extra = take_snapshot(dataset, f"event {revision}", self._stated_sources).files() | {"behaviour.json": jsonl_dump([report])}
        check = same_scores(folder, lambda one: one.logits(vectors[:512], texts[:512]))
        version = publish(self._registry, folder, about=about, extra=extra, check=check, progress=told)
        told.line(f"Version {name} {version.short} is published.")
        known.evaluated[version.id] = replace(known.evaluated.pop(""), version=version.id)
        return version, known

    def _train(self, folder: Path, dataset: Dataset, encoder, recipe: Recipe, told: _Told) -> Router:
        from lab.router.build import build_router

        check = tuple(one for one in self._serving_encoders(encoder.name) if one.precision == "int8-fast")
        build_router(dataset, encoder, self.vectors, recipe, self.taxonomy, folder, check=check, progress=told, told_epoch=told.point)
        return Router.load(folder, "candidate")

    def _next_name(self) -> str:
        """The day and a number: 2026-11-20.1."""
        day = now()[:10]
        taken = {str(one.about.get("name")) for one in self._sound_now()}
        return next(f"{day}.{n}" for n in range(1, len(taken) + 2) if f"{day}.{n}" not in taken)

    # the gate

    def _gate(self, job: jobs.Job, told: _Told) -> dict[str, Any]:
        told("gate", 0, 1)
        version, champion = self.version(job.params["version"]), self.champion()
        dataset, _ = self.dataset_now(told)
        verdict = self.judge(version, champion, dataset)
        told.line(verdict.sentence)
        both = {key: self._confusions(one, dataset) for key, one in (("before", champion), ("after", version))}
        return {"version": version.id, "name": version.about.get("name"), "verdict": verdict.to_json(), **both, "stages": told.seconds()}

    def judge(self, candidate: Version, champion: Version, dataset: Dataset | None = None, known: Known | None = None) -> Verdict:
        """Both versions on the test side of the curation set as it is now. ``known``: what of it is measured already."""
        dataset = dataset or self.dataset_now()[0]
        known = known or Known(self._corpus(dataset), {})
        both = [known.evaluated.get(one.id) or self._version_evaluated(one, dataset) for one in (candidate, champion)]
        return judge(both[0], None if champion.id == candidate.id else both[1], known.corpus, canonical_name=self.taxonomy.canonical, backend=self.backends.backend.get)

    def _corpus(self, dataset: Dataset) -> Corpus:
        from lab.corpus.health import examine

        health = examine(Reading(list(dataset.rows), []))
        findings = {one.kind: one.count for one in health.findings if one.severity == "error"}
        return Corpus(dataset.corpus_sha256, health.healthy, findings, train_test_pairs(dataset), self._reserved())

    def _version_evaluated(self, version: Version, dataset: Dataset) -> Evaluated:
        trained = {one.id for one in version.snapshot.labels if one.split == "train"} if version.snapshot else None
        return self._evaluated(version.id, version.router, trained, dataset, self.behaviour(version.router))

    def _evaluated(self, version: str, router: Router, trained: set[str] | None, dataset: Dataset, behaviour: dict) -> Evaluated:
        golden = run_golden(router, read_golden(self.home.golden), lambda texts: self.text_logits(router, texts), self.taxonomy)
        return Evaluated(version, self._on_test(router, dataset), behaviour, golden, trained)

    def _on_test(self, router: Router, dataset: Dataset) -> Predictions:
        """Of the test side; those of the last two routers are kept, as the gate and the confusions ask for the same."""
        key = (router.sha256, dataset.corpus_sha256, dataset.split_sha256, self.taxonomy)
        kept = [pair for pair in self._tested if pair[0] == key] or [(key, self.predictions(router, [dataset.rows[n] for n in dataset.side("test")]))]
        self._tested = (*[pair for pair in self._tested if pair[0] != key][-1:], kept[0])
        return kept[0][1]

    def _confusions(self, version: Version, dataset: Dataset) -> list[tuple[str, str, int]]:
        """(label, answer, prompts) of the test side, wrong answers only, under the taxonomy's names."""
        found = self._on_test(version.router, dataset)
        names = [self.taxonomy.canonical(domain) for domain in found.domains]
        wrong = [(self.taxonomy.canonical(row.domain), names[best]) for row, best in zip(found.rows, found.predicted, strict=True)]
        pairs, counts = np.unique(np.asarray([pair for pair in wrong if pair[0] != pair[1]] or np.empty((0, 2), str)), axis=0, return_counts=True)
        return [(str(a), str(b), int(n)) for (a, b), n in zip(pairs, counts, strict=True)]

    def text_logits(self, router, texts) -> np.ndarray:
        """(n, N) at reference precision."""
        vectors = self.vectors.encode(self.encoder(router.encoder_name, REFERENCE), list(texts))
        return router.logits(vectors, list(texts))


def _trained_on(dataset: Dataset) -> set[str]:
    return {dataset.rows[n].id for n in dataset.side("train")}
