"""Prompts picked on Confusions or Map, kept until a queue takes them. Append-only."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from lab.errors import InputError
from lab.files import jsonl_lines, make_folder, sha256_bytes


@dataclass(frozen=True)
class Selection:
    """``origin`` is the page (matrix, map); ``text_ids`` are lab.text.prepare.text_id of the prompts; ``link`` opens the view it came from."""

    id: str
    made_at_utc: str
    origin: str
    title: str
    link: str
    text_ids: tuple[str, ...]


class Selections:
    """A JSONL file; one write of one line each, flushed to disk before it returns."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, origin: str, title: str, text_ids: Sequence[str], link: str = "") -> Selection:
        """Keep a selection. InputError if it is empty. The same prompts sent again from the same place give the same id."""
        ids = tuple(dict.fromkeys(text_ids))
        if not ids:
            raise InputError("Nothing is selected.", "Select at least one prompt.")
        identity = sha256_bytes("\n".join((origin, title, *sorted(ids))).encode())[:16]
        known = next((one for one in self.all() if one.id == identity), None)
        if known:
            return known
        made = Selection(identity, datetime.now(UTC).isoformat(timespec="seconds"), origin, title, link, ids)
        make_folder(self._path.parent)
        with self._path.open("ab") as stream:
            stream.write(json.dumps(asdict(made), ensure_ascii=False).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        return made

    def all(self) -> list[Selection]:
        """Oldest first. A last line cut short by a crash is left out."""
        if not self._path.is_file():
            return []
        return [
            Selection(**value | {"text_ids": tuple(value["text_ids"])}) for _, value in jsonl_lines(self._path) if isinstance(value, dict)
        ]
