"""Every path of the lab, in one object that is passed around."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Home:
    """Where things are. ``project`` is read-only; everything written at run time lies under ``state``."""

    project: Path = PROJECT
    state: Path = field(default=PROJECT / ".router-lab")

    @classmethod
    def from_environment(cls) -> Home:
        """``$ROUTER_LAB_HOME`` moves the state folder; the default is ``.router-lab/`` beside the code."""
        given = os.environ.get("ROUTER_LAB_HOME")
        return cls(state=Path(given).expanduser().resolve()) if given else cls()

    @cached_property
    def routers(self) -> Path:
        return self.project / "models" / "routers"

    @cached_property
    def taxonomy(self) -> Path:
        return self.project / "models" / "taxonomy.json"

    @cached_property
    def backends(self) -> Path:
        return self.project / "models" / "backends.yaml"

    @cached_property
    def corpus(self) -> Path:
        return self.project / "corpus"

    @cached_property
    def encoders(self) -> Path:
        return self.state / "encoders"

    @cached_property
    def adapted(self) -> Path:
        """Encoders that deep retrains made; routers name them."""
        return self.state / "adapted"

    @cached_property
    def vectors(self) -> Path:
        return self.state / "vectors.sqlite"

    @cached_property
    def live_taxonomy(self) -> Path:
        """A copy of the newest taxonomy of the database, once it was changed: a cold process need not open the database for it."""
        return self.state / "taxonomy.json"

    @cached_property
    def live_backends(self) -> Path:
        return self.state / "backends.yaml"

    @cached_property
    def database(self) -> Path:
        """Where SQLite lies when no other database is named."""
        return self.state / "lab.sqlite"

    @cached_property
    def projections(self) -> Path:
        return self.state / "projections"

    @cached_property
    def out_of_fold(self) -> Path:
        return self.state / "out-of-fold"

    @cached_property
    def behaviour(self) -> Path:
        return self.project / "models" / "behaviour.jsonl"

    @cached_property
    def golden(self) -> Path:
        return self.project / "models" / "golden.jsonl"

    @cached_property
    def provider(self) -> Path:
        return self.project / "models" / "provider.yaml"

    @cached_property
    def versions(self) -> Path:
        """Immutable versions of routers, one folder each."""
        return self.state / "versions"

    @cached_property
    def serving(self) -> Path:
        """The champion as a plain folder that a gateway can load: a link to a complete folder."""
        return self.state / "serving" / "router"

    @cached_property
    def job_logs(self) -> Path:
        return self.state / "jobs"

    @cached_property
    def out_of_domain(self) -> Path:
        return self.project / "models" / "out_of_domain.jsonl"
