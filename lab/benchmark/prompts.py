"""What is sent for a query: the query, its choices where it does not show them, and a request for brevity if asked for."""

from __future__ import annotations

import re

from lab.benchmark.queries import Query
from lab.benchmark.scoring.choice import is_choice, options

CONCISE = {
    "choice": "Answer with only the letter of the correct choice. Do not explain.",
    "number": "Answer with only the final number or expression.",
    "text": "Answer in one short sentence.",
}


def content(query: Query, concise: bool = False) -> str:
    """The user message. Code questions are never shortened."""
    parts = [query.query]
    kind = _kind(query)
    if kind == "choice":
        found = options(query.choices)
        if found and not _shown(query.query, found):
            parts.append("\n".join(f"{letter}) {text}" for letter, text in found.items()))
        if not concise:
            parts.append("Give the letter of your choice.")
    if concise and kind in CONCISE:
        parts.append(CONCISE[kind])
    return "\n\n".join(parts)


def _kind(query: Query) -> str:
    metric = (query.metric or "").lower()
    if metric == "code_eval":
        return "code"
    if is_choice(query.metric, query.choices):
        return "choice"
    return "number" if metric in ("math", "gsm8k") else "text"


def _shown(text: str, found: dict[str, str]) -> bool:
    """Whether every choice stands in the query after its letter."""
    return all(re.search(rf"(?<![A-Za-z]){letter}\s*[).:]\s*{re.escape(option)}", text, re.IGNORECASE) for letter, option in found.items())
