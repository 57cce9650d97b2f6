"""What a version was trained on: every label by text id with its side of the split, and what the corpus was made of. No prompt text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.corpus.rows import Row, corpus_sha256
from lab.corpus.split import SIDES, split_sha256
from lab.errors import ArtefactError
from lab.files import jsonl_dump, jsonl_parse
from lab.router.dataset import Dataset
from lab.text.language import detect

CORPUS, LABELS = "corpus.json", "corpus_labels.jsonl"


@dataclass(frozen=True)
class Label:
    """One row of the corpus without its text. ``id`` is the sha256 of the prepared text."""

    id: str
    domain: str
    also: tuple[str, ...]
    split: str


@dataclass(frozen=True)
class Snapshot:
    """``revision`` names the state of the database (or the shipped corpus); the hashes are those of training and reports."""

    revision: str
    corpus_sha256: str
    split_sha256: str
    labels: tuple[Label, ...]
    composition: dict[str, Any]

    def files(self) -> dict[str, bytes]:
        """corpus.json and corpus_labels.jsonl, the same bytes for the same corpus."""
        head = {
            "format": 1, "revision": self.revision, "corpus_sha256": self.corpus_sha256, "split_sha256": self.split_sha256,
            "rows": len(self.labels), **self.composition,
        }  # fmt: skip
        lines = [{"id": one.id, "domain": one.domain, "also": list(one.also), "split": one.split} for one in self.labels]
        return {CORPUS: (json.dumps(head, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode(), LABELS: jsonl_dump(lines)}


def take_snapshot(dataset: Dataset, revision: str, stated: Mapping[str, tuple[str, str]] | None = None) -> Snapshot:
    """Of the rows that were trained, validated and tested on. Languages of rows without one are detected (2 s for 15 000).

    ``stated``: text id → (source, licence), for rows that state none of their own (lab.corpus.provenance).
    """
    rows, splits = dataset.rows, dataset.splits
    labels = tuple(
        sorted((Label(row.id, row.domain, row.also, side) for row, side in zip(rows, splits, strict=True)), key=lambda one: (one.id, one.domain, one.also))
    )  # fmt: skip
    return Snapshot(revision, dataset.corpus_sha256, dataset.split_sha256, labels, composition(dataset, stated or {}))


def composition(dataset: Dataset, stated: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Counts that the records quote: sides, domains, languages, sources with their licences, labels a row."""
    rows, splits = dataset.rows, dataset.splits
    sides = {domain: dict.fromkeys(SIDES, 0) for domain in dataset.domains}
    for row, side in zip(rows, splits, strict=True):
        sides[row.domain][side] += 1
    sources = Counter((row.domain, *((row.source, row.licence) if row.source or row.licence else stated.get(row.id, ("", "")))) for row in rows)
    return {
        "split_rows": {side: splits.count(side) for side in SIDES},
        "per_domain": sides,
        "per_language": dict(sorted(Counter(row.lang or detect(row.text) for row in rows).items(), key=lambda one: (-one[1], one[0]))),
        "sources": [{"domain": d, "source": s, "license_spdx": own, "rows": n} for (d, s, own), n in sorted(sources.items())],
        "rows_with_also": sum(bool(row.also) for row in rows),
        "left_out": dict(dataset.left_out),
        "renamed": dict(dataset.renamed),
    }


def read_snapshot(files: Mapping[str, bytes]) -> Snapshot:
    """From the bytes of the two files. ArtefactError if the labels do not give the hashes that the header states."""
    try:
        head = json.loads(files[CORPUS])
        lines = [(number, value) for number, value in jsonl_parse(files[LABELS])]
        labels = tuple(Label(value["id"], value["domain"], tuple(value["also"]), value["split"]) for _, value in lines)
        fixed = {key: head[key] for key in ("revision", "corpus_sha256", "split_sha256", "rows")}
        made = _in_order({key: value for key, value in head.items() if key not in (*fixed, "format")})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtefactError(
            f"{CORPUS} or {LABELS} is no corpus snapshot ({type(error).__name__}: {error}).", "Restore the version."
        ) from None
    found = (corpus_sha256(labels), split_sha256(labels, [one.split for one in labels]), len(labels))  # type: ignore[arg-type]
    if found != (fixed["corpus_sha256"], fixed["split_sha256"], fixed["rows"]):
        raise ArtefactError(
            f"{LABELS} holds {len(labels)} labels with corpus hash {found[0][:12]}, but {CORPUS} states {fixed['rows']} with {fixed['corpus_sha256'][:12]}.",
            "Restore the version.",
        )
    return Snapshot(fixed["revision"], fixed["corpus_sha256"], fixed["split_sha256"], labels, made)


def _in_order(made: dict[str, Any]) -> dict[str, Any]:
    """Sides as they are read, languages by how many; the file has its keys in the order of the alphabet."""
    sides = {domain: {side: row[side] for side in SIDES} for domain, row in made["per_domain"].items()}
    languages = dict(sorted(made["per_language"].items(), key=lambda one: (-one[1], one[0])))
    return made | {"split_rows": {side: made["split_rows"][side] for side in SIDES}, "per_domain": sides, "per_language": languages}


@dataclass(frozen=True)
class Restored:
    """``rows`` with the snapshot's labels; ``missing``: text ids whose text is not at hand any more."""

    rows: list[Row]
    splits: list[str]
    missing: list[str]


def restore(snapshot: Snapshot, texts: Mapping[str, str]) -> Restored:
    """The training rows of a version again, from ``texts`` (text id → text)."""
    there = [one for one in snapshot.labels if one.id in texts]
    rows = [Row(texts[one.id], one.domain, one.also, split=one.split) for one in there]
    return Restored(rows, [one.split for one in there], sorted({one.id for one in snapshot.labels} - set(texts)))
