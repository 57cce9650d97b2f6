"""Label Studio tasks as JSON (``data``, ``annotations``, ``predictions``), both its import format and its JSON export.

The label travels as a prediction, which annotators see as a pre-annotation; if a curator gave it, as an annotation too.
Task format: https://labelstud.io/guide/task_format
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from lab.curation.formats import review
from lab.curation.formats.labelled import Labelled
from lab.curation.formats.records import to_record
from lab.curation.state import State
from lab.errors import InputError

KEY = "router_lab"
QUESTIONS = ("domain", "also", "marks")


def labelling_config(domains: Sequence[str]) -> str:
    """The XML to paste into a project's "Labeling interface", with these domains to choose from."""

    def choices(name: str, choice: str, values: Sequence[str]) -> str:
        inner = "".join(f"<Choice value={quoteattr(value)}/>" for value in values)
        return f'<Choices name="{name}" toName="text" choice="{choice}">{inner}</Choices>'

    return (
        '<View><Text name="text" value="$text"/>'
        + choices("domain", "single", domains)
        + choices("also", "multiple", domains)
        + choices("marks", "multiple", review.MARKS)
        + "</View>"
    )


def write(rows: Sequence[Labelled]) -> bytes:
    return (json.dumps([_task(row) for row in rows], ensure_ascii=False, indent=1) + "\n").encode()


def _task(row: Labelled) -> dict[str, Any]:
    own = to_record(row)
    text = own.pop("prompt")
    result = _result(row.state)
    annotation = {"result": result, "was_cancelled": False, "ground_truth": False}
    return {
        "data": {"text": text, KEY: own},
        "annotations": [annotation] if row.who and result else [],
        "predictions": [{"model_version": review.EXPORTED, "result": result}] if result else [],
    }


def _result(state: State) -> list[dict[str, Any]]:
    answers = {"domain": [state.domain] if state.domain else [], "also": list(state.also), "marks": review.marks(state)}
    return [
        {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": chosen}}
        for name, chosen in answers.items()
        if chosen
    ]


def is_task(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("data"), dict) and any(key in value for key in ("annotations", "predictions", "completions"))


def record(value: Mapping[str, Any]) -> dict[str, Any] | str:
    """The plain record behind a task, or why there is none. Cancelled annotations do not count, nor do a model's predictions."""
    data = dict(value["data"])
    own = data.pop(KEY, {})
    if not isinstance(own, dict):
        return f"data.{KEY} is no object"
    try:
        exported = _exported(own, value.get("predictions") or [])
        opinions: list[review.Opinion] = []
        for one in value.get("annotations") or value.get("completions") or []:
            if one.get("was_cancelled"):
                continue
            state = _state(one.get("result") or [], exported)
            if isinstance(state, str):
                return state
            if state is not None:
                who, at_utc = _person(one.get("completed_by")), str(one.get("updated_at") or one.get("created_at") or "")
                opinions.append((state, who, at_utc))
    except (TypeError, AttributeError, KeyError, InputError) as error:
        return f"no Label Studio task: {type(error).__name__} {error}"
    return review.settled({**data, **own}, exported, opinions, "Label Studio")


def _exported(own: Mapping[str, Any], predictions: Sequence[Mapping[str, Any]]) -> State:
    if "routable" in own:
        return State.from_json(own)
    for one in predictions:
        if isinstance(one, dict) and one.get("model_version") == review.EXPORTED:
            state = _state(one.get("result") or [], State())
            return state if isinstance(state, State) else State()
    return State()


def _state(result: Sequence[Mapping[str, Any]], exported: State) -> State | str | None:
    given: dict[str, list[str]] = {name: [] for name in QUESTIONS}
    for one in result:
        if one.get("type") == "choices":
            name = one["from_name"]
            given[name if name in given else "domain"] += one["value"]["choices"]
    if len(given["domain"]) > 1:
        given["also"] += given["domain"][1:]
    return review.opinion(given["domain"][0] if given["domain"] else None, given["also"], given["marks"], exported)


def _person(given: Any) -> str:
    if isinstance(given, dict):
        given = given.get("email") or given.get("id")
    return "" if given is None else str(given)
