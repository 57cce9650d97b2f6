"""Labelled prompt ↔ flat texts, and the defusing of spreadsheet cells."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lab.curation.formats.labelled import Labelled
from lab.curation.formats.records import to_record
from lab.curation.state import State

BEFORE = ("before_domain", "before_also", "before_routable", "before_flagged")
COLUMNS = (
    "id", "prompt", "domain", "also", "routable", "flagged", "lang", "source", "license", "part", "split",
    "who", "at_utc", "reason", "queue", *BEFORE,
)  # fmt: skip

_LIVE = re.compile(r"'*(?:[\s\ufeff]*[=+\-@＝＋－＠]|[\t\r\n])")
"""What a spreadsheet may run as a formula (OWASP, CSV injection), behind any number of apostrophes."""


def defused(cell: str) -> str:
    """``cell`` with an apostrophe in front if a spreadsheet could take it for a formula."""
    return f"'{cell}" if _LIVE.match(cell) else cell


def fused(cell: str) -> str:
    """The inverse of :func:`defused`: ``fused(defused(x)) == x`` for every text."""
    return cell[1:] if cell.startswith("'") and _LIVE.match(cell, 1) else cell


def to_cells(row: Labelled) -> dict[str, str]:
    """Every column of COLUMNS as a text. No ``before``: its four cells are empty."""
    record = to_record(row)
    before = record.pop("before", None)
    if before:
        record |= {f"before_{name}": value for name, value in before.items()}
    return {name: _cell(record.get(name)) for name in COLUMNS}


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(value)
    return "" if value is None else str(value).lower() if isinstance(value, bool) else value


def from_cells(cells: Mapping[str, Any]) -> dict[str, Any]:
    """The record behind flat cells; cells that are no column of ours pass through."""
    out = {name: value for name, value in cells.items() if name not in BEFORE}
    if cells.get("before_routable"):
        also = str(cells.get("before_also") or "")
        state = State(
            domain=str(cells.get("before_domain") or "").strip() or None,
            also=tuple(one.strip() for one in also.split(";") if one.strip()),
            routable=str(cells["before_routable"]).lower() != "false",
            flagged=str(cells.get("before_flagged")).lower() == "true",
        )
        out["before"] = state.to_json()
    return out
