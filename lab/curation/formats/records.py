"""Labelled prompt ↔ JSON object: the shape of a JSONL line, and what every other format is brought to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lab.corpus.read import LABEL_KEYS, TEXT_KEYS, text_of
from lab.corpus.read import SPLITS as SPLIT_NAMES
from lab.corpus.rows import Refusal
from lab.curation.formats.labelled import Labelled, trouble
from lab.curation.state import State
from lab.errors import InputError
from lab.text.prepare import fault, text_id

SPLITS = {**SPLIT_NAMES, "left-out": "left-out", "left_out": "left-out", "unsplit": "", "": ""}
KEYS = {"language": ("lang", "language"), "licence": ("license", "licence")} | {
    name: (name,) for name in ("source", "part", "who", "at_utc", "reason", "queue")
}
"""Field → its keys in a record, the one that is written first."""
KNOWN = frozenset((*TEXT_KEYS, *LABEL_KEYS, "messages", "id", "also", "routable", "flagged", "split", "before", *sum(KEYS.values(), ())))
"""Keys that are read; others are counted as unused."""
WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
HASH = re.compile(r"[0-9a-f]{64}")


def to_record(row: Labelled) -> dict[str, Any]:
    """Every key always there, in one order, but for the empty texts and an absent ``before``."""
    out: dict[str, Any] = {"id": row.id, "prompt": row.text, "domain": row.domain, "also": list(row.also)}
    out |= {"routable": row.routable, "flagged": row.flagged}
    out |= {keys[0]: value for name, keys in KEYS.items() if (value := getattr(row, name))}
    if row.split:
        out["split"] = row.split
    if row.before is not None:
        out["before"] = row.before.to_json()
    return out


def from_record(value: Mapping[str, Any], where: str, stem: str = "") -> Labelled | Refusal:
    """``stem``: the label of a record without any label key (one file a domain). A domain of null or "" is: no label."""
    text = text_of(dict(value))
    if text is None:
        found = ", ".join(repr(key) for key in list(value)[:6]) or "no key"
        return Refusal(where, f"no prompt: expected one of {', '.join(TEXT_KEYS)} or messages, found {found}")
    excerpt = text[:80].encode("utf-8", "backslashreplace").decode()
    problem = fault(text)
    if problem:
        return Refusal(where, problem, excerpt)
    try:
        row = Labelled(
            id=text_id(text), text=text, domain=_domain(value, stem), also=_labels(value.get("also")),
            routable=_flag(value, "routable", True), flagged=_flag(value, "flagged", False), split=_split(value.get("split")),
            before=_before(value.get("before")), where=where, **{name: _text(value, keys) for name, keys in KEYS.items()},
        )  # fmt: skip
    except InputError as error:
        return Refusal(where, error.what, excerpt)
    given = value.get("id")
    if isinstance(given, str) and HASH.fullmatch(given) and given != row.id:
        return Refusal(where, "the id is that of another text: the text was changed. Without its id it is read as a new prompt", excerpt)
    problem = trouble(row)
    return Refusal(where, problem, excerpt) if problem else row


def _domain(value: Mapping[str, Any], stem: str) -> str | None:
    given = next((value[key] for key in LABEL_KEYS if key in value), stem)
    if given is None:
        return None
    if not isinstance(given, str):
        raise InputError(f"the label is {given!r:.60}, expected a text")
    return given.strip() or None


def _labels(given: Any) -> tuple[str, ...]:
    if isinstance(given, str):
        given = re.split(r"[;|,]", given)
    if given is not None and (not isinstance(given, list | tuple) or not all(isinstance(one, str) for one in given)):
        raise InputError(f"'also' is {given!r:.60}, expected a list of labels")
    return tuple(one.strip() for one in given or () if one.strip())


def _flag(value: Mapping[str, Any], name: str, default: bool) -> bool:
    given = value.get(name)
    if given is None or given == "":
        return default
    read = given if isinstance(given, bool) else WORDS.get(str(given).strip().lower())
    if read is None:
        raise InputError(f"'{name}' is {given!r:.60}, expected true or false")
    return read


def _split(given: Any) -> str:
    read = SPLITS.get("" if given is None else str(given).strip().lower())
    if read is None:
        raise InputError(f"split {given!r:.60} is unknown, expected train, valid, test or left-out")
    return read


def _before(given: Any) -> State | None:
    if given is None or given == "":
        return None
    if not isinstance(given, Mapping):
        raise InputError(f"'before' is {given!r:.60}, expected an object")
    try:
        return State.from_json(given)
    except InputError as error:
        raise InputError(f"'before': {error.what}") from None


def _text(value: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    given = next((value[key] for key in keys if value.get(key) is not None), "")
    if isinstance(given, bool | list | dict):
        raise InputError(f"'{keys[0]}' is {given!r:.60}, expected a text")
    return str(given)
