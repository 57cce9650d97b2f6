"""The one preparation of a prompt, shared by training and serving."""

from __future__ import annotations

import unicodedata
from hashlib import sha256

from lab.errors import InputError

PREPARATION = "1"
"""Version of :func:`prepare`; part of every encoder id. Raise it when the function's answers change."""

MAX_CHARS = 100_000
CUT_OVER = 1_000
CUT_KEEP = 256
CUT_MARK = " ... "


def fault(text: object) -> str | None:
    """Why ``text`` cannot be routed, as a clause ("the prompt is empty"), or None if it can."""
    if not isinstance(text, str):
        return f"the prompt is a {type(text).__name__}, not a text"
    if not text.strip():
        return "the prompt is empty" if not text else "the prompt has only white space"
    if len(text) > MAX_CHARS:
        return f"the prompt has {len(text):,} characters and at most {MAX_CHARS:,} are taken"
    if "\0" in text:
        return f"the prompt has a NUL character at position {text.index(chr(0)) + 1}"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"the prompt has a lone surrogate (U+{ord(text[error.start]):04X}) at position {error.start + 1}"
    return None


def normalised(text: str) -> str:
    """NFC, Unix line ends, stripped: the text whose length decides on the cut."""
    return unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").strip()


def is_cut(text: str) -> bool:
    """Whether :func:`prepare` leaves out the middle of ``text``."""
    return len(normalised(text)) > CUT_OVER


def prepare(text: str) -> str:
    """The text a router sees: NFC, Unix line ends, stripped; over 1 000 characters the first 256, " ... ", the last 256.

    The cut is the gateway's own (spec router.md §1). Idempotent. Raises InputError for what :func:`fault` finds.
    """
    problem = fault(text)
    if problem:
        raise InputError(f"{problem[0].upper()}{problem[1:]}.", "Type or paste the text of one question, without control bytes.")
    text = normalised(text)
    if len(text) > CUT_OVER:
        text = f"{text[:CUT_KEEP].strip()}{CUT_MARK}{text[-CUT_KEEP:].strip()}"
    return text


def text_id(text: str) -> str:
    """sha256 (hex) of the prepared text: the identity of a prompt in splits, caches and records."""
    return sha256(prepare(text).encode()).hexdigest()
