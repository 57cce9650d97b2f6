"""Read labelled prompts of every format, by extension and content. Every record is a row, a refusal or a repetition."""

from __future__ import annotations

import difflib
import io
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from lab.corpus.rows import Refusal
from lab.curation.formats import argilla, huggingface, label_studio, tables
from lab.curation.formats.cells import from_cells
from lab.curation.formats.labelled import Labelled
from lab.curation.formats.records import KNOWN, SPLITS, from_record
from lab.errors import InputError
from lab.files import sha256_bytes
from lab.taxonomy import Taxonomy

READERS: dict[str, Callable[[bytes, str], Iterator[tables.Raw]]] = {
    "jsonl": tables.jsonl, "csv": tables.comma_separated, "parquet": tables.parquet, "json": tables.json_list,
}  # fmt: skip
SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".json": "json", ".zip": "zip"}


@dataclass(frozen=True)
class Import:
    """What a file gave. ``read`` = rows + refused + repeated.

    ``renamed``: "alias → domain" → how often. ``kept_split``: prompts whose file names another split than the project's, which
    stands. ``unused``: keys that were read over → how often. ``skipped``: files of a folder or zip that hold no records.
    """

    name: str
    format: str
    sha256: str
    read: int
    rows: list[Labelled]
    refused: list[Refusal]
    repeated: list[Refusal] = field(default_factory=list)
    renamed: dict[str, int] = field(default_factory=dict)
    kept_split: list[Refusal] = field(default_factory=list)
    unused: dict[str, int] = field(default_factory=dict)
    skipped: list[Refusal] = field(default_factory=list)

    @property
    def summary(self) -> str:
        unlabelled = sum(row.domain is None and row.routable for row in self.rows)
        parts = [f"{self.read} records read: {len(self.rows)} usable ({unlabelled} without a label)", f"{len(self.refused)} refused"]
        return ", ".join([*parts, f"{len(self.repeated)} repeated, {len(self.kept_split)} whose split stays the project's"]) + "."


def read_labelled(source: Path | bytes, taxonomy: Taxonomy, name: str = "", known: Mapping[str, str] | None = None) -> Import:
    """Rows in file order. ``name`` is the file name of an upload. ``known``: text id → split of the prompts the project has:
    their split stands whatever the file says. InputError if the whole cannot be read."""
    parts, kind, digest, skipped = _parts(source, name)
    seen: list[Labelled] = []
    refused: list[Refusal] = []
    unused: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    read = 0
    for part in parts:
        for where, raw in part.records:
            read += 1
            record, form = _plain(raw, part.kind)
            kinds[form] += 1
            if isinstance(record, str):
                refused.append(Refusal(where, record))
                continue
            unused.update(key for key in record if key not in KNOWN and record[key] not in (None, ""))
            if part.split is not None and not record.get("split"):
                record = {**record, "split": part.split}
            item = from_record(record, where, part.stem if taxonomy.canonical(part.stem) in taxonomy.by_name else "")
            (seen if isinstance(item, Labelled) else refused).append(item)
    renamed: Counter[str] = Counter()
    named = [_named(row, taxonomy, renamed) for row in seen]
    refused += [one for one in named if isinstance(one, Refusal)]
    rows, against, repeated = _once([one for one in named if isinstance(one, Labelled)])
    rows, kept_split = _known_splits(rows, known or {})
    form = kind or (kinds.most_common(1)[0][0] if kinds else "")
    return Import(
        _title(source, name), form, digest, read, rows, [*refused, *against], repeated, dict(renamed), kept_split, dict(unused), skipped
    )


@dataclass(frozen=True)
class _Part:
    kind: str
    stem: str
    split: str | None
    records: Iterator[tables.Raw]


def _title(source: Path | bytes, name: str) -> str:
    return name or (source.name if isinstance(source, Path) else "upload")


def _parts(source: Path | bytes, name: str) -> tuple[list[_Part], str, str, list[Refusal]]:
    title = _title(source, name)
    if isinstance(source, Path) and source.is_dir():
        files = folder(source)
        digest = sha256_bytes("\n".join(f"{path} {sha256_bytes(data)}" for path, data in files).encode())
        return *_of_folder(files, title), digest, *_skipped(files)
    data = source if isinstance(source, bytes) else bounded(source)
    if len(data) > tables.MAX_BYTES:
        raise InputError(f"{title} has {len(data):,} bytes; at most {tables.MAX_BYTES:,} are taken.", "Part it.")
    kind = kind_of(data, title)
    if kind == "zip":
        files = list(unzipped(data, title))
        return *_of_folder(files, title), sha256_bytes(data), *_skipped(files)
    stem = PurePosixPath(title).stem
    return [_Part(kind, stem, SPLITS.get(stem.lower()) or None, READERS[kind](data, title))], "", sha256_bytes(data), []


def _of_folder(files: Sequence[tuple[str, bytes]], title: str) -> tuple[list[_Part], str]:
    card = next((data for path, data in files if path == huggingface.CARD), None)
    parts = [
        _Part(kind, PurePosixPath(path).stem, huggingface.split_of(path, card), READERS[kind](data, path))
        for path, data in files
        if (kind := _data_kind(path))
    ]
    if not parts:
        raise InputError(f"{title} holds no data file.", f"Expected files ending in {', '.join(SUFFIXES)}.")
    return parts, "huggingface" if card is not None else ""


def _data_kind(path: str) -> str:
    kind = SUFFIXES.get(PurePosixPath(path).suffix.lower(), "")
    return "" if kind == "zip" or PurePosixPath(path).name.startswith(".") or path.startswith("__MACOSX") else kind


