"""What a retrain would train on, and what it would change, before anything is trained."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from lab.errors import InputError
from lab.release.golden import reserved_ids as golden_ids
from lab.release.preview import Baseline, Preview, preview
from lab.release.snapshot import restore
from lab.release.versions import Version
from lab.router.dataset import Dataset, build_dataset
from lab.router.recipe import Recipe
from lab.router.router import Router
from lab.taxonomy import Taxonomy
from lab.use_cases.opening import REFERENCE, Progress
from lab.use_cases.registry import RETRAIN, Registry

KEPT = 4
"""Versions whose training rows stay in memory."""


@dataclass(frozen=True)
class Plan:
    """What a retrain would train on. ``per_domain``: training labels that (came, left) since the champion. ``blocked``: why it cannot start.

    ``known``: whether it is known what the champion was trained on; if not, no change can be counted.
    """

    revision: int
    rows: dict[str, int]
    corpus_sha256: str
    split_sha256: str
    champion: str
    changes: dict[str, int]
    per_domain: dict[str, tuple[int, int]]
    test_changes: int
    blocked: str
    known: bool = True


class Previewing(Registry):
    """A part of :class:`lab.workbench.Workbench`."""

    @cached_property
    def _preview_lock(self) -> threading.RLock:
        return threading.RLock()

    @cached_property
    def _datasets(self) -> OrderedDict[str, tuple[Taxonomy, Dataset | None]]:
        return OrderedDict()

    _now: tuple[tuple[int, Taxonomy], Dataset] | None = None
    _plan: tuple[tuple[int, Taxonomy, str], Plan] | None = None
    _before: tuple[tuple[str, str], np.ndarray] | None = None
    _baseline: Baseline | None = None
    _preview: tuple[tuple[int, Taxonomy, str], Preview] | None = None

    def dataset_now(self, progress: Progress | None = None) -> tuple[Dataset, int]:
        """The curation set as it is, for training, and the event it stands at. New prompts get their side of the split first."""
        with self._preview_lock:
            key = (self.newest_event(), self.taxonomy)
            if self._now is None or self._now[0] != key:
                self.ensure_splits(progress)
                self._now = (key, build_dataset(self.corpus_now(), self.taxonomy, {}, None, self._reserved()))
            return self._now[1], key[0]

    def _reserved(self) -> frozenset[str]:
        from lab.evaluation.behaviour import reserved_ids

        return frozenset(reserved_ids(self.home)) | golden_ids(self.home.golden)

    def dataset_of(self, version: Version) -> Dataset | None:
        """What a version was trained on, None where that is not known."""
        from lab.curation import prompts

        with self._preview_lock:
            taxonomy, kept = self.taxonomy, self._datasets
            if version.id not in kept or kept[version.id][0] is not taxonomy:
                kept[version.id] = (taxonomy, None)
                if version.snapshot is not None:
                    with self.database.read() as connection:
                        texts = {prompt.id: prompt.text for prompt, _ in prompts.everything(connection)}
                    kept[version.id] = (taxonomy, build_dataset(restore(version.snapshot, texts).rows, taxonomy, {}, None, ()))
                while len(kept) > KEPT:
                    kept.popitem(last=False)
            return kept[version.id][1]

    # since the champion

    def retrain_plan(self) -> Plan:
        champion = self.champion()
        with self._preview_lock:
            dataset, revision = self.dataset_now()
            key = (revision, self.taxonomy, champion.id)
            if self._plan is None or self._plan[0] != key:
                self._plan = (key, _plan(dataset, revision, champion))
            plan = self._plan[1]
        running = [job for job in self.open_jobs() if job.kind == RETRAIN]
        return replace(plan, blocked=f"A retrain by {running[0].who} is {running[0].status}.") if running else plan

    def preview_made(self) -> Preview | None:
        """The preview of the labels as they are now against the champion, if somebody has computed it."""
        kept = self._preview
        return kept[1] if kept is not None and kept[0] == (self.newest_event(), self.taxonomy, self.champion().id) else None

    def preview(self, progress: Progress = lambda stage, done, of: None) -> Preview:
        """Which held-out prompts a retrain would answer differently; the champion's own corpus is the other side."""
        champion = self.champion()
        with self._preview_lock:
            made = self.preview_made()
            if made is not None:
                return made
            before = self.dataset_of(champion)
            if before is None:
                raise InputError(f"What {champion.about.get('name') or champion.short} was trained on is not known.", "Retrain once; then previews work.")
            after, revision = self.dataset_now(progress)
            router, recipe = champion.router, Recipe(**champion.router.ours["recipe"])
            sides = self._both_sides(router, champion.id, before, after)
            scale = 1.0 if router.lexical is None else float(router.lexical.blend[1])
            found, self._baseline = preview(router.logits, router.domains, sides[0], sides[1], recipe, self._baseline, scale=scale, lexical=router.lexical, progress=progress)
            self._preview = ((revision, self.taxonomy, champion.id), found)
            return found

    def _both_sides(self, router: Router, champion: str, before: Dataset, after: Dataset) -> list[tuple[Dataset, np.ndarray]]:
        """Each dataset with the reference vectors of its rows; those of the champion's are kept, the other's are mostly the same."""
        encoder = self.encoder(router.encoder_name, REFERENCE)
        if self._before is None or self._before[0] != (champion, encoder.id):
            self._before = ((champion, encoder.id), self.vectors.encode(encoder, [row.text for row in before.rows]))
        old = self._before[1]
        place = {row.id: n for n, row in enumerate(before.rows)}
        new = np.empty((len(after.rows), old.shape[1]), dtype=old.dtype)
        known = np.asarray([place.get(row.id, -1) for row in after.rows])
        new[known >= 0] = old[known[known >= 0]]
        missing = np.flatnonzero(known < 0)
        if len(missing):
            new[missing] = self.vectors.encode(encoder, [after.rows[n].text for n in missing])
        return [(before, old), (after, new)]


def _plan(dataset: Dataset, revision: int, champion: Version) -> Plan:
    new = {row.id: (row.domain, tuple(sorted(row.also)), side) for row, side in zip(dataset.rows, dataset.splits, strict=True)}
    old = {one.id: (one.domain, tuple(sorted(one.also)), one.split) for one in champion.snapshot.labels} if champion.snapshot else new
    came, left, count, test = Counter[str](), Counter[str](), Counter[str](), 0
    for one in old.keys() | new.keys():
        a, b = old.get(one), new.get(one)
        if a == b:
            continue
        if (b or a)[2] == "test":
            test += 1
            continue
        count["added" if a is None else "removed" if b is None else "relabelled"] += 1
        if a is None or b is None or a[0] != b[0]:
            came[b[0] if b else ""] += 1
            left[a[0] if a else ""] += 1
    per_domain = {name: (came[name], left[name]) for name in sorted({*came, *left} - {""}, key=lambda name: (-(came[name] + left[name]), name))}
    blocked = "" if count or champion.snapshot is None else "No training label has changed since the champion was trained."
    return Plan(
        revision, {side: len(dataset.side(side)) for side in ("train", "valid", "test")}, dataset.corpus_sha256, dataset.split_sha256,
        champion.id, dict(count), per_domain, test, blocked, champion.snapshot is not None,
    )  # fmt: skip
