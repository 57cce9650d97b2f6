"""``${VAR}`` and ``${VAR:-default}`` inside any string of models.yaml. An unset variable without a default is an error before the first call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lab.errors import InputError

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


@dataclass
class Expansion:
    """Reads variables from ``environment``; ``allowed`` None means any. Keeps in ``used`` which were read, never their values."""

    environment: Mapping[str, str]
    allowed: frozenset[str] | None = None
    used: set[str] = field(default_factory=set)

    def __call__(self, text: str, where: str) -> str:
        """InputError names the variable and the place; it never shows the text, which may hold a key."""
        out = VARIABLE.sub(lambda found: self._value(found[1], found[2], where), text)
        if "${" in VARIABLE.sub("", text):
            raise InputError(f"{where}: '${{' starts no variable.", "Write ${NAME} or ${NAME:-default}.")
        return out

    def _value(self, name: str, default: str | None, where: str) -> str:
        if self.allowed is not None and name not in self.allowed:
            raise InputError(
                f"{where}: the variable {name} may not be used for this endpoint.",
                "Whoever runs the server can allow it: ROUTER_LAB_ENDPOINT_VARIABLES, or the endpoint in ROUTER_LAB_ENDPOINTS.",
            )
        value = self.environment.get(name, "")
        if not value and default is None:
            raise InputError(f"{where}: the variable {name} is not set.", f"Set {name}, or write ${{{name}:-default}}.")
        self.used.add(name)
        return value or default or ""


def variables(text: str) -> set[str]:
    return {found[1] for found in VARIABLE.finditer(text)}
