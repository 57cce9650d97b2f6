"""The workbench's use cases that question a router: out-of-domain scores and behavioural suites."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from lab.corpus.rows import Row
from lab.evaluation.behaviour import Suites, behaviour_report, read_suites
from lab.evaluation.ood import OodDetector
from lab.evaluation.ood_report import Prompt, check_sides, fit_detector, in_domain, ood_report
from lab.router.router import Router
from lab.text.encoder import Encoder
from lab.use_cases.opening import Opening, Progress


class Probing(Opening):
    """A part of :class:`lab.workbench.Workbench`."""

    @cached_property
    def _detectors(self) -> dict[tuple[str, ...], OodDetector]:
        return {}

    @cached_property
    def suites(self) -> Suites:
        return read_suites(self.home.behaviour)

    def ood_detector(self, router: str | Path | Router | None = None, name: str = "") -> OodDetector:
        """Fitted on the shipped corpus's train side, for this router's encoder and domains; ``name``: another vector score.

        InputError if the router has no domain of the shipped corpus.
        """
        router = router if isinstance(router, Router) else self.router(router)
        index = self.corpus_index(router.encoder_name)
        encoder = self.encoder(router.encoder_name, self._corpus_precision)
        options = {"name": name} if name else {}
        key = (encoder.id, name, *router.domains)
        with self._lock:
            if key not in self._detectors:
                self._detectors[key] = fit_detector(router, index.rows, index.splits, index.vectors, self.taxonomy, **options)
            return self._detectors[key]

    def ood(self, text: str, router: str | Path | Router | None = None) -> dict[str, float | bool | str]:
        """score, threshold, outside and name for one prompt. With its vector at hand, ask ``ood_detector(router).judge(vector)``."""
        router = router if isinstance(router, Router) else self.router(router)
        return self.ood_detector(router).judge(self.serving_encoder(router).encode([text])[0])

    def ood_report(
        self, router: str | Path | Router | None, inside: Sequence[Row], outside: Sequence[Prompt], progress: Progress | None = None
    ) -> dict[str, Any]:
        """Every score on the given prompts, on reference vectors (lab.evaluation.ood_report)."""
        router = router if isinstance(router, Router) else self.router(router)
        rows, foreign = in_domain(router, inside, self.taxonomy)
        check_sides(rows, outside)
        detectors = [self.ood_detector(router, name) for name in OodDetector.NAMES]
        encoder, vectors = self._probe_vectors(router, [row.text for row in rows] + [one.text for one in outside], progress)
        report = ood_report(router, detectors, encoder, rows, outside, vectors[: len(rows)], vectors[len(rows) :])
        return report | {"foreign_domains": foreign}

    def behaviour(self, router: str | Path | Router | None = None, progress: Progress | None = None) -> dict[str, Any]:
        """Flip rates of the shipped suites, on reference vectors (lab.evaluation.behaviour)."""
        router = router if isinstance(router, Router) else self.router(router)
        encoder = self.encoder(router.encoder_name, self._corpus_precision)
        return behaviour_report(
            router, self.suites, lambda texts: self._probe_vectors(router, texts, progress)[1], encoder, self.taxonomy, self.backends.costs
        )

    def _probe_vectors(self, router: Router, texts: Sequence[str], progress: Progress | None):
        """The encoder that corpus vectors come from, and (n, D) vectors through the cache."""
        encoder: Encoder = self.encoder(router.encoder_name, self._corpus_precision)
        return encoder, self.vectors.encode(encoder, texts, (lambda done, of: progress("encode", done, of)) if progress else None)

    @property
    def _corpus_precision(self) -> str:
        """The precision of :meth:`Workbench.corpus_index`."""
        return "torch" if self.settings.precision == "torch" else "fp32"
