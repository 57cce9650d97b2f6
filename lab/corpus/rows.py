"""A labelled prompt, and what makes two corpora the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from lab.files import canonical, sha256_bytes
from lab.text.prepare import text_id


@dataclass(frozen=True)
class Row:
    """``domain`` is who should answer the prompt, ``also`` who could answer it well too. ``where`` is "file:line"."""

    text: str
    domain: str
    also: tuple[str, ...] = ()
    lang: str = ""
    part: str = ""
    source: str = ""
    licence: str = ""
    split: str = ""
    where: str = field(default="", compare=False)

    @cached_property
    def id(self) -> str:
        return text_id(self.text)


@dataclass(frozen=True)
class Refusal:
    """A line that could not be read as a row, and why."""

    where: str
    reason: str
    excerpt: str = ""


@dataclass(frozen=True)
class Reading:
    """What was read and what was refused; every input line is in one of the two."""

    rows: list[Row]
    refused: list[Refusal]


def corpus_sha256(rows: Iterable[Row]) -> str:
    """Hash of what training can see: prepared text and labels, in any order."""
    return sha256_bytes(canonical(sorted([row.id, row.domain, *sorted(row.also)] for row in rows)))
