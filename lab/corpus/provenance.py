"""Where the shipped prompts are from, as corpus/PROVENANCE.json states it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.corpus.rows import Row, corpus_sha256
from lab.files import read_json

NAME = "PROVENANCE.json"


def stated_sources(folder: Path, rows: Sequence[Row]) -> dict[str, tuple[str, str]]:
    """Text id → (source, licence) of the ``rows`` of ``folder``. Empty without a record, or if it is of other rows: nothing is guessed."""
    if not (folder / NAME).is_file():
        return {}
    record = read_json(folder / NAME)
    if not isinstance(record, dict) or record.get("corpus_sha256") != corpus_sha256(rows):
        return {}
    said = {
        (one.get("domain"), one.get("part")): (str(one.get("huggingface_repo") or one.get("note") or ""), str(one.get("license_spdx") or ""))
        for one in record.get("sources", [])
    }
    return {row.id: said[row.domain, row.part] for row in rows if (row.domain, row.part) in said}
