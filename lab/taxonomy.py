"""The domains as data (definition, border, v5 membership, aliases) and the map from domain to backend."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lab.errors import SettingsError
from lab.files import read_json


@dataclass(frozen=True)
class Domain:
    """One domain. ``v5`` is its name in router v5, or None if v5 does not know it."""

    name: str
    definition: str
    border: str
    v5: str | None
    aliases: tuple[str, ...]


@dataclass(frozen=True)
class Taxonomy:
    version: int
    rule: str
    domains: tuple[Domain, ...]

    @classmethod
    def load(cls, path: Path) -> Taxonomy:
        return cls.from_json(read_json(path), str(path))

    @classmethod
    def from_json(cls, raw: Any, where: str) -> Taxonomy:
        """The inverse of :meth:`to_json`. SettingsError names ``where`` if ``raw`` is no taxonomy."""
        try:
            domains = tuple(Domain(d["name"], d["definition"], d["border"], d["v5"], tuple(d["aliases"])) for d in raw["domains"])
            for d in raw["domains"]:
                if not isinstance(d["aliases"], list):
                    raise TypeError(f"the aliases of {d['name']} are {d['aliases']!r}, expected a list")
            return cls(int(raw["version"]), str(raw["rule"]), domains)
        except (KeyError, TypeError, ValueError) as error:
            raise SettingsError(
                f"{where}: {type(error).__name__} {error}.", "Each domain needs name, definition, border, v5, aliases."
            ) from None

    def to_json(self) -> dict[str, Any]:
        """The content of taxonomy.json."""
        return {
            "version": self.version,
            "rule": self.rule,
            "domains": [asdict(domain) | {"aliases": list(domain.aliases)} for domain in self.domains],
        }

    @cached_property
    def by_name(self) -> dict[str, Domain]:
        return {domain.name: domain for domain in self.domains}

    @cached_property
    def _canonical(self) -> dict[str, str]:
        return {alias: domain.name for domain in self.domains for alias in (*domain.aliases, domain.name)}

    def canonical(self, label: str) -> str:
        """The taxonomy's name for a label or one of its aliases; a label it does not know is returned as it is."""
        return self._canonical.get(label, label)

    def v5_labels(self) -> dict[str, str]:
        """Taxonomy name → v5 name, for the domains that v5 knows."""
        return {domain.name: domain.v5 for domain in self.domains if domain.v5}


@dataclass(frozen=True)
class Backends:
    """Domain → the model that answers it, and the specialist adapter that can take it over."""

    backend: dict[str, str]
    specialist: dict[str, str]

    @classmethod
    def load(cls, path: Path) -> Backends:
        import yaml

        try:
            raw = yaml.safe_load(path.read_text(encoding="utf-8"))
            return cls(_inverted(raw["backends"], path), _inverted(raw.get("specialists") or {}, path))
        except FileNotFoundError:
            raise SettingsError(f"{path} is missing.", "Restore it: it says which model answers each domain.") from None
        except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
            raise SettingsError(f"{path}: {error}.", "Expected 'backends: {model: [domain, …]}' and optionally 'specialists:'.") from None

    def to_json(self) -> dict[str, Any]:
        """The content of backends.yaml: model → its domains."""
        return {"version": 1, "backends": _grouped(self.backend), "specialists": _grouped(self.specialist)}

    def costs(self, wanted: str, given: str) -> bool:
        """Whether answering ``given`` for ``wanted`` reaches another model. Two unmapped domains count as different."""
        if wanted == given:
            return False
        return wanted not in self.backend or self.backend.get(given) != self.backend[wanted]


def _grouped(models: dict[str, str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for domain, model in models.items():
        groups.setdefault(model, []).append(domain)
    return groups


def _inverted(groups: dict[str, list[str]], path: Path) -> dict[str, str]:
    out: dict[str, str] = {}
    for model, domains in groups.items():
        if not isinstance(domains, list) or not all(isinstance(domain, str) for domain in domains):
            raise SettingsError(f"{path}: {model} has {domains!r}, expected a list of domains.", f"Write '{model}: [domain, …]'.")
        for domain in domains:
            if domain in out:
                raise SettingsError(f"{path}: domain '{domain}' is given to {out[domain]} and to {model}.", "Keep it under one of them.")
            out[domain] = model
    return out
