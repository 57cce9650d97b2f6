"""Words in common: CEM, the default, and token F1."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from lab.benchmark.scoring.contract import Score, shown

ARTICLES = frozenset({"a", "an", "the"})
SPACELESS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")


def words(text: str) -> list[str]:
    """Lower-case words without punctuation, parted at apostrophes (l'homme, Paris's); numbers keep their point or comma, and + and # stay (C++, C#)."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return re.findall(r"\d+(?:[.,]\d+)+|[\w+#]+(?:-[\w]+)*", re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text))


def cem(response: str, truth: str) -> Score:
    """Conditional exact match: the words of the truth stand in the answer, together, in order and whole."""
    wanted, given = words(truth), words(response)
    if not wanted:
        held = truth.strip() in response
        return Score(float(held), "CEM: signs", f"{shown(truth)!r} {'is' if held else 'is not'} in the answer.")
    if SPACELESS.search(truth):
        held = "".join(wanted) in "".join(given)
        return Score(float(held), "CEM: script without spaces", f"{shown(truth)!r} {'is' if held else 'is not'} in the answer.")
    held = any(given[place : place + len(wanted)] == wanted for place in range(len(given) - len(wanted) + 1))
    return Score(float(held), "CEM", f"{shown(truth)!r} {'stands' if held else 'does not stand'} in the answer as whole words.")


def f1(response: str, truth: str) -> Score:
    """Harmonic mean of precision and recall over words, repeated ones counted (Rajpurkar et al. 2016)."""
    given, wanted = Counter(_content(response)), Counter(_content(truth))
    shared = sum((given & wanted).values())
    value = 2 * shared / (given.total() + wanted.total()) if shared else 0.0
    return Score(value, "F1", f"{shared} words in common of {given.total()} in the answer and {wanted.total()} in the truth.")


def _content(text: str) -> list[str]:
    found = words(text)
    return [word for word in found if word not in ARTICLES] or found
