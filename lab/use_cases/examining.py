"""Questions about versions and the taxonomy: two versions compared, traffic replayed, domains that need prompts, borders that need care."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lab.curation import traffic_store
from lab.curation.state import Actor
from lab.errors import InputError
from lab.evaluation.confusions import ranked_pairs
from lab.evaluation.intervals import wilson
from lab.evaluation.metrics import ENOUGH, confusion
from lab.release import jobs
from lab.release.doctor import Separability, Simulation, separability, simulate_merge, simulate_split
from lab.release.learning import Curve, Point, fit_curve, learning_points
from lab.release.versions import Version
from lab.router.dataset import Dataset
from lab.router.head import sigmoid
from lab.router.recipe import Recipe
from lab.use_cases.job_work import Told
from lab.use_cases.opening import REFERENCE, Progress
from lab.use_cases.retraining import Retraining, Work

LEARNING = "learning curves"
"""The kind of job that fits them."""
EVERY_PROMPT = 10_000_000


@dataclass(frozen=True)
class Replayed:
    """One traffic prompt that two versions answer differently; seen ``count`` times. ``costly``: another backend would answer."""

    id: str
    text: str
    count: int
    last_at: str
    before: str
    after: str
    before_claimed: float
    after_claimed: float
    costly: bool


@dataclass(frozen=True)
class Replay:
    """``changed`` of ``n`` distinct prompts (Wilson 95 % ``interval`` of the share), which stood for ``requests`` requests."""

    a: str
    b: str
    n: int
    requests: int
    requests_changed: int
    interval: tuple[float, float]
    changed: tuple[Replayed, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def sentence(self) -> str:
        if not self.n:
            return "No prompt of a gateway's log is in the curation set yet."
        costly = sum(one.costly for one in self.changed)
        low, high = self.interval
        return (
            f"{len(self.changed)} of the last {self.n} traffic prompts ({len(self.changed) / self.n:.1%}, 95 % interval {low:.1%} to {high:.1%}) would be "
            f"answered by another domain, {costly} of them by another backend; that is {self.requests_changed} of {self.requests} requests."
        )


class Examining(Retraining):
    """A part of :class:`lab.workbench.Workbench`."""

    def compare_versions(self, a: str, b: str, mode: str = "shared") -> dict[str, Any]:
        """Figures of lab.evaluation.compare on the test side of the curation set as it is now; what they are bound to is in them."""
        first, second = self.version(a), self.version(b)
        if first.id == second.id:
            raise InputError("A version is not compared with itself.", "Choose two.")
        dataset, revision = self.dataset_now()
        rows = [dataset.rows[n] for n in dataset.side("test")]
        found = self.compare(first.path, second.path, rows, mode)
        return found | {"revision": revision, "test_prompts": len(rows), "before": self._confusions(first, dataset), "after": self._confusions(second, dataset)}

    def replay(self, a: str, b: str, last: int = 1_000, progress: Progress | None = None) -> Replay:
        """The ``last`` prompts that gateways saw, by both versions at reference precision. Nothing is served or stored."""
        if last < 1:
            raise InputError(f"The last {last} prompts are none.", "Ask for 1 or more.")
        with self.database.read() as connection:
            seen = traffic_store.most_seen(connection, EVERY_PROMPT)
        seen = sorted(seen, key=lambda row: (row.last_at, row.prompt.id), reverse=True)[:last]
        texts, versions = [row.prompt.text for row in seen], (self.version(a), self.version(b))
        (names_a, claimed_a), (names_b, claimed_b) = (self._answers(one, texts, progress) for one in versions)
        changed = tuple(
            Replayed(row.prompt.id, row.prompt.text, row.count, row.last_at, before, after, float(p), float(q), self.costs(before, after))
            for row, before, after, p, q in zip(seen, names_a, names_b, claimed_a, claimed_b, strict=True)
            if before != after
        )
        low, high = wilson(len(changed), len(seen))
        total = sum(row.count for row in seen)
        return Replay(versions[0].id, versions[1].id, len(seen), total, sum(one.count for one in changed), (low, high), changed)

    def _answers(self, version: Version, texts: Sequence[str], progress: Progress | None) -> tuple[list[str], np.ndarray]:
        """Taxonomy name of each text's first domain, and (n,) what is claimed for it."""
        if not texts:
            return [], np.zeros(0)
        router, report = version.router, (lambda done, of: progress("read the prompts", done, of)) if progress else None
        vectors = self.vectors.encode(self.encoder(router.encoder_name, REFERENCE), list(texts), report)
        logits = router.logits(vectors, list(texts))
        calibrated = router.calibration.probabilities(logits)
        values = sigmoid(logits) if calibrated is None else calibrated
        best = logits.argmax(axis=1)
        return [self.taxonomy.canonical(router.domains[one]) for one in best], values[np.arange(len(best)), best]

    # the taxonomy doctor

    def start_learning(self, actor: Actor, target: float = 0.85) -> jobs.Job:
        """Learning curves of every domain in a process of its own: some 75 short refits, minutes on two cores."""
        self.require(actor, "curator")
        if not 0.5 <= target <= 0.99:
            raise InputError(f"The target F1 is {target}.", "Use a share between 0.50 and 0.99.")
        return self._launch(actor, LEARNING, {"target": target})

    @cached_property
    def _work(self) -> dict[str, Work]:
        return {**super()._work, LEARNING: self._learn}

    def _learn(self, job: jobs.Job, told: Told) -> dict[str, Any]:
        started, target = time.monotonic(), float(job.params["target"])
        dataset, vectors, recipe = self._domain_material(told)
        points = learning_points(dataset, vectors, recipe, told)
        train = [dataset.rows[n].domain for n in dataset.side("train")]
        curves = sorted((fit_curve(name, points[name], train.count(name), target) for name in dataset.domains), key=lambda one: one.f1)
        held = max((sum(one.support for one in points[name][-1:]) for name in dataset.domains), default=0)
        return {
            "curves": [one.to_json() for one in curves], "target": target, "corpus_sha256": dataset.corpus_sha256, "rows": len(train), "largest_held": held,
            "seconds": time.monotonic() - started,
        }  # fmt: skip

    def learning_curves(self) -> tuple[jobs.Job, list[Curve]] | None:
        """The newest ones that were fitted, weakest domain first."""
        for job in self.recent_jobs(LEARNING, 50):
            if job.status == "done":
                return job, [_curve(one) for one in job.result["curves"]]
        return None

    def confused_pairs(self, most: int = 20) -> list[tuple[str, str, int]]:
        """Domains that the champion takes for one another on the validation side, both ways together, with how often; most first."""
        dataset, _ = self.dataset_now()
        valid = dataset.side("valid")
        if not len(valid):
            return []
        found = self.predictions(self.champion().router, [dataset.rows[n] for n in valid])
        names, known = [self.taxonomy.canonical(one) for one in found.domains], found.known
        table = confusion(found.primary[known], found.predicted[known], len(names))
        enough = {name for name in dataset.domains if sum(row.domain == name for row in dataset.rows) >= 2 * ENOUGH}
        pairs = ranked_pairs(np.triu(table + table.T, 1), names, self.costs)
        return [(one.wanted, one.given, one.count) for one in pairs if {one.wanted, one.given} <= enough][:most]

    def pair_separability(self, pairs: Sequence[tuple[str, str]], progress: Progress = lambda stage, done, of: None) -> list[Separability]:
        dataset, vectors, _ = self._domain_material(progress)
        return separability(dataset, vectors, pairs, progress=progress)

    def try_merge(self, domains: Sequence[str], progress: Progress = lambda stage, done, of: None) -> Simulation:
        return simulate_merge(*self._domain_material(progress), domains, progress)

    def try_split(self, domain: str, parts: int = 2, progress: Progress = lambda stage, done, of: None) -> Simulation:
        """Into clusters of its vectors."""
        return simulate_split(*self._domain_material(progress), domain, parts, progress=progress)

    def _domain_material(self, progress: Progress) -> tuple[Dataset, np.ndarray, Recipe]:
        """The curation set with its vectors, and the champion's recipe, or the first one if that is not known."""
        dataset, _ = self.dataset_now(progress)
        router = self.champion().router
        encoder = self.encoder(router.encoder_name, REFERENCE)
        vectors = self.vectors.encode(encoder, [row.text for row in dataset.rows], lambda done, of: progress("encode", done, of))
        kept = router.ours.get("recipe")
        return dataset, vectors, Recipe(**kept) if kept else next(iter(self.recipes.values()))


def _curve(raw: dict[str, Any]) -> Curve:
    interval = raw["more_interval"]
    return Curve(**{**raw, "points": tuple(Point(**one) for one in raw["points"]), "more_interval": tuple(interval) if interval else None})
