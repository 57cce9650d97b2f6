"""From a prompt to a decision, and what stands behind it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lab.corpus.rows import Row
from lab.errors import InputError
from lab.router.calibrate import DEFAULT_TARGET
from lab.router.explain import Piece, leave_one_out
from lab.router.router import Decision, Router, Scored
from lab.text.encoder import Encoder
from lab.text.language import detect
from lab.text.neighbours import nearest
from lab.text.prepare import is_cut, prepare, text_id
from lab.use_cases.opening import Progress
from lab.use_cases.probing import Probing


@dataclass(frozen=True)
class Route:
    """One prompt's way through one router. ``domains``: the top k as (domain, score, probability or None), by logit.

    ``outside``: how unlike the training prompts it is (score, threshold, outside, name), None unless asked for.
    """

    router: str
    router_sha256: str
    encoder_id: str
    precision: str
    domains: list[tuple[str, float, float | None]]
    selections: list[tuple[str, float]]
    decision: Decision
    backend: str | None
    specialist: str | None
    would_be_backend: str | None
    margin: float
    language: str
    cut: bool
    outside: dict[str, Any] | None
    timings_ms: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        return {
            "router": self.router, "router_sha256": self.router_sha256, "encoder": {"id": self.encoder_id, "precision": self.precision},
            "domains": [{"domain": d, "score": round(s, 6), "probability": None if p is None else round(p, 6)} for d, s, p in self.domains],
            "selections": [{"domain": d, "score": round(s, 6)} for d, s in self.selections],
            "decision": {"domain": self.decision.domain, "abstained": self.decision.abstained, "reason": self.decision.reason, "threshold": self.decision.threshold},
            "backend": self.backend, "specialist": self.specialist, "outside": self.outside, "margin": round(self.margin, 6), "language": self.language,
            "timings_ms": {key: round(value, 3) for key, value in self.timings_ms.items()},
        }  # fmt: skip


@dataclass(frozen=True)
class Neighbour:
    row: Row
    split: str
    cosine: float


class Routing(Probing):
    """A part of :class:`lab.workbench.Workbench`."""

    def route(
        self, text: str, router: str | Path | Router | None = None, top_k: int = 5, target: float = DEFAULT_TARGET, guard: bool = False
    ) -> Route:
        """Prepare, encode, score, calibrate, decide. InputError for a text that cannot be routed.

        ``guard``: also abstain on a prompt unlike the training prompts (needs the corpus's vectors; lab.evaluation.ood).
        """
        router = router if isinstance(router, Router) else self.router(router)
        encoder = self.serving_encoder(router)
        if guard:
            self.ood_detector(router)  # made at its first use, like the encoder: no part of a prompt's time
        start = time.perf_counter()
        prepared = prepare(text)
        ready = time.perf_counter()
        beside = self._beside.submit(router.lexical.scores, [prepared]) if router.lexical else None
        vector = encoder.encode([prepared])[0]
        encoded = time.perf_counter()
        scored = router.score(vector, lexical=beside.result() if beside else None)
        decision, outside = self._decide(router, scored, vector, prepared, target, guard)
        done = time.perf_counter()
        timings = {
            "prepare": (ready - start) * 1e3,
            "encode": (encoded - ready) * 1e3,
            "head": (done - encoded) * 1e3,
            "total": (done - start) * 1e3,
        }
        return self._route(router, encoder, scored, decision, outside, text, top_k, timings)

    @cached_property
    def _beside(self) -> ThreadPoolExecutor:
        """Counts a prompt's n-grams while the encoder, which leaves Python free, works on it."""
        return ThreadPoolExecutor(1, "n-grams")

    def route_many(
        self,
        texts: Sequence[str],
        router: str | Path | Router | None = None,
        top_k: int = 5,
        target: float = DEFAULT_TARGET,
        progress: Progress | None = None,
        guard: bool = False,
    ) -> list[Route]:
        """As :meth:`route` for many; the encoder's work is shared out over the cores."""
        router = router if isinstance(router, Router) else self.router(router)
        encoder = self.serving_encoder(router)
        start = time.perf_counter()
        vectors = encoder.encode(texts, (lambda done, of: progress("route", done, of)) if progress else None)
        each = {"total": (time.perf_counter() - start) * 1e3 / max(1, len(texts))}
        out = []
        for text, vector in zip(texts, vectors, strict=True):
            scored = router.score(vector, text)
            decision, outside = self._decide(router, scored, vector, text, target, guard)
            out.append(self._route(router, encoder, scored, decision, outside, text, top_k, each))
        return out

    def _decide(self, router: Router, scored: Scored, vector: np.ndarray, text: str, target: float, guard: bool) -> tuple[Decision, dict | None]:
        decision = router.decide(scored, target)
        if not any(map(str.isalnum, text)):
            decision = replace(decision, domain=None, abstained=True, reason="the prompt has no letter and no digit, so nothing says what it is about")
        if not guard:
            return decision, None
        outside = self.ood_detector(router).judge(vector)
        if outside["outside"] and not decision.abstained:
            why = f"the prompt is unlike the training prompts: {outside['name']} score {outside['score']:.2f}, 95 % of known prompts are under {outside['threshold']:.2f}"
            decision = replace(decision, domain=None, abstained=True, reason=why)
        return decision, outside

    def _route(
        self,
        router: Router,
        encoder: Encoder,
        scored: Scored,
        decision: Decision,
        outside: dict | None,
        text: str,
        top_k: int,
        timings: dict[str, float],
    ) -> Route:
        ranked = np.argsort(-scored.logits, kind="stable")
        order, two = ranked[: max(1, top_k)], ranked[:2]
        values = scored.scores if scored.probabilities is None else scored.probabilities
        top = self.taxonomy.canonical(router.domains[int(order[0])])
        backends, answered = self.backends, decision.domain is not None
        would_be = backends.backend.get(top)
        return Route(
            router=router.name, router_sha256=router.sha256, encoder_id=encoder.id, precision=encoder.precision,
            domains=[(router.domains[i], float(scored.scores[i]), None if scored.probabilities is None else float(scored.probabilities[i])) for i in order],
            selections=router.selections(scored), decision=decision, backend=would_be if answered else None,
            specialist=backends.specialist.get(top) if answered else None, would_be_backend=would_be,
            margin=float(values[two[0]] - values[two[1]]) if len(two) > 1 else 1.0, language=detect(text), cut=is_cut(text), outside=outside, timings_ms=timings,
        )  # fmt: skip

    def explain(self, text: str, router: str | Path | Router, domain: str) -> list[Piece]:
        """Words of the prepared text by their effect on ``domain``'s logit. One batched encode."""
        router = router if isinstance(router, Router) else self.router(router)
        if domain not in router.domains:
            raise InputError(f"Router {router.name} has no domain '{domain}'.", f"Use one of: {', '.join(router.domains)}.")
        encoder, place = self.serving_encoder(router), router.domains.index(domain)
        return leave_one_out(prepare(text), lambda texts: router.logits(encoder.encode(texts), texts)[:, place])

    def neighbours(self, text: str, router: str | Path | Router, k: int = 5, progress: Progress | None = None) -> list[Neighbour]:
        """The labelled prompts of the shipped corpus nearest to ``text`` for this router's encoder, other than the text itself."""
        router = router if isinstance(router, Router) else self.router(router)
        index = self.corpus_index(router.encoder_name, progress)
        own = index.by_id.get(text_id(text))
        found = nearest(self.serving_encoder(router).encode([text])[0], index.vectors, k + 1)
        return [Neighbour(index.rows[row], index.splits[row], cosine) for row, cosine in found if row != own][:k]

    def in_corpus(self, text: str) -> Row | None:
        """The corpus row with the same prepared text, if there is one: the router may have been trained on it."""
        return self._corpus_by_id.get(text_id(text))

    @cached_property
    def _corpus_by_id(self) -> dict[str, Row]:
        return {row.id: row for row in self.corpus.rows}
