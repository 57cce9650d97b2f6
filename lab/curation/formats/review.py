"""What annotators said in another tool, against the label that was exported: which one stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lab.curation.state import State

EXPORTED = "router-lab"
"""The agent (Argilla) or model version (Label Studio) under which the exported label travels as a suggestion."""
MARKS = ("not routable", "second opinion")
Opinion = tuple[State, str, str]
"""State, who, at_utc."""


def opinion(domain: Any, also: Any, marks: Any, exported: State) -> State | str | None:
    """The state behind the answers to the three questions; None if nothing was answered, a clause if it is no label."""
    also, marks = also or [], marks or []
    if not (domain is None or isinstance(domain, str)) or not all(isinstance(one, str) for one in (*also, *marks)):
        return f"the answer {domain!r:.60} is no label"
    odd = [one for one in marks if one not in MARKS]
    if odd:
        return f"the mark {odd[0]!r:.60} is unknown, expected {' or '.join(MARKS)}"
    if not (domain or also or marks):
        return None
    return State(domain or exported.domain, tuple(also), MARKS[0] not in marks, MARKS[1] in marks)


def marks(state: State) -> list[str]:
    return [name for name, on in zip(MARKS, (not state.routable, state.flagged), strict=True) if on]


def settled(record: dict[str, Any], exported: State, opinions: Sequence[Opinion], tool: str) -> dict[str, Any] | str:
    """``record`` with the label that stands.

    An opinion that repeats the exported label does not outvote one that differs. If those that differ do not agree among
    themselves, the record is refused with the labels named. A changed label carries who changed it and what it was before.
    """
    new = [one for one in opinions if one[0] != exported]
    if len({one[0] for one in new}) > 1:
        said = "; ".join(f"{who or 'someone'}: {state}" for state, who, _ in new[:5])
        return f"the annotators disagree ({said}): settle it in {tool}, then import again"
    if not new:
        return record | exported.to_json()
    state, who, at_utc = new[-1]
    out = record | state.to_json() | {"who": who, "at_utc": at_utc, "reason": f"annotated in {tool}", "queue": ""}
    return out | {"before": exported.to_json()}
