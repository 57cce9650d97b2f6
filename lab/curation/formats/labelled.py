"""A prompt with its label and the last change of it: what an export holds and an import gives."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields

from lab.curation.state import State
from lab.errors import InputError
from lab.text.prepare import fault

SPLITS = ("train", "valid", "test", "left-out", "")
LABEL_NAME = re.compile(r"[^\s;|,]{1,200}")
"""What can stand as a label in every format: no white space and none of the marks that part two labels in a cell."""


@dataclass(frozen=True)
class Labelled:
    """``id`` is lab.text.prepare.text_id of ``text``. ``who``, ``at_utc``, ``reason``, ``queue``, ``before``: the last change, if there was one."""

    id: str
    text: str
    domain: str | None = None
    also: tuple[str, ...] = ()
    routable: bool = True
    flagged: bool = False
    language: str = ""
    source: str = ""
    licence: str = ""
    part: str = ""
    split: str = ""
    who: str = ""
    at_utc: str = ""
    reason: str = ""
    queue: str = ""
    before: State | None = None
    where: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "also", self.state.also)

    @property
    def state(self) -> State:
        return State(self.domain, self.also, self.routable, self.flagged)


TEXTS = tuple(one.name for one in fields(Labelled) if one.type == "str" and one.name not in ("id", "text", "where"))
"""The fields that hold free text beside the prompt."""


def trouble(row: Labelled) -> str | None:
    """Why ``row`` cannot be in a file, as a clause, or None. The same question is asked on the way out and on the way in."""
    problem = fault(row.text)
    if problem:
        return problem
    before = row.before or State()
    for name in filter(None, (row.domain, *row.also, before.domain, *before.also)):
        if not LABEL_NAME.fullmatch(name) or unwritable(name):
            return f"the label {name[:60]!r} has white space, ';', '|' or ',' in it, a mark that is no text, or over 200 characters"
    for name in TEXTS:
        problem = unwritable(getattr(row, name))
        if problem:
            return f"{name} has {problem}"
    return None if row.split in SPLITS else f"the split {row.split!r} is unknown, expected train, valid, test or left-out"


def unwritable(text: str) -> str | None:
    """What in ``text`` no file can hold (a NUL character, a lone surrogate), or None."""
    if "\0" in text:
        return "a NUL character"
    return "a lone surrogate" if any("\ud800" <= character <= "\udfff" for character in text) else None


def ordered(rows: Iterable[Labelled]) -> Sequence[Labelled]:
    """By id. InputError if two rows have one id or a row cannot be written: an export is whole or not made."""
    out = sorted(rows, key=lambda row: row.id)
    twice = [one for one, n in Counter(row.id for row in out).items() if n > 1]
    if twice:
        raise InputError(f"Prompt {twice[0]} is there twice ({len(twice)} such).", "Give each prompt once.")
    for row in out:
        problem = trouble(row)
        if problem:
            raise InputError(f"Prompt {row.id} cannot be exported: {problem}.", "Mend or leave out this prompt.")
    return out
