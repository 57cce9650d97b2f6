"""A folder that ``datasets.load_dataset(path)`` reads: a card with YAML metadata, and one Parquet file a split. Carried as a zip.

Layout: https://huggingface.co/docs/datasets/repository_structure. Splits there are ``\\w+``: valid is called validation, as is usual.
"""

from __future__ import annotations

import fnmatch
import io
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lab.curation.formats import parquet_file
from lab.curation.formats.labelled import Labelled
from lab.curation.formats.records import SPLITS
from lab.errors import InputError

NAMES = {"train": "train", "valid": "validation", "test": "test", "left-out": "left_out", "": "unsplit"}
CARD = "README.md"
SPDX = ("apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "bsd-3-clause", "gpl-3.0", "odbl", "pddl")
"""Licences whose SPDX name is, in small letters, the hub's own name for them; others are "other"."""
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def files(rows: Sequence[Labelled]) -> dict[str, bytes]:
    """Path in the folder → bytes. InputError without any row: ``datasets`` cannot load an empty set."""
    if not rows:
        raise InputError("There is no prompt to export as a Hugging Face folder.", "Choose other filters, or another format.")
    out: dict[str, bytes] = {}
    for split, name in NAMES.items():
        side = [row for row in rows if row.split == split]
        if side:
            out[f"data/{name}-00000-of-00001.parquet"] = parquet_file.write(side)
    return {CARD: _card(rows, list(out)).encode(), **out}


def write(rows: Sequence[Labelled]) -> bytes:
    """The folder as a zip; dates fixed and nothing compressed twice, so that the same content gives the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for path, data in files(rows).items():
            entry = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return out.getvalue()


def _card(rows: Sequence[Labelled], paths: Sequence[str]) -> str:
    import yaml

    licences = sorted({row.licence for row in rows if row.licence})
    head: dict[str, Any] = {
        "configs": [
            {"config_name": "default", "data_files": [{"split": path.split("/")[1].split("-")[0], "path": path} for path in paths]}
        ],
        "task_categories": ["text-classification"],
        "size_categories": [next((name for limit, name in SIZES if len(rows) < limit), "n>1M")],
    }
    languages = sorted({row.language for row in rows if len(row.language) == 2 and row.language.isascii() and row.language.isalpha()})
    if languages:
        head["language"] = languages
    if licences:
        head["license"] = sorted({one.lower() if one.lower() in SPDX else "other" for one in licences})
    counts = Counter(row.domain for row in rows if row.domain)
    lines = [f"- `{name}`: {n}" for name, n in sorted(counts.items())]
    return (
        f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n\n# Labelled prompts of a domain router\n\n"
        f"{len(rows)} prompts. `domain` is who should answer the prompt (null: no label), `also` who could answer it well too,\n"
        "`routable` false: no domain should. `before`, `who`, `at_utc`, `reason` and `queue` tell of the last change of the label.\n"
        f"`split` is the side of the split; prompts of test never enter training.\n\n## Prompts per domain\n\n{chr(10).join(lines) or 'None.'}\n"
    )


def split_of(path: str, card: bytes | None) -> str | None:
    """The split of the rows of a data file: by the card's ``data_files``, else by the words of its name; None if neither says."""
    for pattern, split in _card_splits(card).items():
        if fnmatch.fnmatch(path, pattern):
            return SPLITS.get(split.lower())
    words = path.rsplit("/", 1)[-1].lower().replace(".", "-").replace(" ", "-").split("-")
    return next((SPLITS[word] for word in words if word and word in SPLITS), None)


def _card_splits(card: bytes | None) -> Mapping[str, str]:
    import yaml

    parts = (card or b"").decode("utf-8", "replace").split("---\n", 2)
    try:
        head = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0].strip() else {}
    except yaml.YAMLError:
        return {}
    out: dict[str, str] = {}
    for config in head.get("configs") or [] if isinstance(head, dict) else []:
        for entry in (config.get("data_files") if isinstance(config, dict) else None) or []:
            if isinstance(entry, dict) and isinstance(entry.get("split"), str):
                paths = entry.get("path")
                out |= dict.fromkeys(
                    [one for one in (paths if isinstance(paths, list) else [paths]) if isinstance(one, str)], entry["split"]
                )
    return out
