"""What the desk's component and the page say to each other. All that arrives is checked: it comes from a browser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.curation.state import Outcome, Prompt, State, Write
from lab.errors import InputError

MAX_EVENTS, MAX_ITEMS, MAX_CHANGES = 2000, 200, 500
NO_STATE = State()


@dataclass(frozen=True)
class Message:
    """``session`` numbers the decisions, ``tab`` holds the leases; ``want`` more items are asked for beside those it ``have``s."""

    n: int
    session: str
    tab: str
    queue: str
    static: str
    writes: tuple[Write, ...]
    unreadable: tuple[Outcome, ...]
    want: int
    have: tuple[str, ...]
    asks: tuple[Mapping[str, Any], ...] = field(default=())


def read_message(raw: Any) -> Message:
    """InputError if it is no message at all; an event that cannot be read gets the outcome "refused"."""
    if not isinstance(raw, Mapping) or not isinstance(raw.get("n"), int) or not isinstance(raw.get("session"), str) or not isinstance(raw.get("tab"), str):
        raise InputError("The desk sent something unreadable.", "Reload the page.")
    writes, unreadable = [], []
    for event in _list(raw, "events")[:MAX_EVENTS]:
        try:
            writes.append(read_write(event))
        except InputError as error:
            if isinstance(event, Mapping):
                unreadable.append(Outcome(str(event.get("session")), _int(event.get("seq")), "refused", error.what))
    have = tuple(one for one in _list(raw, "have") if isinstance(one, str))
    asks = tuple(one for one in _list(raw, "asks") if isinstance(one, Mapping) and isinstance(one.get("id"), str))
    want = max(0, min(_int(raw.get("want")), MAX_ITEMS))
    return Message(
        raw["n"], raw["session"], raw["tab"], _text(raw, "queue"), _text(raw, "static"), tuple(writes), tuple(unreadable), want, have[:MAX_ITEMS], asks[:20]
    )


def read_write(raw: Any) -> Write:
    """InputError if ``raw`` is no decision."""
    if not isinstance(raw, Mapping) or not isinstance(raw.get("session"), str) or not isinstance(raw.get("seq"), int):
        raise InputError("A decision of the desk is unreadable.")
    seen = State.from_json(raw["seen"]) if isinstance(raw.get("seen"), Mapping) else NO_STATE
    after = State.from_json(raw["after"]) if isinstance(raw.get("after"), Mapping) else None
    undoes = raw.get("undoes")
    if undoes is not None and not (isinstance(undoes, list) and len(undoes) == 2 and isinstance(undoes[0], str) and isinstance(undoes[1], int)):
        raise InputError("A decision of the desk is unreadable: what it undoes.")
    model = dict(raw["model"]) | {"top": _list(raw, "top")[:9]} if isinstance(raw.get("model"), Mapping) else {}
    return Write(
        raw["session"], raw["seq"], _text(raw, "id"), _text(raw, "action"), seen, after, _text(raw, "queue"), _text(raw, "reason")[:500], model,
        tuple(undoes) if undoes else None,
    )  # fmt: skip


def read_changes(raw: Mapping[str, Any]) -> list[tuple[str, State, State]]:
    """The changes of a batch: (prompt id, seen, after)."""
    changes = _list(raw, "changes")
    if not changes or len(changes) > MAX_CHANGES:
        raise InputError(f"A batch of the desk has {len(changes)} changes.", f"1 to {MAX_CHANGES} are possible.")
    if not all(isinstance(one, Mapping) and isinstance(one.get("seen"), Mapping) and isinstance(one.get("after"), Mapping) for one in changes):
        raise InputError("A batch of the desk is unreadable.", "Reload the page.")
    return [(_text(one, "id"), State.from_json(one["seen"]), State.from_json(one["after"])) for one in changes]


def prompt_json(prompt: Prompt, state: State) -> dict[str, Any]:
    return {"id": prompt.id, "text": prompt.text, "language": prompt.language, "split": prompt.split, "state": state.to_json()}


def item_json(shown: Any) -> dict[str, Any]:
    """One item as the desk shows it; in a blind queue the shares are None."""
    candidates = [[name, None if share is None else round(float(share), 4)] for name, share in shown.candidates]
    return prompt_json(shown.prompt, shown.state) | {"reason": shown.item.reason, "candidates": candidates}


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    state = outcome.state.to_json() if outcome.state else None
    return {"session": outcome.session, "seq": outcome.seq, "status": outcome.status, "message": outcome.message, "state": state}


def _list(raw: Mapping[str, Any], name: str) -> list[Any]:
    value = raw.get(name)
    return value if isinstance(value, list) else []


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    return value if isinstance(value, str) else ""


def _int(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
