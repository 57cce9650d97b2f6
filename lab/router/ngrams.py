"""Word and character n-grams of prompts as hashed keys: whole batches at a time, no vocabulary, no state, so nothing to pickle."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
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
POWERS = np.cumprod(np.full(LONGEST, ODD, dtype=np.uint64))
WIDTH = np.uint64(33)
"""Bits of a key."""
CHARACTER = np.uint64(1) << SHIFT
KIND_WORD = np.uint64(int(ODD) % 2**64)
KINDS = np.asarray([n * int(ODD) % 2**64 for n in (2, *(n + 8 for n in CHARACTERS))], dtype=np.uint64)
"""Of pairs of words, and of n-grams of 3, 4 and 5 characters."""


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
    space = codes == SPACE
    owner, word = _words(codes, row, space)
    pair = owner[1:] == owner[:-1]
    found = [(owner[1:][pair], word[:-1][pair] * ODD + word[1:][pair]), *_characters(codes, row, space)]
    sizes = [len(one) for one, _ in found]
    mixed = _mixed(np.concatenate([raw for _, raw in found]), np.repeat(KINDS[: len(found)], sizes)) >> SHIFT
    mixed[sizes[0] :] |= CHARACTER
    both = np.concatenate([owner, *(one for one, _ in found)]).astype(np.uint64) << WIDTH
    both, count = np.unique(both | np.concatenate([word >> SHIFT, mixed]), return_counts=True)
    return Counts((both >> WIDTH).astype(np.int64), both & ((np.uint64(1) << WIDTH) - np.uint64(1)), count, len(parts))


def _words(codes: np.ndarray, row: np.ndarray, space: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(w,) row and (w,) 64-bit hash of each word in a row of texts."""
    letter = ~space[:-1]
    begins = letter & np.concatenate([[True], space[:-2]])
    start = np.flatnonzero(begins)
    if len(start) == 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.uint64)
    at = np.arange(len(letter))
    place = np.minimum(at - np.maximum.accumulate(np.where(begins, at, 0)), LONGEST - 1)
    weighted = np.where(letter, codes[:-1] * POWERS[place], np.uint64(0))
    return row[start], _mixed(np.add.reduceat(weighted, start), KIND_WORD)


def _characters(codes: np.ndarray, row: np.ndarray, space: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each length of CHARACTERS the row and the rolling hash of its n-grams: no space between the first and the last character."""
    spaces, rolling = np.cumsum(space), codes
    for n in range(2, max(CHARACTERS) + 1):
        size = len(codes) - n + 1
        if size < 1:
            return
        rolling = rolling[:size] * ODD + codes[n - 1 :]
        if n in CHARACTERS:
            inside = (spaces[n - 2 : n - 2 + size] == spaces[:size]) & ~(space[:size] & space[1 : size + 1])
            yield row[:size][inside], rolling[inside]


def _mixed(value: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """splitmix64's finaliser; ``kind`` (of KINDS) keeps n-grams of different lengths apart."""
    value = value + kind
    value = (value ^ (value >> np.uint64(30))) * MIX[0]
    value = (value ^ (value >> np.uint64(27))) * MIX[1]
    return value ^ (value >> (SHIFT - np.uint64(1)))
