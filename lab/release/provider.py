"""What only the provider of a router knows: one small YAML file, models/provider.yaml."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from lab.errors import SettingsError

NOT_STATED = "not stated by the provider"


@dataclass(frozen=True)
class Provider:
    """Texts may be empty: the records then say so. ``power_w`` is the mean power of the training machine, or None."""

    provider: str = ""
    contact: str = ""
    role: str = ""
    license_spdx: str = ""
    risk_classification: str = ""
    intended_use: str = ""
    out_of_scope: tuple[str, ...] = ()
    copyright_status: str = ""
    deployment_id: str = ""
    deployed_on_host: str = ""
    served_via: str = ""
    hardware: str = ""
    power_w: float | None = None
    training_script: str = ""
    training_data_script: str = ""
    encoder_provider: str = ""
    encoder_license_spdx: str = ""
    modifications: tuple[str, ...] = ()

    def said(self, field: str) -> str:
        return str(getattr(self, field)).strip() or NOT_STATED


def read_provider(path: Path) -> Provider:
    """SettingsError names the field that cannot be used."""
    import yaml

    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path} is missing.", "Restore it: it says who provides the model.") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(f"{path}: {error}.", "Expected 'field: text' lines.") from None
    if not isinstance(raw, dict) or raw.pop("version", None) != 1:
        raise SettingsError(f"{path}: expected a mapping with version: 1.", "Restore the file.")
    known = {field.name: str(field.type) for field in fields(Provider)}
    unknown = sorted(set(map(str, raw)) - set(known))
    if unknown:
        raise SettingsError(f"{path}: unknown fields {', '.join(unknown)}.", f"Known are: {', '.join(known)}.")
    return Provider(**{name: _value(path, name, value, known[name]) for name, value in raw.items()})


def _value(path: Path, name: str, value: Any, kind: str) -> Any:
    if kind.startswith("tuple"):
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return tuple(value)
        raise SettingsError(f"{path}: {name} is {value!r:.60}.", "Use a list of texts.")
    if kind.startswith("float"):
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e6):
            return value
        raise SettingsError(f"{path}: {name} is {value!r:.60}.", "Use watts, or leave it out.")
    if value is None or isinstance(value, str):
        return (value or "").strip()
    raise SettingsError(f"{path}: {name} is {value!r:.60}.", "Use a text.")
