"""Labelled prompts to bytes: sorted by id, the same bytes for the same content, with a hash."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.curation.diff import labels_sha256
from lab.curation.formats import argilla, csv_file, huggingface, jsonl_file, label_studio, parquet_file
from lab.curation.formats.labelled import Labelled, ordered
from lab.errors import InputError
from lab.files import check_output, folder_aside, sha256_bytes, write_bytes


@dataclass(frozen=True)
class Format:
    name: str
    title: str
    suffix: str
    media_type: str
    write: Callable[[Sequence[Labelled]], bytes]


FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        Format("jsonl", "JSONL", ".jsonl", "application/x-ndjson", jsonl_file.write),
        Format("csv", "CSV", ".csv", "text/csv", csv_file.write),
        Format("parquet", "Parquet", ".parquet", "application/vnd.apache.parquet", parquet_file.write),
        Format("huggingface", "Hugging Face datasets folder (zip)", ".zip", "application/zip", huggingface.write),
        Format("argilla", "Argilla records (JSON)", ".argilla.json", "application/json", argilla.write),
        Format("label-studio", "Label Studio tasks (JSON)", ".label-studio.json", "application/json", label_studio.write),
    )
}


@dataclass(frozen=True)
class Export:
    """``sha256`` is of the bytes; ``labels_sha256`` of what training can see (lab.curation.diff), whatever the format."""

    format: str
    file_name: str
    media_type: str
    data: bytes
    sha256: str
    labels_sha256: str
    n: int


def export(rows: Iterable[Labelled], format: str, stem: str = "curation-set") -> Export:
    """InputError for an unknown format, two rows of one id, or a row that no file can hold (named, with the reason)."""
    form = FORMATS.get(format)
    if form is None:
        raise InputError(f"There is no format '{format}'.", f"Choose one of {', '.join(FORMATS)}.")
    kept = ordered(rows)
    data = form.write(kept)
    labels = labels_sha256({row.id: row.state for row in kept})
    return Export(form.name, f"{stem}{form.suffix}", form.media_type, data, sha256_bytes(data), labels, len(kept))


def save(made: Export, path: Path) -> None:
    """Whole or absent. A Hugging Face export whose ``path`` does not end in .zip becomes the folder itself."""
    as_folder = made.format == "huggingface" and path.suffix.lower() != ".zip"
    check_output(path, folder=as_folder)
    if not as_folder:
        write_bytes(path, made.data)
        return
    from lab.curation.formats.load import unzipped

    if path.exists() and any(path.iterdir()) and not (path / huggingface.CARD).is_file():
        raise InputError(f"{path} is a folder with other things in it.", "Name a new or empty folder: an export replaces it.")
    with folder_aside(path) as aside:
        for name, data in unzipped(made.data, path.name):
            write_bytes(aside / name, data)
