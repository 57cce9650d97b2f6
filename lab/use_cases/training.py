"""From a corpus to a router folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab.corpus.read import read_corpus
from lab.errors import ArtefactError, SettingsError
from lab.files import check_output
from lab.router.folder import WEIGHTS
from lab.router.router import Router
from lab.use_cases.opening import REFERENCE, Opening, Progress


class Training(Opening):
    """A part of :class:`lab.workbench.Workbench`."""

    def train_router(
        self, corpus: Path, output: Path, *, recipe: str = "lab", encoder: str = "", v5: bool = False, changes: dict[str, Any] | None = None, progress: Progress = lambda stage, done, of: None,
    ) -> tuple[Router, dict[str, Any] | None, dict[str, Any]]:  # fmt: skip
        """Read ``corpus``, train, write ``output``. ``v5`` keeps the 32 domains of router v5 under v5's names.

        Returns the router, its test metrics (None without test rows) and what was refused, renamed or left out.
        """
        from lab.corpus.split import read_frozen
        from lab.evaluation.behaviour import reserved_ids
        from lab.router.build import build_router
        from lab.router.dataset import build_dataset
        from lab.text.encoder import MINILM

        if recipe not in self.recipes:
            raise SettingsError(f"There is no recipe '{recipe}'.", f"Known are: {', '.join(self.recipes)}.")
        if output.exists() and (not output.is_dir() or any(output.iterdir())) and not (output / WEIGHTS).is_file():
            raise ArtefactError(f"{output} exists and is no router folder.", "Name a new folder, so that nothing is overwritten.")
        check_output(output, folder=True)
        chosen = self.recipes[recipe].with_changes(**(changes or {}))
        reading = read_corpus(corpus)
        shipped = corpus.resolve() == self.home.corpus.resolve()
        frozen = read_frozen(corpus / "split.json") if corpus.is_dir() else {}
        dataset = build_dataset(reading.rows, self.taxonomy, frozen, self.taxonomy.v5_labels() if v5 else None, reserved_ids(self.home))
        reference = self.encoder(encoder or MINILM, REFERENCE)
        check = self._serving_encoders(encoder or MINILM) if shipped else ()
        folder, metrics = build_router(
            dataset,
            reference,
            self.vectors,
            chosen,
            self.taxonomy,
            output,
            check=check,
            shipped_split=shipped and bool(frozen),
            progress=progress,
        )
        account = {
            "rows": {side: len(dataset.side(side)) for side in ("train", "valid", "test")}, "domains": len(dataset.domains),
            "refused": [{"where": one.where, "reason": one.reason} for one in reading.refused], "left_out": dataset.left_out, "renamed": dataset.renamed,
        }  # fmt: skip
        return Router(folder, output.name), metrics, account
