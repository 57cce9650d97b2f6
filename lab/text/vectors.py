"""Vector cache on disk, keyed (encoder id and precision, text id). It can be deleted at any time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from lab.errors import LabError
from lab.files import make_folder
from lab.text.encoder import Encoder
from lab.text.prepare import text_id

SAVE_EVERY = 2_048


class VectorCache:
    """SQLite table (encoder, text, vector). Safe for several processes; a row is written once and never changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        make_folder(path.parent)
        with self._connect() as database, database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute(
                "CREATE TABLE IF NOT EXISTS vectors (encoder TEXT, text TEXT, vector BLOB NOT NULL, PRIMARY KEY (encoder, text))"
            )

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, timeout=30)) as database:
                yield database
        except sqlite3.DatabaseError as error:
            raise LabError(
                f"{self._path} cannot be used as a vector cache: {error}.",
                "Delete the file (vectors are computed again), make room, or set ROUTER_LAB_HOME to a folder that can be written.",
            ) from None

    def encode(self, encoder: Encoder, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> np.ndarray:
        """(n, dim) float32: cached rows are read, missing ones encoded and kept. ``progress`` is told (encoded, to encode)."""
        key = f"{encoder.id}/{encoder.precision}"
        ids = [text_id(text) for text in texts]
        out = np.empty((len(texts), encoder.dim), dtype=np.float32)
        with self._connect() as database:
            known = self._read(database, key, ids)
            missing: dict[str, int] = {}
            for row, one in enumerate(ids):
                blob = known.get(one)
                if blob is not None and len(blob) == encoder.dim * 4:
                    out[row] = np.frombuffer(blob, dtype=np.float32)
                else:
                    missing.setdefault(one, row)
            rows = list(missing.values())
            for start in range(0, len(rows), SAVE_EVERY):
                block = rows[start : start + SAVE_EVERY]
                report = (lambda done, _all, start=start: progress(start + done, len(rows))) if progress else None
                out[block] = encoder.encode([texts[row] for row in block], report)
                with database:
                    database.executemany(
                        "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", [(key, ids[row], out[row].tobytes()) for row in block]
                    )
            for row, one in enumerate(ids):
                if one in missing and missing[one] != row:
                    out[row] = out[missing[one]]
        return out

    @staticmethod
    def _read(database: sqlite3.Connection, key: str, ids: Sequence[str]) -> dict[str, bytes]:
        wanted = list(dict.fromkeys(ids))
        if len(wanted) > 2_000:
            return {text: vector for text, vector in database.execute("SELECT text, vector FROM vectors WHERE encoder = ?", (key,))}
        found: dict[str, bytes] = {}
        for start in range(0, len(wanted), 500):
            block = wanted[start : start + 500]
            marks = ",".join("?" * len(block))
            found.update(database.execute(f"SELECT text, vector FROM vectors WHERE encoder = ? AND text IN ({marks})", (key, *block)))
        return found
