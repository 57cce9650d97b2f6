"""The workbench's use cases that measure: reports, predictions, comparisons."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.corpus.rows import Row, corpus_sha256
from lab.errors import ArtefactError, InputError
from lab.router.router import Router
from lab.text.encoder import Encoder
from lab.use_cases.opening import REFERENCE, Opening, Progress

if TYPE_CHECKING:
    from lab.evaluation.out_of_fold import Predictions


class Evaluating(Opening):
    """A part of :class:`lab.workbench.Workbench`."""

    def evaluate(self, router: str | Path | Router, rows: Sequence[Row], progress: Progress | None = None) -> dict[str, Any]:
        """A bound report (lab.evaluation.report) on the given rows, on reference vectors."""
        from lab.evaluation.report import evaluate

        router = router if isinstance(router, Router) else self.router(router)
        encoder, vectors = self._reference_vectors(router, rows, progress)
        return evaluate(router, rows, vectors, encoder, self.taxonomy, self._training_ids(router))

    def _reference_vectors(self, router: Router, rows: Sequence[Row], progress: Progress | None) -> tuple[Encoder, np.ndarray]:
        """The encoder of ``router`` at reference precision, and (n, D) vectors of ``rows`` through the cache."""
        encoder = self.encoder(router.encoder_name, REFERENCE)
        report = (lambda done, of: progress("encode", done, of)) if progress else None
        return encoder, self.vectors.encode(encoder, [row.text for row in rows], report)

    def on_side(self, rows: Sequence[Row], side: str | None) -> list[Row]:
        """Rows on one side of the shipped corpus's frozen split (or with that ``split`` of their own); all of them for None."""
        return [row for row in rows if side is None or (row.split or self.frozen_split.get(row.id)) == side]

    def predictions(self, router: str | Path | Router, rows: Sequence[Row], progress: Progress | None = None) -> Predictions:
        """What the router itself answers on ``rows``. Its training rows may be among them: choose the test side to judge it."""
        from lab.evaluation.out_of_fold import Predictions
        from lab.evaluation.report import place_labels

        router = router if isinstance(router, Router) else self.router(router)
        _, vectors = self._reference_vectors(router, rows, progress)
        primary, _ = place_labels(router, rows, self.taxonomy)
        logits = router.logits(vectors, [row.text for row in rows])
        return Predictions(router, list(rows), logits, primary, "direct", corpus_sha256(rows))

    def test_predictions(self, router: str | Path | Router) -> Predictions:
        """On the frozen test side of the shipped corpus, by the router that is served."""
        from lab.evaluation.out_of_fold import Predictions
        from lab.evaluation.report import place_labels

        router = router if isinstance(router, Router) else self.router(router)
        index = self.corpus_index(router.encoder_name)
        places = [n for n, side in enumerate(index.splits) if side == "test"]
        rows = [index.rows[n] for n in places]
        primary, _ = place_labels(router, rows, self.taxonomy)
        logits = router.logits(index.vectors[places], [row.text for row in rows])
        return Predictions(router, rows, logits, primary, "test side", corpus_sha256(rows))

    def compare(self, a: str | Path, b: str | Path, rows: Sequence[Row], mode: str, progress: Progress | None = None) -> dict[str, Any]:
        """Figures of lab.evaluation.compare with what they are bound to."""
        from lab.evaluation.compare import figures

        first, second = self.predictions(a, rows, progress), self.predictions(b, rows, progress)
        comparison = self.comparison(first, second, mode)
        trained = [ids for one in (first, second) if (ids := self._training_ids(one.router)) is not None]
        compared = [rows[n] for n in comparison.rows]
        return {
            **{
                side: {"router": p.router.name, "router_sha256": p.router.sha256, "domains": len(p.domains)}
                for side, p in (("a", first), ("b", second))
            },
            "data_sha256": first.corpus_sha256,
            "rows_from_training": sum(any(row.id in ids for ids in trained) for row in compared) if trained else None,
            **figures(comparison),
        }

    def comparison(self, first: Predictions, second: Predictions, mode: str, keep: np.ndarray | None = None):
        """lab.evaluation.compare.Comparison with the taxonomy's names and the backend map."""
        from lab.evaluation.compare import compare

        return compare(first, second, mode, self.taxonomy.canonical, self.backends.backend.get, keep)

    def costs(self, wanted: str, given: str) -> bool:
        """Whether answering ``given`` for ``wanted`` reaches another backend; names as any router spells them."""
        return self.backends.costs(self.taxonomy.canonical(wanted), self.taxonomy.canonical(given))

    def _training_ids(self, router: Router) -> Collection[str] | None:
        """Known only for a router whose split is the shipped corpus's own, or a part of it."""
        trained_on = router.ours.get("trained_on_shipped_split")
        return {one for one, side in self.frozen_split.items() if side == "train"} if trained_on else None

    # out-of-fold predictions

    def out_of_fold(self, router: str | Path | Router, progress: Progress | None = None) -> Predictions:
        """For the shipped corpus: from the router's folder, else from the state folder, else computed in a process of its own."""
        from lab.evaluation.out_of_fold import NAME, Predictions, load, run_in_process
        from lab.evaluation.report import place_labels

        router = router if isinstance(router, Router) else self.router(router)
        index = self.corpus_index(router.encoder_name, progress)
        primary, _ = place_labels(router, index.rows, self.taxonomy)
        key = router.sha256
        with self._lock:
            if key not in self._predictions:
                kept, seen = self.home.out_of_fold / f"{router.sha256[:16]}.npz", self.learnt(router.encoder_name)
                logits, kind = load(router.folder.path / NAME, router.sha256, index.rows), "out-of-fold"
                if logits is None:
                    logits = load(kept, router.sha256, index.rows)
                if logits is None and router.ours.get("recipe") and not seen:
                    run_in_process(str(router.folder.path), (lambda done, of: progress("fit five folds", done, of)) if progress else None)
                    logits = load(kept, router.sha256, index.rows)
                if logits is None:
                    logits, kind = router.logits(index.vectors, index.texts), "direct"
                self._predictions[key] = Predictions(router, index.rows, logits, primary, kind, corpus_sha256(index.rows))
            return self._predictions[key]

    def compute_out_of_fold(self, router: str | Path | Router, ship: bool, progress: Callable[[int, int], None]) -> Path:
        """Fit the folds with the router's own recipe and keep them; returns the file."""
        from lab.evaluation.out_of_fold import NAME, compute, fold_numbers, save
        from lab.evaluation.report import place_labels
        from lab.router.recipe import Recipe

        router = router if isinstance(router, Router) else self.router(router)
        if not router.ours.get("recipe"):
            raise InputError(
                f"Router {router.name} does not say how it was trained.", "Out-of-fold predictions need its recipe; train it in the lab."
            )
        if self.learnt(router.encoder_name):
            raise InputError(f"The encoder of {router.name} has itself learnt these prompts, so answers out of fold would flatter.", "Read its figures on the test side.")
        index = self.corpus_index(router.encoder_name)
        primary, also = place_labels(router, index.rows, self.taxonomy)
        validation = np.asarray([side == "valid" for side in index.splits])
        try:
            recipe = Recipe(**router.ours["recipe"])
        except TypeError as error:
            raise ArtefactError(
                f"{router.folder.path}: the recipe in meta.json is of another version ({error}).", "Train the router again in this lab."
            ) from None
        full, blend = router.logits(index.vectors, index.texts), router.lexical.blend if router.lexical else None
        logits = compute(
            index.vectors, primary, also, fold_numbers(index.rows), validation, recipe, full, progress=progress, texts=index.texts, blend=blend
        )
        path = router.folder.path / NAME if ship else self.home.out_of_fold / f"{router.sha256[:16]}.npz"
        save(path, router.sha256, index.rows, logits)
        return path
