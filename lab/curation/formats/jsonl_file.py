"""JSONL: one record a line."""

from __future__ import annotations

from collections.abc import Sequence

from lab.curation.formats.labelled import Labelled
from lab.curation.formats.records import to_record
from lab.files import jsonl_dump


def write(rows: Sequence[Labelled]) -> bytes:
    return jsonl_dump(map(to_record, rows))
