"""Queues built from what the routers say, and what the desk shows of each item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lab.corpus.rows import Row
from lab.curation import events as log
from lab.curation import prompts, queue_store, queues, selections
from lab.curation.material import Material, OtherVersion, Unlike
from lab.curation.queues import CATALOGUE
from lab.curation.state import Actor, Item, Prompt, State
from lab.errors import InputError
from lab.evaluation.out_of_fold import UNKNOWN
from lab.release.snapshot import CORPUS, LABELS, read_snapshot
from lab.router.head import sigmoid
from lab.router.router import Router
from lab.use_cases.curating import Curating
from lab.use_cases.evaluating import Evaluating
from lab.use_cases.opening import REFERENCE, Progress
from lab.use_cases.probing import Probing

GIVEN = ("from-matrix", "from-map", "from-try")
CANDIDATES = 9
KEPT_ROUTERS = 3
"""Routers whose logits of new prompts are kept in memory: about 300 bytes a prompt."""


@dataclass(frozen=True)
class QueueInfo:
    """``left`` undecided of ``count``; never built: ``built_at_utc`` is empty. ``stale``: labels changed since it was built."""

    name: str
    title: str
    description: str
    order: str
    blind: bool
    count: int = 0
    left: int = 0
    built_at_utc: str = ""
    built_by: str = ""
    stale: int = 0
    note: str = ""
    bound_to: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class DeskItem:
    """What the desk shows of one item. ``candidates``: nine (domain, probability or None), most likely first; alphabetical where blind."""

    prompt: Prompt
    state: State
    item: Item
    candidates: list[tuple[str, float | None]]


@dataclass(frozen=True)
class LiveIndex:
    """Every prompt of the curation set with its reference vector (n, D)."""

    prompts: list[Prompt]
    vectors: np.ndarray
    place: dict[str, int]


class Queueing(Curating, Evaluating, Probing):
    """A part of :class:`lab.workbench.Workbench`."""

    def queues(self) -> list[QueueInfo]:
        """All of them in the order of the page, built or not."""
        with self.database.read() as connection:
            built = queue_store.all_built(connection)
            after = {one.after_event for one in built.values()}
            newer = {event: log.count_changes(connection, event) for event in after}
        return [self._info(name, built.get(name), newer) for name in CATALOGUE]

    def _info(self, name: str, built: queue_store.Built | None, newer: Mapping[int, int]) -> QueueInfo:
        queue = CATALOGUE[name]
        info = QueueInfo(name, queue.title, queue.description, queue.order, queue.blind)
        if built is None:
            return info
        stale = 0 if name in GIVEN else newer[built.after_event]
        return replace(
            info, count=built.count, left=built.left, built_at_utc=built.built_at_utc, built_by=built.built_by, stale=stale, note=built.note, bound_to=built.bound_to
        )  # fmt: skip

    def next_queue(self, other_than: str = "") -> QueueInfo | None:
        """The fullest of the queues that somebody can work on now, in the order of the page."""
        return next((one for one in self.queues() if one.left and one.name != other_than), None)

    def build_queue(self, actor: Actor, name: str, router: str | None = None, progress: Progress | None = None) -> QueueInfo:
        """Made anew from the labels as they are now. InputError for an unknown name or where something is missing."""
        self.require(actor, "curator")
        if name not in CATALOGUE:
            raise InputError(f"There is no queue '{name}'.", f"Choose one of: {', '.join(CATALOGUE)}.")
        with self.database.read() as connection:
            after = log.newest(connection)
            audited = log.decided_in(connection, name)
        material = self._material(self._impartial(router), name, progress)
        if progress:
            progress(f"build “{CATALOGUE[name].title}”", 1, 2)
        found = queues.build(name, material)
        items = [one for one in found.items if one.prompt_id not in audited] if CATALOGUE[name].blind else found.items
        bound_to = {"router": material.router, "prompts": len(material.ids), "after_event": after}
        with self.database.write() as connection:
            queue_store.replace(connection, name, items, actor.name, after, bound_to, found.note)
        return next(one for one in self.queues() if one.name == name)

    def _impartial(self, given: str | None) -> Router:
        """The router that is named, else the one that serves; the default one if that one's encoder has learnt the very labels in question."""
        router = self.router(given)
        return router if given or not self.learnt(router.encoder_name) else self.router(self.settings.default_router)

    def live_index(self, encoder_name: str, progress: Progress | None = None) -> LiveIndex:
        """Vectors from the cache, new prompts encoded. Prompts are only ever added, so their number says whether it is up to date."""
        encoder = self.encoder(encoder_name, self._reference)
        with self.database.read() as connection:
            count = prompts.count(connection)
        with self._lock:
            known = self._live.get(encoder.id)
            if known is not None and len(known.prompts) == count:
                return known
            with self.database.read() as connection:
                listed = [prompt for prompt, _ in prompts.everything(connection)]
            report = (lambda done, of: progress("encode new prompts", done, of)) if progress else None
            vectors = self.vectors.encode(encoder, [prompt.text for prompt in listed], report)
            index = LiveIndex(listed, vectors, {prompt.id: n for n, prompt in enumerate(listed)})
            self._live[encoder.id] = index
            return index

    def _material(self, router: Router, name: str, progress: Progress | None) -> Material:
        index = self.live_index(router.encoder_name, progress)
        with self.database.read() as connection:
            now = prompts.all_states(connection)
        routable = [n for n, prompt in enumerate(index.prompts) if now[prompt.id].routable]
        listed, vectors = [index.prompts[n] for n in routable], index.vectors[routable]
        states = [now[prompt.id] for prompt in listed]
        domains = self._names(router)
        place = {domain: n for n, domain in enumerate(domains)}
        primary = np.asarray([place.get(state.domain or "", UNKNOWN) for state in states], dtype=np.int64)
        also = np.zeros((len(states), len(domains)), dtype=np.uint8)
        for n, state in enumerate(states):
            also[n, [place[one] for one in state.also if one in place]] = 1
        probabilities, fair = self.fair_probabilities(router, listed, vectors, progress)
        with self.database.read() as connection:
            deciders = log.deciders(connection)
            given = self._given(connection, name)
        other = self._other_version(router, listed, vectors, progress) if name == "versions-disagree" else None
        unlike = self._unlike(router, listed, vectors) if name in ("out-of-domain", "from-traffic") else None
        return Material(
            [one.id for one in listed], [one.text for one in listed], vectors, domains, probabilities, fair, primary, also,
            [one.split for one in listed], f"Router {router.name}", [frozenset(deciders.get(one.id, ())) for one in listed],
            np.asarray([state.flagged for state in states]), other, unlike, given=given, labelled=np.asarray([state.domain is not None for state in states]),
        )  # fmt: skip

    def _given(self, connection, name: str) -> dict[str, dict[str, str]]:
        """Prompts of a selection that still wait, with the title of the selection."""
        if name not in GIVEN:
            return {}
        waiting = {item.prompt_id for item in queue_store.items(connection, name)}
        origin = name.removeprefix("from-")
        sent = [one for one in selections.everything(connection) if one.origin == origin]
        return {name: {text_id: f"“{one.title}” by {one.who}" for one in sent for text_id in one.text_ids if text_id in waiting}}

    def fair_probabilities(self, router: Router, listed: Sequence[Prompt], vectors: np.ndarray, progress: Progress | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(n, M) calibrated probabilities of the domains of :meth:`_names`, and (n,) bool: by a router that has not learnt from the prompt.

        Out-of-fold for prompts of the shipped corpus; live for later ones, unless the router was trained on them (a version says so).
        """
        predictions = self.out_of_fold(router, progress)
        known = {row.id: n for n, row in enumerate(predictions.rows)}
        rows = np.asarray([known.get(one.id, UNKNOWN) for one in listed])
        logits, fair = np.zeros((len(listed), len(router.domains)), np.float32), np.ones(len(listed), dtype=bool)
        logits[rows >= 0] = predictions.logits[rows[rows >= 0]]
        fair[rows >= 0] = predictions.kind == "out-of-fold"
        learnt = self._learnt(router)
        fair[rows < 0] = [listed[n].id not in learnt for n in np.flatnonzero(rows < 0)]
        new = np.flatnonzero(rows < 0)
        if len(new):
            logits[new] = self._kept_logits(router, [listed[n] for n in new], vectors[new])
        probabilities = router.calibration.probabilities(logits)
        return self._merged(router, sigmoid(logits) if probabilities is None else probabilities), fair

    def _names(self, router: Router) -> list[str]:
        """The router's domains by their names of today, each once: two that were merged are one."""
        canonical = self.taxonomy.canonical
        return list(dict.fromkeys(canonical(domain) for domain in router.domains))

    def _merged(self, router: Router, probabilities: np.ndarray) -> np.ndarray:
        """(n, N) of the router's domains → (n, M) of today's names: the larger of those that are one now."""
        names, canonical = self._names(router), self.taxonomy.canonical
        if len(names) == len(router.domains):
            return probabilities
        own = np.asarray([names.index(canonical(domain)) for domain in router.domains])
        return np.stack([probabilities[:, own == n].max(axis=1) for n in range(len(names))], axis=1)

    def _learnt(self, router: Router) -> set[str]:
        """Text ids of the training rows of a version that was made here; empty for shipped routers, which learnt from the shipped corpus only."""
        path = router.folder.path
        if not all((path / name).is_file() for name in (CORPUS, LABELS)):
            return set()
        snapshot = read_snapshot({name: (path / name).read_bytes() for name in (CORPUS, LABELS)})
        return {one.id for one in snapshot.labels if one.split == "train"}

    def _kept_logits(self, router: Router, listed: Sequence[Prompt], vectors: np.ndarray) -> np.ndarray:
        """(n, N) live logits; those of a prompt are computed once for each of the last routers: n-grams of 85 000 prompts take seconds."""
        with self._lock:
            known = self._known_logits.pop(router.sha256, {})
            self._known_logits = dict([*self._known_logits.items()][-KEPT_ROUTERS + 1 :]) | {router.sha256: known}
        missing = [n for n, one in enumerate(listed) if one.id not in known]
        if missing:
            made = self.live_logits(router, [listed[n].text for n in missing], vectors[missing])
            known.update((listed[n].id, row) for n, row in zip(missing, made, strict=True))
        return np.stack([known[one.id] for one in listed])

    def live_logits(self, router: Router, texts: Sequence[str], vectors: np.ndarray) -> np.ndarray:
        return router.logits(vectors, texts)

    def _other_version(self, router: Router, listed: Sequence[Prompt], vectors: np.ndarray, progress: Progress | None) -> OtherVersion | None:
        names = [name for name in self.router_names() if name != router.name]
        same = [name for name in names if self.router(name).encoder_name == router.encoder_name]
        if not same:
            return None
        other = max((self.router(name) for name in same), key=lambda one: len(set(one.domains) & set(router.domains)))
        probabilities, fair = self.fair_probabilities(other, listed, vectors, progress)
        return OtherVersion(f"Router {other.name}", self._names(other), probabilities, fair)

    def _unlike(self, router: Router, listed: Sequence[Prompt], vectors: np.ndarray) -> Unlike:
        """The detector is fitted on the shipped train side: its scores count on other prompts only."""
        detector = self.ood_detector(router)
        index = self.corpus_index(router.encoder_name)
        valid = [n for n, side in enumerate(index.splits) if side == "valid"]
        fresh = np.asarray([self.frozen_split.get(one.id) != "train" for one in listed])
        scores = np.full(len(listed), -np.inf)
        scores[fresh] = detector.score(vectors[fresh])
        return Unlike(scores, detector.threshold, detector.score(index.vectors[valid]), np.ones(len(listed), dtype=bool))

    # the desk

    def desk_items(self, actor: Actor, session: str, queue: str, n: int, router: str | None = None) -> list[DeskItem]:
        """Items for one desk (:meth:`take`) with their candidates."""
        taken = self.take(actor, session, queue, n)
        return self._shown(taken, queue in queue_store.BLIND, self.router(router))

    def show_item(self, prompt_id: str, router: str | None = None) -> DeskItem | None:
        """One prompt as the desk would show it, from no queue: a link, a conflict."""
        known = self.state([prompt_id]).get(prompt_id)
        return self._shown([(*known, Item(prompt_id, 0.0, "Opened by hand."))], False, self.router(router))[0] if known else None

    def _shown(self, taken: Sequence[tuple[Prompt, State, Item]], blind: bool, router: Router) -> list[DeskItem]:
        if not taken:
            return []
        listed, taxonomy = [prompt for prompt, _, _ in taken], self.taxonomy
        encoder = self.encoder(router.encoder_name, self._reference)
        probabilities, _ = self.fair_probabilities(router, listed, self.vectors.encode(encoder, [one.text for one in listed]))
        names = self._names(router)
        known = [name in taxonomy.by_name for name in names]
        out = []
        for (prompt, state, item), values in zip(taken, probabilities, strict=True):
            order = [n for n in np.argsort(-values, kind="stable") if known[n]][: CANDIDATES - blind]
            if blind:  # nothing may lead: no order, no figure, and the label is among them without a mark
                shown = sorted({names[n] for n in order} | ({state.domain} if state.domain else set()))
                out.append(DeskItem(prompt, state, item, [(domain, None) for domain in shown[:CANDIDATES]]))
            else:
                out.append(DeskItem(prompt, state, item, [(names[n], float(values[n])) for n in order]))
        return out

    def desk_peek(self, queue: str, n: int, router: str | None = None) -> list[DeskItem]:
        """The first items of a queue as the desk shows them, held by nobody: for those who may only look."""
        return self._shown(self.peek(queue, n), queue in queue_store.BLIND, self.router(router))

    @property
    def _reference(self) -> str:
        return REFERENCE if self.settings.precision != "torch" else "torch"

    def desk_neighbours(self, prompt_id: str, k: int = 20, router: str | None = None) -> list[tuple[Prompt, State, float]]:
        """The k prompts of the curation set most like this one, with their labels now and the cosine."""
        index = self.live_index(self.router(router).encoder_name)
        if prompt_id not in index.place:
            raise InputError("The prompt is not in the curation set.", "Reload the page.")
        own = index.place[prompt_id]
        cosine = index.vectors @ index.vectors[own]
        cosine[own] = -np.inf
        best = np.argpartition(-cosine, min(k, len(cosine) - 1))[:k]
        order = [n for n in best[np.argsort(-cosine[best], kind="stable")] if n != own]
        now = self.state([index.prompts[n].id for n in order])
        return [(*now[index.prompts[n].id], float(cosine[n])) for n in order]

    def corpus_now(self) -> list[Row]:
        """Labelled, routable prompts as rows, with the side of the split they were given."""
        with self.database.read() as connection:
            pairs = prompts.everything(connection, labelled=True)
        return [
            Row(one.text, state.domain or "", state.also, one.language, one.part, one.source, one.licence, one.split) for one, state in pairs
        ]

