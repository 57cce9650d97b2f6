"""The label of a prompt, a person's decision about it, and what became of the decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.errors import InputError

ACTIONS = ("label", "keep", "also", "not_routable", "flag", "skip", "undo")
"""What a person can do to a prompt. ``import``, ``bulk``, ``taxonomy`` and ``revert`` are events of batches."""

DECIDING = ("label", "keep", "also", "not_routable", "flag", "import", "bulk", "taxonomy", "revert")
"""Events after which an item has left its queue; a skip leaves it there for others."""


@dataclass(frozen=True)
class State:
    """The label now: the fold of a prompt's events. ``domain`` None: no label yet; ``routable`` False: no domain should answer it."""

    domain: str | None = None
    also: tuple[str, ...] = ()
    routable: bool = True
    flagged: bool = False

    def __post_init__(self) -> None:
        if self.domain is not None and not self.domain:
            raise InputError("A label is empty.", "Name a domain.")
        if self.also or not isinstance(self.also, tuple):
            object.__setattr__(self, "also", tuple(sorted({one for one in self.also if one != self.domain})))

    def to_json(self) -> dict[str, Any]:
        return {"domain": self.domain, "also": list(self.also), "routable": self.routable, "flagged": self.flagged}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> State:
        """InputError if ``raw`` is no state: it comes from a browser."""
        domain, also = raw.get("domain"), raw.get("also", [])
        routable, flagged = raw.get("routable", True), raw.get("flagged", False)
        if not (domain is None or isinstance(domain, str)) or not isinstance(also, list | tuple) or not all(isinstance(one, str) for one in also):
            raise InputError(f"{raw!r} is no label.", 'Expected {"domain": text or null, "also": [texts], "routable": …, "flagged": …}.')
        if not isinstance(routable, bool) or not isinstance(flagged, bool):
            raise InputError(f"{raw!r} is no label.", '"routable" and "flagged" are true or false.')
        return cls(domain, tuple(also), routable, flagged)

    def __str__(self) -> str:
        name = "not routable" if not self.routable else self.domain or "no label"
        return name + (f" (also {', '.join(self.also)})" if self.also else "") + (", flagged" if self.flagged else "")


@dataclass(frozen=True)
class Actor:
    """Who does something. ``verified``: by OIDC; otherwise the name is what the person typed. ``role`` is for showing: writes look it up."""

    name: str
    verified: bool = False
    role: str = "viewer"


@dataclass(frozen=True)
class Write:
    """One decision as a screen sends it. (``session``, ``seq``) makes it one decision however often it arrives.

    ``seen``: the state that the screen showed. ``after``: what it should be; ignored by skip, keep and undo.
    ``model``: {"router", "sha256", "top": [[domain, probability], …]} at that moment. ``undoes``: (session, seq) of an event.
    """

    session: str
    seq: int
    prompt_id: str
    action: str
    seen: State
    after: State | None = None
    queue: str = ""
    reason: str = ""
    model: Mapping[str, Any] = field(default_factory=dict)
    undoes: tuple[str, int] | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a write. ``status``: stored, known (it had arrived before), conflict (the label had changed), refused."""

    session: str
    seq: int
    status: str
    message: str = ""
    event_id: int | None = None
    state: State | None = None


@dataclass(frozen=True)
class Event:
    id: int
    at_utc: str
    who: str
    verified: bool
    session: str
    seq: int
    prompt_id: str
    action: str
    before: State
    after: State
    reason: str = ""
    queue: str = ""
    batch_id: str | None = None
    model: Mapping[str, Any] = field(default_factory=dict)
    undoes: int | None = None


@dataclass(frozen=True)
class Prompt:
    """``split``: train, valid, test, left-out, or empty until it has a label. ``origin``: corpus, import, traffic, typed."""

    id: str
    text: str
    language: str = ""
    source: str = ""
    licence: str = ""
    part: str = ""
    split: str = ""
    origin: str = "import"
    added_at_utc: str = ""


@dataclass(frozen=True)
class Item:
    """One place in a queue. ``score`` in [0, 1], larger is sooner; ``reason``: one sentence for the curator."""

    prompt_id: str
    score: float
    reason: str
    suggestion: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
