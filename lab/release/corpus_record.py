"""Annex IV §2(b): the corpus record (PROVENANCE.json, fields of spec router.md §4) of what a version was trained on."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from lab.errors import ArtefactError
from lab.release.facts import Facts


def corpus_record(facts: Facts, rebuilt_at_utc: str | None = None) -> dict[str, Any]:
    """ArtefactError for a version without a corpus snapshot: there is nothing to state."""
    snapshot = facts.snapshot
    if snapshot is None:
        raise ArtefactError(
            f"Version {facts.version.short} has no corpus snapshot.", "Its corpus record must come from whoever trained it."
        )
    made = snapshot.composition
    totals: dict[str, int] = defaultdict(int)
    for one in made["sources"]:
        totals[one["domain"]] += one["rows"]
    return {
        "version": 1, "rebuilt_at_utc": rebuilt_at_utc, "seed": facts.recipe.get("seed"), "revision": snapshot.revision,
        "corpus_sha256": snapshot.corpus_sha256, "split_sha256": snapshot.split_sha256, "split_rows": made["split_rows"],
        "sources": [
            {
                "domain": one["domain"], "huggingface_repo": one["source"] if _is_repository(one["source"]) else None, "config": None, "split": None,
                "license_spdx": one["license_spdx"] or None, "rows_used": one["rows"], "note": None if _is_repository(one["source"]) else one["source"] or None,
            }
            for one in made["sources"]
        ],
        "per_language": made["per_language"], "left_out": made["left_out"], "renamed": made["renamed"],
        "totals": {"per_domain": dict(sorted(totals.items()))}, "grand_total": len(snapshot.labels),
    }  # fmt: skip


def _is_repository(source: str) -> bool:
    """Whether a source reads owner/name, as the hub's data sets do."""
    return re.fullmatch(r"[\w.-]+/[\w.-]+", source) is not None