def _skipped(files: Sequence[tuple[str, bytes]]) -> tuple[list[Refusal]]:
    return ([Refusal(path, "no data file") for path, _ in files if not _data_kind(path) and path != huggingface.CARD],)


def bounded(path: Path) -> bytes:
    """The bytes of a file. InputError if it is missing, too large or cannot be read."""
    try:
        if path.stat().st_size > tables.MAX_BYTES:
            raise InputError(f"{path} has {path.stat().st_size:,} bytes; at most {tables.MAX_BYTES:,} are taken.", "Part it.")
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.", "Check the path.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check the path and its permissions.") from None


def folder(path: Path) -> list[tuple[str, bytes]]:
    """(path inside, bytes) of the files of a folder, in name order, hidden ones left out."""
    inside = [
        one for one in sorted(path.rglob("*")) if one.is_file() and not any(part.startswith(".") for part in one.relative_to(path).parts)
    ]
    if sum(one.stat().st_size for one in inside) > tables.MAX_BYTES:
        raise InputError(f"{path} holds over {tables.MAX_BYTES:,} bytes.", "Part it.")
    return [(one.relative_to(path).as_posix(), bounded(one)) for one in inside]


def unzipped(data: bytes, name: str) -> Iterator[tuple[str, bytes]]:
    """(path, bytes) of a zip's files; nothing is written to disk. InputError for one that is damaged, locked or unpacks too large."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [one for one in archive.infolist() if not one.is_dir()]
            if sum(one.file_size for one in entries) > tables.MAX_BYTES or len(entries) > 10_000:
                raise InputError(f"{name} unpacks to more than {tables.MAX_BYTES:,} bytes or 10 000 files.", "Part it.")
            for one in sorted(entries, key=lambda entry: entry.filename):
                if one.filename.startswith("/") or ".." in PurePosixPath(one.filename).parts or "\\" in one.filename:
                    raise InputError(f"{name} holds the path {one.filename!r}, which leads out of it.", "Zip the folder again.")
                yield one.filename, archive.read(one)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError, ValueError) as error:
        raise InputError(f"{name} is no zip that can be read: {str(error)[:200]}.", "Zip the folder again, without a password.") from None


def kind_of(data: bytes, name: str) -> str:
    """jsonl, csv, parquet, json or zip: by the first bytes where they tell, else by the extension."""
    head = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    if data[:4] == b"PAR1":
        return "parquet"
    if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "zip"
    by_name = SUFFIXES.get(PurePosixPath(name).suffix.lower())
    if by_name in ("json", "jsonl", None) and head[:1] in (b"[", b"{"):
        return "json" if head[:1] == b"[" else "jsonl"
    if by_name:
        return by_name
    raise InputError(f"{name} is of no known format.", f"Expected a file ending in {', '.join(SUFFIXES)}.")


def _plain(raw: dict[str, Any] | str, kind: str) -> tuple[dict[str, Any] | str, str]:
    if isinstance(raw, str):
        return raw, kind
    if argilla.is_record(raw):
        return argilla.record(raw), "argilla"
    if label_studio.is_task(raw):
        return label_studio.record(raw), "label-studio"
    return (from_cells(raw) if kind == "csv" else raw), kind


def _named(row: Labelled, taxonomy: Taxonomy, renamed: Counter[str]) -> Labelled | Refusal:
    """The row under the taxonomy's names. A label it does not know, even in small letters, refuses the row."""
    final: dict[str, str] = {}
    for label in filter(None, (row.domain, *row.also)):
        name = next((one for one in (taxonomy.canonical(label), taxonomy.canonical(label.lower())) if one in taxonomy.by_name), None)
        if name is None:
            near = difflib.get_close_matches(label.lower(), taxonomy.by_name, 3)
            return Refusal(row.where, f"unknown domain {label!r}" + (f", near: {', '.join(near)}" if near else ""), row.text[:80])
        final[label] = name
    renamed.update(f"{label} → {name}" for label, name in final.items() if label != name)
    return replace(row, domain=final[row.domain] if row.domain else None, also=tuple(final[one] for one in row.also))


def _once(rows: Sequence[Labelled]) -> tuple[list[Labelled], list[Refusal], list[Refusal]]:
    """One row a prompt. Rows that give one prompt two labels are all refused; equal ones are kept once, the first."""
    groups: dict[str, list[Labelled]] = defaultdict(list)
    for row in rows:
        groups[row.id].append(row)
    kept: list[Labelled] = []
    against: list[Refusal] = []
    repeated: list[Refusal] = []
    for group in groups.values():
        first = group[0]
        if len({row.state for row in group}) > 1:
            said = "; ".join(f"{row.where}: {row.state}" for row in group[:4])
            against += [Refusal(row.where, f"one prompt with contradicting labels ({said})", row.text[:80]) for row in group]
            continue
        kept.append(first)
        repeated += [Refusal(row.where, f"the prompt of {first.where} again, with the same label", row.text[:80]) for row in group[1:]]
    return kept, against, repeated


def _known_splits(rows: Sequence[Labelled], known: Mapping[str, str]) -> tuple[list[Labelled], list[Refusal]]:
    out, kept = [], []
    for row in rows:
        split = known.get(row.id, row.split)
        if row.split and split != row.split:
            kept.append(
                Refusal(row.where, f"the file says {row.split}, the project {split or 'none'}: the project's stands", row.text[:80])
            )
        out.append(replace(row, split=split))
    return out, kept
