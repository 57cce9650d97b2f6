"""The taxonomy's versions. SQL of ``taxonomies``. The first version is the shipped file; the table holds what people made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from lab.curation.state import Actor
from lab.database.connect import now
from lab.database.schema import taxonomies
from lab.files import canonical, write_bytes, write_json


@dataclass(frozen=True)
class TaxonomyVersion:
    """``taxonomy`` and ``backends`` as in models/taxonomy.json and models/backends.yaml. ``batch_id``: the migration of labels that came with it."""

    version: int
    at_utc: str
    who: str
    kind: str
    title: str
    taxonomy: Mapping[str, Any]
    backends: Mapping[str, Any]
    batch_id: str | None


def everything(connection: sa.Connection) -> list[TaxonomyVersion]:
    """Newest first."""
    return [
        TaxonomyVersion(
            row.version, row.at_utc, row.who, row.kind, row.title, json.loads(row.taxonomy), json.loads(row.backends), row.batch_id
        )
        for row in connection.execute(sa.select(taxonomies).order_by(taxonomies.c.version.desc()))
    ]


def add(
    connection: sa.Connection,
    actor: Actor,
    kind: str,
    title: str,
    taxonomy: Mapping[str, Any],
    backends: Mapping[str, Any],
    batch_id: str | None,
) -> None:
    """IntegrityError if the version exists: somebody else was quicker."""
    row = {
        "version": taxonomy["version"], "at_utc": now(), "who": actor.name, "kind": kind, "title": title, "taxonomy": canonical(dict(taxonomy)).decode(),
        "backends": canonical(dict(backends)).decode(), "batch_id": batch_id,
    }  # fmt: skip
    connection.execute(sa.insert(taxonomies).values(row))


def mirror(connection: sa.Connection, taxonomy: Path, backends: Path) -> None:
    """The newest version as files; none where the shipped one is still in force."""
    row = connection.execute(sa.select(taxonomies).order_by(taxonomies.c.version.desc()).limit(1)).first()
    if row is None:
        taxonomy.unlink(missing_ok=True)
        backends.unlink(missing_ok=True)
        return
    import yaml

    write_json(taxonomy, json.loads(row.taxonomy))
    write_bytes(backends, yaml.safe_dump(json.loads(row.backends), allow_unicode=True, sort_keys=False).encode())
