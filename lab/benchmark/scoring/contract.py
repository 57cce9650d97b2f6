"""What every scorer returns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """``value`` in [0, 1], None if there is none. ``rule`` says which rule decided, ``explanation`` what it saw."""

    value: float | None
    rule: str
    explanation: str


def shown(text: object, most: int = 80) -> str:
    """``text`` on one line, cut, for an explanation."""
    line = " ".join(str(text).split())
    return line if len(line) <= most else line[: most - 1] + "…"
