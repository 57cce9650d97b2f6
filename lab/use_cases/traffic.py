"""Gateway logs in: masked, scored in one pass, queued; groups of prompts that no domain fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lab.curation import batches, prompts, traffic_store
from lab.curation import events as log
from lab.curation.candidates import candidate_domains
from lab.curation.queues import FROM_TRAFFIC
from lab.curation.state import Actor, Prompt, State
from lab.curation.traffic import TrafficImport, TrafficPrompt, read_traffic
from lab.curation.traffic_store import TrafficRow, TrafficSummary
from lab.database.connect import now
from lab.errors import InputError
from lab.files import canonical
from lab.router.calibrate import DEFAULT_TARGET
from lab.router.head import sigmoid
from lab.router.router import Router
from lab.text.language import detect
from lab.use_cases.collecting import Collecting
from lab.use_cases.opening import REFERENCE, Progress

TOP = 3
BACKGROUND = 4_000
"""Prompts of known domains whose words are not characteristic of a new one."""


@dataclass(frozen=True)
class TrafficPlan:
    """``new`` prompts would come in without a label; ``known`` are in the curation set already and are only counted.

    ``before``: the batch that brought this very file, if there is one.
    """

    reading: TrafficImport
    new: tuple[TrafficPrompt, ...]
    known: int
    before: batches.Batch | None


@dataclass(frozen=True)
class TrafficResult:
    """Of ``new`` prompts the router answers ``new - unsure``; ``outside`` are unlike what it was trained on; ``other`` went to another
    domain by the gateway than by this router, of ``compared`` that have both. ``queued``: what waits in the queue now."""

    batch_id: str
    new: int
    known: int
    unsure: int
    outside: int
    compared: int
    other: int
    router: str
    queued: int


@dataclass(frozen=True)
class NewDomain:
    """A group of prompts that may be a domain of their own. ``ids``: the most central first; ``words``: (word, share of the group, share
    of the others); ``nearest``: the existing domain with the highest mean probability, and that mean."""

    name: str
    ids: tuple[str, ...]
    samples: tuple[str, ...]
    words: tuple[tuple[str, float, float], ...]
    nearest: tuple[str, float] | None
    cohesion: float


@dataclass(frozen=True)
class NewDomains:
    """``offered``, largest first, among ``unrouted`` of the ``waiting`` prompts; ``looked_at`` of those were grouped, ``alone`` are in none."""

    offered: tuple[NewDomain, ...]
    waiting: int
    unrouted: int
    looked_at: int
    alone: int
    router: str


@dataclass(frozen=True)
class _Scores:
    """(n, N) probabilities; (n,) bool: the router would abstain; the prompt is unlike the training prompts."""

    probabilities: np.ndarray
    unsure: np.ndarray
    outside: np.ndarray


class Traffic(Collecting):
    """A part of :class:`lab.workbench.Workbench`."""

    def plan_traffic(self, source: Path | bytes, name: str = "", columns: Mapping[str, str] | None = None) -> TrafficPlan:
        """Read and mask a log and compare it with the curation set; nothing is written. ``columns``: field → column of the log."""
        reading = read_traffic(source, name, columns, self.taxonomy)
        with self.database.read() as connection:
            known = prompts.known_ids(connection, [one.id for one in reading.prompts])
            before = [one for one in batches.everything(connection) if one.kind == "traffic" and one.detail.get("file_sha256") == reading.sha256]
        new = tuple(one for one in reading.prompts if one.id not in known)
        return TrafficPlan(reading, new, len(reading.prompts) - len(new), before[0] if before else None)

    def apply_traffic(self, actor: Actor, plan: TrafficPlan, progress: Progress | None = None) -> TrafficResult:
        """Score, store as one batch, rebuild the queue. InputError for a log without a prompt, or one that was imported before."""
        self.require(actor, "curator")
        if plan.before is not None:
            raise InputError(f"This very file was imported on {plan.before.at_utc[:10]} by {plan.before.who}.", "Import another one: its prompts would be counted twice.")
        if not plan.reading.prompts:
            raise InputError(f"{plan.reading.name} holds no prompt that can be used.", "Say which column holds the prompt.")
        router = self.router(None)
        scores = self._traffic_scores(router, [one.text for one in plan.new], progress)
        said = self._said(router, scores)
        reading = plan.reading
        detail = {
            "file_sha256": reading.sha256, "read": reading.read, "refused": len(reading.refused), "masked": reading.masked,
            "router": router.name, "router_sha256": router.sha256,
        }  # fmt: skip
        languages = [detect(one.text) for one in plan.new]
        with self.database.write() as connection:
            batch = batches.add(connection, actor, "traffic", f"Traffic of {reading.name}"[:200], 0, detail)
            there = prompts.known_ids(connection, [one.id for one in plan.new])  # somebody may have brought some since the preview
            kept = [n for n, one in enumerate(plan.new) if one.id not in there]
            at = now()
            prompts.insert(connection, [_prompt(plan.new[n], languages[n], at) for n in kept])
            rows = log.first_rows(actor, f"batch:{batch}", batch, "traffic", [(plan.new[n].id, State()) for n in kept], "")
            log.append_rows(connection, [row | {"model": said[n]} for n, row in zip(kept, rows, strict=True)])
            traffic_store.add(connection, reading.prompts, batch)
            batches.set_count(connection, batch, len(kept))
        queued = self.build_queue(actor, FROM_TRAFFIC, None, progress).left
        return self._result(plan, router, scores, batch, len(kept), queued)

    def _traffic_scores(self, router: Router, texts: list[str], progress: Progress | None) -> _Scores:
        """With the vectors that queues and training use: encoded once, kept in the cache."""
        encoder = self.encoder(router.encoder_name, REFERENCE if self.settings.precision != "torch" else "torch")
        report = (lambda done, of: progress("read the prompts", done, of)) if progress else None
        vectors = self.vectors.encode(encoder, texts, report)
        return self._judged(router, texts, vectors)

    def _judged(self, router: Router, texts: list[str], vectors: np.ndarray) -> _Scores:
        logits = self.live_logits(router, texts, vectors)
        calibrated = router.calibration.probabilities(logits)
        probabilities = sigmoid(logits) if calibrated is None else calibrated
        row = router.threshold(DEFAULT_TARGET)
        limit = 1.0 if row is None or row["threshold"] is None else float(row["threshold"])
        detector = self.ood_detector(router)
        outside = detector.score(vectors) > detector.threshold if len(vectors) else np.zeros(0, dtype=bool)
        return _Scores(probabilities, probabilities.max(axis=1, initial=0.0) < limit, outside)

    def _said(self, router: Router, scores: _Scores) -> list[str]:
        """What an event records of the router: its name, hash and most likely domains."""
        names = [self.taxonomy.canonical(domain) for domain in router.domains]
        out = []
        for row in scores.probabilities:
            top: dict[str, float] = {}  # domains that were merged since the router was trained have one name
            for one in np.argsort(-row, kind="stable")[: 2 * TOP]:
                top.setdefault(names[one], round(float(row[one]), 6))
            out.append(canonical({"router": router.name, "sha256": router.sha256, "top": list(top.items())[:TOP]}).decode())
        return out

    def _result(self, plan: TrafficPlan, router: Router, scores: _Scores, batch: str, new: int, queued: int) -> TrafficResult:
        names = [self.taxonomy.canonical(domain) for domain in router.domains]
        chosen = [(one.domain, names[best]) for one, best in zip(plan.new, scores.probabilities.argmax(axis=1), strict=True) if one.domain] if len(plan.new) else []
        return TrafficResult(
            batch, new, len(plan.reading.prompts) - new, int(scores.unsure.sum()), int(scores.outside.sum()), len(chosen),
            sum(gateway != own for gateway, own in chosen), router.name, queued,
        )  # fmt: skip

    def traffic_rows(self, limit: int = 2_000, unlabelled: bool = False) -> list[TrafficRow]:
        """What gateways saw most often."""
        with self.database.read() as connection:
            return traffic_store.most_seen(connection, limit, unlabelled)

    def traffic_summary(self) -> TrafficSummary:
        with self.database.read() as connection:
            return traffic_store.summary(connection)

    def new_domains(self, progress: Progress | None = None) -> NewDomains:
        """Groups among the unlabelled traffic that the router abstains on or finds unlike its training prompts."""
        router = self.router(None)
        with self.database.read() as connection:
            listed = traffic_store.waiting(connection)
        encoder = self.encoder(router.encoder_name, REFERENCE if self.settings.precision != "torch" else "torch")
        report = (lambda done, of: progress("read the prompts", done, of)) if progress else None
        vectors = self.vectors.encode(encoder, [one.text for one in listed], report)
        scores = self._judged(router, [one.text for one in listed], vectors)
        rows = np.flatnonzero(scores.unsure | scores.outside)
        unrouted = [listed[n] for n in rows]
        drawn = np.random.default_rng(0).permutation(len(self.corpus.rows))[:BACKGROUND]
        found = candidate_domains(
            vectors[rows], [one.text for one in unrouted], [one.language for one in unrouted], [self.corpus.rows[n].text for n in drawn],
            _taken(self.taxonomy), scores.probabilities[rows], [self.taxonomy.canonical(domain) for domain in router.domains],
        )  # fmt: skip
        offered = tuple(
            NewDomain(one.name, tuple(unrouted[n].id for n in one.rows), tuple(unrouted[n].text for n in one.samples), one.words, one.nearest, one.cohesion)
            for one in found.offered
        )
        return NewDomains(offered, len(listed), len(unrouted), found.looked_at, found.alone, router.name)


def _taken(taxonomy) -> set[str]:
    return {name for one in taxonomy.domains for name in (one.name, *one.aliases)}


def _prompt(one: TrafficPrompt, language: str, at: str) -> Prompt:
    return Prompt(one.id, one.text, language, "gateway log", origin="traffic", added_at_utc=at)
