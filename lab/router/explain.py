"""Which words drive a decision: leave one out and look at the logit."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

MOST_PIECES = 48


@dataclass(frozen=True)
class Piece:
    """A word (or, in long prompts, a run of words). ``effect``: logit of the domain with it minus without it; positive speaks for it."""

    text: str
    start: int
    end: int
    effect: float


def pieces(text: str, most: int = MOST_PIECES) -> list[tuple[int, int]]:
    """Spans of the words of ``text``; more than ``most`` words are taken in runs of equal length."""
    words = [match.span() for match in re.finditer(r"\S+", text)]
    run = -(-len(words) // most) if words else 1
    return [(words[i][0], words[min(i + run, len(words)) - 1][1]) for i in range(0, len(words), run)]


def leave_one_out(text: str, logit: Callable[[Sequence[str]], np.ndarray]) -> list[Piece]:
    """One Piece per span. ``logit`` maps texts to (n,) logits of the domain in question; it is called once. Under two words: empty."""
    spans = pieces(text)
    if len(spans) < 2:
        return []
    shorter = [(text[:start] + text[end:]).strip() for start, end in spans]
    values = logit([text, *shorter])
    return [Piece(text[start:end], start, end, float(values[0] - value)) for (start, end), value in zip(spans, values[1:], strict=True)]
