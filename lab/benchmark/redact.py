"""Keeps secrets out of everything that is written or shown, even where an endpoint sends them back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

HIDDEN = "[secret]"
SHORTEST = 8
"""Shorter values ("EMPTY", "ollama") are placeholders, not keys; hiding them would change answers."""


class Redactor:
    """``redact(text)`` replaces each secret, as it is, URL-quoted or inside "Bearer …"."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        parts = {part for secret in secrets for part in (secret, *secret.split()) if len(part) >= SHORTEST}
        forms = {form for part in parts for form in (part, quote(part), quote(part, safe=""))}
        self._pattern = re.compile("|".join(re.escape(one) for one in sorted(forms, key=len, reverse=True))) if forms else None

    def __call__(self, text: str) -> str:
        return self._pattern.sub(HIDDEN, text) if self._pattern else text

    def every(self, value: Any) -> Any:
        """``value`` as JSON knows it, with each text in it, keys too, without secrets."""
        if isinstance(value, dict):
            return {self(key) if isinstance(key, str) else key: self.every(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.every(one) for one in value]
        return self(value) if isinstance(value, str) else value
