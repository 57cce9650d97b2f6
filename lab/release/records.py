"""The records of a version as files: written together, and only if no figure in them differs from the computed one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.errors import ArtefactError, InputError
from lab.files import folder_aside, write_bytes
from lab.release.cards import model_card
from lab.release.claims import Contradiction, diff, refuse_contradictions
from lab.release.corpus_record import corpus_record
from lab.release.facts import Facts
from lab.release.lineage import Deployment, lineage
from lab.release.provider import Provider
from lab.release.training_record import training_document

CARD, LINEAGE, CORPUS_RECORD, TRAINING = "README.md", "lineage.json", "PROVENANCE.json", "TRAINING_DATA.md"
NAMES = (CARD, LINEAGE, CORPUS_RECORD, TRAINING)


def records(facts: Facts, provider: Provider, deployment: Deployment | None = None) -> dict[str, str]:
    """File name → text. Without a corpus snapshot there is no PROVENANCE.json."""
    out = {
        CARD: model_card(facts, provider),
        LINEAGE: _json(lineage(facts, provider, deployment)),
        TRAINING: training_document(facts, provider),
    }
    if facts.snapshot is not None:
        out[CORPUS_RECORD] = _json(corpus_record(facts, deployment.at_utc if deployment else None))
    return out


def export_records(
    facts: Facts, provider: Provider, folder: Path, deployment: Deployment | None = None, edited: Mapping[str, str] | None = None
) -> list[Path]:
    """Write the records to ``folder``, whole or not at all. ``edited`` replaces generated ones (a card with a sentence added).

    ArtefactError names each figure – in a generated or edited record, in the provider's words, in meta.json – that differs.
    """
    unknown = sorted(set(edited or {}) - set(NAMES))
    if unknown:
        raise InputError(f"There is no record {', '.join(unknown)}.", f"Known are: {', '.join(NAMES)}.")
    if folder.exists() and (not folder.is_dir() or {path.name for path in folder.iterdir()} - set(NAMES)):
        raise ArtefactError(f"{folder} exists and holds other things than records.", "Name a new folder, so that nothing is overwritten.")
    documents = records(facts, provider, deployment) | dict(edited or {})
    check_records(facts, documents)
    with folder_aside(folder) as aside:
        for name, text in documents.items():
            write_bytes(aside / name, text.encode())
    return [folder / name for name in sorted(documents)]


def check_records(facts: Facts, documents: Mapping[str, str]) -> None:
    """ArtefactError if a document, or the version's own meta.json, states a figure that is not the computed one."""
    refuse_contradictions({**{name: _parsed(name, text) for name, text in documents.items()}, "meta.json": facts.meta}, facts.figures)


def diff_records(earlier: Mapping[str, str], facts: Facts) -> list[Contradiction]:
    """Earlier records (file name → text) against this version: each contradiction named, within them and with the computed figures."""
    return diff({name: _parsed(name, text) for name, text in earlier.items()}, facts.figures)


def _parsed(name: str, text: str) -> str | dict[str, Any]:
    if not name.endswith(".json"):
        return text
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InputError(f"{name} is not JSON: {error}.", "Correct the file.") from None
    return value if isinstance(value, dict) else text


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
