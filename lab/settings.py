"""Environment of the process, read once where it starts and passed on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.errors import SettingsError
from lab.text.encoder import AUTO, PRECISIONS

ROLES = ("viewer", "curator", "maintainer")
"""Each may do what those before it may."""


@dataclass(frozen=True)
class Settings:
    """``encoder``: replaces the encoder named by a router whose own cannot be had; empty means the router's. ``precision``: what serves.

    ``database_url``: another database than SQLite in the state folder; it may hold a password and is never shown. ``read_only``: nobody
    may write (demo mode). ``unverified_role``: what people may do who only typed a name. ``roles``: role by e-mail address, for OIDC.
    """

    encoder: str = ""
    precision: str = AUTO
    default_router: str = "lab-47"
    database_url: str = field(default="", repr=False)
    read_only: bool = False
    unverified_role: str = "maintainer"
    roles: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_environment(cls) -> Settings:
        """ROUTER_LAB_ENCODER, _PRECISION, _ROUTER, _DATABASE_URL, _READ_ONLY, _UNVERIFIED_ROLE, _ROLES (a YAML file: role → [e-mail, …])."""
        settings = cls(
            os.environ.get("ROUTER_LAB_ENCODER", ""),
            os.environ.get("ROUTER_LAB_PRECISION", AUTO),
            os.environ.get("ROUTER_LAB_ROUTER", "lab-47"),
            os.environ.get("ROUTER_LAB_DATABASE_URL", ""),
            _yes("ROUTER_LAB_READ_ONLY"),
            os.environ.get("ROUTER_LAB_UNVERIFIED_ROLE", "maintainer"),
            _read_roles(os.environ.get("ROUTER_LAB_ROLES", "")),
        )
        if settings.unverified_role not in ROLES:
            raise SettingsError(f"ROUTER_LAB_UNVERIFIED_ROLE is '{settings.unverified_role}'.", f"Use one of: {', '.join(ROLES)}.")
        if settings.precision not in (AUTO, *PRECISIONS):
            raise SettingsError(f"ROUTER_LAB_PRECISION is '{settings.precision}'.", f"Use one of: {', '.join((AUTO, *PRECISIONS))}.")
        return settings

    def environment(self, state: Path) -> dict[str, str]:
        """What a process of this lab's own needs to see the same state and the same database."""
        own = {
            "ROUTER_LAB_HOME": str(state), "ROUTER_LAB_ENCODER": self.encoder, "ROUTER_LAB_PRECISION": self.precision,
            "ROUTER_LAB_ROUTER": self.default_router, "ROUTER_LAB_DATABASE_URL": self.database_url,
        }  # fmt: skip
        return dict(os.environ) | own


def _yes(name: str) -> bool:
    value = os.environ.get(name, "").strip().lower()
    if value not in ("", "0", "1", "no", "yes", "false", "true"):
        raise SettingsError(f"{name} is '{value}'.", "Use 1 or 0.")
    return value in ("1", "yes", "true")


def _read_roles(path: str) -> dict[str, str]:
    """E-mail address, lower case → role."""
    if not path:
        return {}
    import yaml

    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"ROUTER_LAB_ROLES: {path} cannot be read ({str(error).splitlines()[0]}).", "Name a YAML file.") from None
    if not isinstance(raw, dict) or not set(raw) <= set(ROLES) or not all(isinstance(people, list) for people in raw.values()):
        raise SettingsError(f"ROUTER_LAB_ROLES: {path} is no list of roles.", f"Write 'curator: [e-mail, …]'; roles are {', '.join(ROLES)}.")
    return {str(person).strip().lower(): role for role in ROLES for person in raw.get(role, [])}
