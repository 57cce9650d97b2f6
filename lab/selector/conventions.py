"""What the semantic router fixes: the order of the category one-hot, names of encoders. Read from models/selectors/conventions.json."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lab.errors import ArtefactError, EncoderError, InputError
from lab.files import read_json

FILE = "conventions.json"


def plain(category: str) -> str:
    """A category's name as the router writes it: lower case, spaces."""
    return " ".join(category.replace("_", " ").split()).lower()


@dataclass(frozen=True)
class Conventions:
    """``one_hot``: place → category. ``without_place``: known categories that the one-hot sends to ``fallback``."""

    one_hot: tuple[str, ...]
    fallback: str
    without_place: tuple[str, ...]
    category_router: str
    default: str
    encoders: dict[str, dict[str, Any]]
    published: dict[str, Any]

    @classmethod
    def load(cls, folder: Path) -> Conventions:
        raw = read_json(folder / FILE)
        try:
            return cls(
                tuple(raw["one_hot"]), raw["fallback"], tuple(raw["without_place"]), raw["category_router"], raw["default"],
                dict(raw["encoders"]), dict(raw["published"]),
            )  # fmt: skip
        except (KeyError, TypeError) as error:
            raise ArtefactError(f"{folder / FILE}: {type(error).__name__} {error}.", "Restore the file.") from None

    @cached_property
    def known(self) -> tuple[str, ...]:
        """Every category that may be named."""
        return (*self.one_hot, *self.without_place)

    @cached_property
    def _place(self) -> dict[str, int]:
        last = self.one_hot.index(self.fallback)
        return {name: self.one_hot.index(name) if name in self.one_hot else last for name in self.known}

    def place(self, category: str | None) -> int:
        """The one-hot place; an unknown or absent category goes to ``fallback``, as in the router."""
        return self._place.get(plain(category or ""), self._place[self.fallback])

    def places(self, categories: Iterable[str | None]) -> np.ndarray:
        """(n,) int64."""
        return np.asarray([self.place(one) for one in categories], dtype=np.int64)

    def check(self, category: str) -> str:
        """The category as it is written; InputError with the nearest names for one that does not exist."""
        name = plain(category)
        if name in self._place:
            return name
        raise InputError(f"There is no category '{category}'.", f"{self.suggest(category)}Known are: {', '.join(self.known)}.")

    def suggest(self, category: str) -> str:
        near = difflib.get_close_matches(plain(category), self.known, n=1, cutoff=0.6)
        return f"Did you mean '{near[0]}'? " if near else ""

    def encoder(self, name: str) -> str:
        """The hub id behind a short name; anything else is a hub id or a folder already."""
        return str(self.encoders[name]["name"]) if name in self.encoders else name

    def encoder_of(self, dim: int, where: str) -> str:
        """The encoder that a file of this width was trained on, if only one known encoder has it."""
        fitting = [key for key, one in self.encoders.items() if one["dim"] == dim]
        if len(fitting) != 1:
            what = f"{', '.join(fitting)} have it" if fitting else "no known encoder has it"
            raise EncoderError(
                f"{where} reads embeddings of {dim} numbers and does not say of which encoder; {what}.", "Import it with 'selectors import FILE --name NAME --embedding-model ENCODER'."
            )
        return self.encoder(fitting[0])
