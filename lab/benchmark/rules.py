"""What a run may reach and use: everything on one's own machine, little on a shared server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.errors import SettingsError


@dataclass(frozen=True)
class Rules:
    """``variables``: names usable in ``${…}``, None for any. ``private``: hosts ("name" or "name:port") allowed though private; "*" for all.

    ``configured``: the server's own models.yaml; its addresses and variables are allowed as they stand there.
    """

    variables: frozenset[str] | None = None
    private: frozenset[str] = frozenset({"*"})
    configured: str = ""
    code: bool = True

    @classmethod
    def own(cls) -> Rules:
        """A person at a command line of their own."""
        return cls()

    @classmethod
    def shared(cls, environment: Mapping[str, str]) -> Rules:
        """A server: ROUTER_LAB_ENDPOINTS (a models.yaml), _ENDPOINT_VARIABLES, _PRIVATE_ENDPOINTS (both comma-separated), _CODE_EVAL (1)."""
        path = environment.get("ROUTER_LAB_ENDPOINTS", "")
        try:
            configured = Path(path).read_text(encoding="utf-8") if path else ""
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"ROUTER_LAB_ENDPOINTS: {path} cannot be read ({type(error).__name__}).", "Name a models.yaml.") from None
        return cls(
            _names(environment.get("ROUTER_LAB_ENDPOINT_VARIABLES", "")),
            frozenset(one.lower() for one in _names(environment.get("ROUTER_LAB_PRIVATE_ENDPOINTS", ""))),
            configured,
            environment.get("ROUTER_LAB_CODE_EVAL", "").strip().lower() in ("1", "yes", "true"),
        )


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())
