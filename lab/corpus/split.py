"""Train, validation and test by hash of the prepared text: adding or relabelling rows moves nobody."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.corpus.duplicates import groups, near_pairs
from lab.corpus.rows import Row
from lab.errors import ArtefactError
from lab.files import canonical, read_json, sha256_bytes, write_json

RULE = "sha256('split-1:' + text id) in [0, 1): train below 0.8, valid below 0.9, test above; near-duplicates together"
SIDES = ("train", "valid", "test")
LEFT_OUT = "left-out"
"""A new row that is a near-duplicate of rows frozen on two different sides: it can be on neither without a leak."""


def by_hash(text_id: str) -> str:
    share = int(sha256_bytes(f"split-1:{text_id}".encode())[:8], 16) / 2**32
    return "train" if share < 0.8 else "valid" if share < 0.9 else "test"


def assign(rows: Sequence[Row], frozen: Mapping[str, str] | None = None) -> list[str]:
    """The split of each row. A row's own ``split`` wins, then ``frozen`` (text id → split), then its near-duplicates', then the hash.

    A group of near-duplicates without a frozen member follows the hash of its smallest text id.
    """
    frozen = frozen or {}
    where = [row.split or frozen.get(row.id, "") for row in rows]
    open_rows = [n for n, side in enumerate(where) if not side]
    if not open_rows:
        return where
    members: dict[int, list[int]] = defaultdict(list)
    for row, group in enumerate(groups(len(rows), near_pairs([row.text for row in rows]))):
        members[group].append(row)
    for group in members.values():
        sides = {where[row] for row in group if where[row]}
        side = sides.pop() if len(sides) == 1 else LEFT_OUT if sides else by_hash(min(rows[row].id for row in group))
        for row in group:
            where[row] = where[row] or side
    return where


def split_sha256(rows: Sequence[Row], splits: Sequence[str]) -> str:
    return sha256_bytes(canonical(sorted({(row.id, side) for row, side in zip(rows, splits, strict=True)})))


def read_frozen(path: Path) -> dict[str, str]:
    """Text id → split, from a file written by :func:`write_frozen`; empty if there is none."""
    if not path.is_file():
        return {}
    raw = read_json(path)
    splits = raw.get("splits") if isinstance(raw, dict) else None
    if not isinstance(splits, dict) or not all(
        side in SIDES and isinstance(ids, list) and all(isinstance(one, str) for one in ids) for side, ids in splits.items()
    ):
        raise ArtefactError(
            f'{path} is no split: expected {{"splits": {{side: [text id, …]}}}} with the sides {", ".join(SIDES)}.', "Restore the file."
        )
    return {one: side for side, ids in splits.items() for one in ids}


def write_frozen(path: Path, rows: Sequence[Row], splits: Sequence[str]) -> None:
    sides: dict[str, set[str]] = {side: set() for side in SIDES}
    for row, side in zip(rows, splits, strict=True):
        if side in sides:
            sides[side].add(row.id)
    write_json(path, {"version": 1, "rule": RULE, "splits": {side: sorted(ids) for side, ids in sides.items()}})
