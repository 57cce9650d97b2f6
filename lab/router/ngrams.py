"""Word and character n-grams of prompts as hashed keys: whole batches at a time, no vocabulary, no state, so nothing to pickle."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lab.text.prepare import prepare

VERSION = 1
"""Of the keys. Raise it when a text's keys change: trained weights hold for one version alone."""
CHARACTERS = (3, 4, 5)
BLOCKS = ("words", "characters")
SHIFT = np.uint64(32)
FIRST_COMBINING = "\u0300"
SPACE = 32
ODD = np.uint64(0x9E3779B97F4A7C15)
"""2⁶⁴ / golden ratio, as in splitmix64 (Steele, Lea & Flood 2014)."""
MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
LONGEST = 2_048
"""Letters of a word past this many hash alike; a prepared prompt is shorter."""


@dataclass(frozen=True)
class Counts:
    """Of n texts: parallel arrays, sorted by row, then key. ``row`` (m,) int64, ``key`` (m,) uint64 (block << 32 | hash), ``count`` (m,)."""

    row: np.ndarray
    key: np.ndarray
    count: np.ndarray
    texts: int

    @property
    def block(self) -> np.ndarray:
        """(m,) place in BLOCKS."""
        return (self.key >> SHIFT).astype(np.int64)


def folded(text: str) -> str:
    """The prompt as n-grams see it: prepared, lower case, no accents; runs of letters, digits, _, + and #, and of other marks, single spaces."""
    text = prepare(text).lower()
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if c < FIRST_COMBINING or not unicodedata.combining(c))
    return " ".join(re.findall(r"[\w+#]+|[^\w\s]+", text))


def count_ngrams(texts: Sequence[str]) -> Counts:
    """Words, pairs of words in a row, and 3 to 5 characters inside " word " (sklearn's char_wb), after :func:`folded`."""
    parts = [f" {folded(text)}" for text in texts]
    codes = np.frombuffer("".join([*parts, " "]).encode("utf-32-le"), dtype="<u4").astype(np.uint64)
    row = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    rows, keys = zip(*_words(codes, row), *_characters(codes, row), strict=True)
    width = np.uint64(33)  # bits of a key
    both = (np.concatenate(rows).astype(np.uint64) << width) | np.concatenate(keys)
    both, count = np.unique(both, return_counts=True)
    return Counts((both >> width).astype(np.int64), both & ((np.uint64(1) << width) - np.uint64(1)), count, len(parts))


def _words(codes: np.ndarray, row: np.ndarray):
    letter = codes[:-1] != SPACE
    start = np.flatnonzero(letter & np.concatenate([[True], ~letter[:-1]]))
    if len(start) == 0:
        return
    place = np.arange(len(letter)) - start[np.maximum(np.searchsorted(start, np.arange(len(letter)), "right") - 1, 0)]
    weighted = np.where(letter, codes[:-1] * _powers()[np.clip(place, 0, LONGEST - 1)], np.uint64(0))
    word = _mixed(np.add.reduceat(weighted, start), 1)
    owner = row[start]
    yield owner, word >> SHIFT
    pair = owner[1:] == owner[:-1]
    yield owner[1:][pair], _mixed(word[:-1][pair] * ODD + word[1:][pair], 2) >> SHIFT


def _characters(codes: np.ndarray, row: np.ndarray):
    spaces = np.cumsum(codes == SPACE)
    rolling = codes
    for n in range(2, max(CHARACTERS) + 1):
        if len(codes) < n:
            return
        rolling = rolling[: len(codes) - n + 1] * ODD + codes[n - 1 :]
        first = np.arange(len(rolling))
        inside = spaces[first + n - 2] == spaces[first]  # no space between the first and the last
        inside &= (codes[first] != SPACE) | (codes[first + 1] != SPACE)
        if n in CHARACTERS:
            yield row[first[inside]], (_mixed(rolling[inside], n + 8) >> SHIFT) | (np.uint64(1) << SHIFT)


def _powers() -> np.ndarray:
    return np.cumprod(np.full(LONGEST, ODD, dtype=np.uint64))


def _mixed(value: np.ndarray, kind: int) -> np.ndarray:
    """splitmix64's finaliser; ``kind`` keeps n-grams of different lengths apart."""
    value = value + np.uint64(kind * int(ODD) % 2**64)
    value = (value ^ (value >> np.uint64(30))) * MIX[0]
    value = (value ^ (value >> np.uint64(27))) * MIX[1]
    return value ^ (value >> (SHIFT - np.uint64(1)))
