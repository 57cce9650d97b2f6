"""Encoders of one's own: unpacked from a package, adapted to the corpus."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lab.corpus.rows import corpus_sha256
from lab.errors import ArtefactError
from lab.files import check_output
from lab.router.adapt import Plan, adapt
from lab.router.dataset import Dataset, build_dataset
from lab.text.encoder import Source, find_source
from lab.use_cases.opening import Opening, Progress


def adapt_encoder(
    bench: Opening, encoder: str, output: Path, plan: Plan, *, fold: int | None = None, progress: Progress = lambda stage, done, of: None,
    told: Callable[[int, float, float | None], None] = lambda epoch, loss, top1: None, corpus: Path | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Adapt ``encoder`` to the train side of ``corpus`` (default: the shipped one); write a sentence-transformers folder. The test side is never read.

    With ``fold`` (of lab.evaluation.out_of_fold) every row outside it is learnt from, and what is written serves one purpose: honest
    figures on that fold.
    """
    from lab.corpus.read import read_corpus
    from lab.corpus.split import read_frozen
    from lab.evaluation.behaviour import reserved_ids

    if output.exists() and not (output / "adapted.json").is_file():
        raise ArtefactError(f"{output} exists and is no adapted encoder.", "Name a new folder, so that nothing is overwritten.")
    check_output(output, folder=True)
    rows = read_corpus(corpus).rows if corpus else bench.corpus.rows
    frozen = bench.frozen_split if corpus is None else read_frozen(corpus / "split.json") if corpus.is_dir() else {}
    dataset = build_dataset(rows, bench.taxonomy, frozen, None, reserved_ids(bench.home))
    account = adapt_to(dataset, bench.encoder_source(encoder), output, plan, fold, progress, told)
    return {"output": str(output)} | account


def adapt_to(
    dataset: Dataset, source: Source, output: Path, plan: Plan, fold: int | None = None, progress: Progress = lambda stage, done, of: None,
    told: Callable[[int, float, float | None], None] = lambda epoch, loss, top1: None,
) -> dict[str, Any]:  # fmt: skip
    """As :func:`adapt_encoder` on rows that are read already. The account of it: encoder_id, base, base_id, rows, history, hashes."""
    from lab.evaluation.out_of_fold import fold_numbers

    primary, also = dataset.labels(np.arange(len(dataset.rows)))
    train, valid = dataset.side("train"), dataset.side("valid")
    if fold is not None:
        numbers = fold_numbers(dataset.rows)
        train, valid = np.flatnonzero(numbers != fold), np.empty(0, dtype=int)
    provenance = {"base": source.name, "corpus_sha256": corpus_sha256(dataset.rows), "split_sha256": dataset.split_sha256, "fold": fold}
    history = adapt(source, [row.text for row in dataset.rows], primary, also, train, valid, plan, output, provenance, progress, told)
    return {"encoder_id": find_source(str(output)).id(), "base_id": source.id(), "rows": len(train), "history": history} | provenance
