"""Environment of the process, read once where it starts and passed on."""

from __future__ import annotations

import os
from dataclasses import dataclass

from lab.errors import SettingsError
from lab.text.encoder import PRECISIONS


@dataclass(frozen=True)
class Settings:
    """``encoder``: replaces the encoder named by a router whose own cannot be had; empty means the router's. ``precision``: what serves."""

    encoder: str = ""
    precision: str = "int8"
    default_router: str = "lab-47"

    @classmethod
    def from_environment(cls) -> Settings:
        """ROUTER_LAB_ENCODER, ROUTER_LAB_PRECISION, ROUTER_LAB_ROUTER."""
        settings = cls(
            os.environ.get("ROUTER_LAB_ENCODER", ""),
            os.environ.get("ROUTER_LAB_PRECISION", "int8"),
            os.environ.get("ROUTER_LAB_ROUTER", "lab-47"),
        )
        if settings.precision not in PRECISIONS:
            raise SettingsError(f"ROUTER_LAB_PRECISION is '{settings.precision}'.", f"Use one of: {', '.join(PRECISIONS)}.")
        return settings
