"""Argilla 2.x records as JSON: what ``rg.Dataset.records.to_json`` writes and ``from_json`` reads.

The data set there needs the field ``text``, the label question ``domain``, the multi-label questions ``also`` and ``marks``
(values: not routable, second opinion), and extra metadata allowed. The label travels as a suggestion; if a curator gave it,
as a response too.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from lab.curation.formats import review
from lab.curation.formats.cells import from_cells, to_cells
from lab.curation.formats.labelled import Labelled
from lab.curation.state import State
from lab.errors import InputError

QUESTIONS = ("domain", "also", "marks")
_LABEL = ("domain", "also", "routable", "flagged")


def write(rows: Sequence[Labelled]) -> bytes:
    return (json.dumps([_record(row) for row in rows], ensure_ascii=False, indent=1) + "\n").encode()


def _record(row: Labelled) -> dict[str, Any]:
    answers: dict[str, Any] = {"domain": row.domain, "also": list(row.also), "marks": review.marks(row.state)}
    given = {name: value for name, value in answers.items() if value}
    who = str(uuid.uuid5(uuid.NAMESPACE_URL, f"router-lab:{row.who}"))
    return {
        "id": row.id,
        "fields": {"text": row.text},
        "metadata": {name: value for name, value in to_cells(row).items() if value and name not in ("id", "prompt")},
        "suggestions": {name: {"value": value, "score": None, "agent": review.EXPORTED} for name, value in given.items()},
        "responses": {name: [{"value": value, "user_id": who, "status": "submitted"}] for name, value in given.items()} if row.who else {},
        "vectors": {},
        "_server_id": None,
    }


def is_record(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("fields"), dict) and ("responses" in value or "suggestions" in value)


def record(value: Mapping[str, Any]) -> dict[str, Any] | str:
    """The plain record behind an Argilla record, or why there is none. Drafts and discarded answers do not count."""
    metadata = value.get("metadata") or {}
    if not isinstance(metadata, dict):
        return "the metadata are no object"
    out = {"id": value.get("id"), **from_cells(metadata), **value["fields"], "domain": None, "also": []}
    try:
        exported = _exported(value, metadata)
        answers = _answers(value.get("responses") or {})
        opinions: list[review.Opinion] = []
        for who, given in answers.items():
            state = review.opinion(given.get("domain"), given.get("also"), given.get("marks"), exported)
            if isinstance(state, str):
                return state
            if state is not None:
                opinions.append((state, who, ""))
    except (TypeError, AttributeError, KeyError, InputError) as error:
        return f"no Argilla record: {type(error).__name__} {error}"
    return review.settled(out, exported, opinions, "Argilla")


def _exported(value: Mapping[str, Any], metadata: Mapping[str, Any]) -> State:
    """The label that left here: from our own metadata, else from suggestions under our name. A model's suggestion is no label."""
    if "routable" in metadata:
        cells = from_cells({f"before_{name}": metadata.get(name) for name in _LABEL})
        return State.from_json(cells["before"])
    ours = {
        name: one["value"]
        for name, one in (value.get("suggestions") or {}).items()
        if isinstance(one, dict) and one.get("agent") == review.EXPORTED
    }
    state = review.opinion(ours.get("domain"), ours.get("also"), ours.get("marks"), State())
    return state if isinstance(state, State) else State()


def _answers(responses: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    out: dict[str, dict[str, Any]] = {}
    for question, given in responses.items():
        if question not in QUESTIONS:
            continue
        for one in given:
            if one.get("status") not in ("draft", "discarded"):
                out.setdefault(str(one.get("user_id") or ""), {})[question] = one["value"]
    return out
