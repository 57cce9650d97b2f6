"""Raw records of a JSONL, CSV, JSON or Parquet file, each with its place; what is broken is named there. No meaning yet."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from typing import Any

from lab.curation.formats.cells import fused
from lab.errors import InputError
from lab.files import jsonl_parse

MAX_BYTES = 256 * 1024 * 1024
"""Of one upload, and of what it unpacks to."""
MAX_RECORDS = 1_000_000
MARKS = ",;\t"
"""What may part the cells of a CSV file; a French spreadsheet writes semicolons."""

csv.field_size_limit(MAX_BYTES)  # the default ends the reading of a whole file at one long cell

Raw = tuple[str, "dict[str, Any] | str"]
"""("file:line", record) or ("file:line", what is wrong there)."""


def jsonl(data: bytes, name: str) -> Iterator[Raw]:
    for number, value in jsonl_parse(data):
        yield f"{name}:{number}", value


def comma_separated(data: bytes, name: str) -> Iterator[Raw]:
    """UTF-8 with a header line. Cells are un-defused; a record's place is the line it starts on."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{name}:{line} is not UTF-8 (byte {error.start}).", "Save it as 'CSV UTF-8'.") from None
    first = text.split("\n", 1)[0]
    mark = max(MARKS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
    except csv.Error as error:
        raise InputError(f"{name}:1 is no CSV header: {error}.", "The first line names the columns.") from None
    twice = {one for one in header if one and header.count(one) > 1}
    if not any(header) or twice:
        raise InputError(
            f"{name} names {'no column' if not any(header) else f'the column {min(twice)!r} twice'}.", "The first line names the columns."
        )
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield f"{name}:{start}", f"not CSV: {error}" + (f" (read up to line {reader.line_num})" if reader.line_num > start else "")
            continue
        if cells:
            yield f"{name}:{start}", _cells(header, cells)


def _cells(header: list[str], cells: list[str]) -> dict[str, Any] | str:
    if len(cells) != len(header):
        return f"{len(cells)} cells where the header names {len(header)}"
    return {name: fused(cell) for name, cell in zip(header, cells, strict=True) if name}


def json_list(data: bytes, name: str) -> Iterator[Raw]:
    """One JSON list of objects; the place is the number of the object, from 1. InputError if it is something else."""
    try:
        value = json.loads(data.decode("utf-8-sig"), parse_float=_finite, parse_constant=_finite)
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 (byte {error.start}).", "Save it as UTF-8.") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{name} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.", "Export it again.") from None
    except RecursionError:
        raise InputError(f"{name} is nested too deeply to be read.", "Export it again.") from None
    except ValueError as error:
        raise InputError(f"{name} cannot be read: {str(error)[:200]}.", "Export it again.") from None
    if not isinstance(value, list):
        raise InputError(f"{name} holds a {type(value).__name__}, expected a list of objects.", "Export it again.")
    for number, one in enumerate(value, start=1):
        yield f"{name}:{number}", one if isinstance(one, dict) else f"expected an object, found {type(one).__name__}"


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"the number {number[:20]} is not finite, and JSON has no such number")
    return value


def parquet(data: bytes, name: str) -> Iterator[Raw]:
    """The place is the number of the row, from 1. Class numbers become names where the file says which (Hugging Face's ClassLabel)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        size = sum(file.metadata.row_group(n).total_byte_size for n in range(file.metadata.num_row_groups))
        if size > MAX_BYTES or file.metadata.num_rows > MAX_RECORDS:
            raise InputError(
                f"{name} holds {file.metadata.num_rows:,} rows in {size:,} bytes; at most {MAX_RECORDS:,} rows and {MAX_BYTES:,} bytes are taken.",
                "Part it.",
            )
        names = _class_names(file.schema_arrow.metadata or {})
        number = 0
        for batch in file.iter_batches(batch_size=4096):
            for value in _rows(batch):
                number += 1
                yield f"{name}:{number}", value if isinstance(value, str) else _named(value, names)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{name} is no Parquet file that can be read: {str(error).splitlines()[0][:200]}.", "Export it again.") from None


def _rows(batch: Any) -> Iterator[dict[str, Any] | str]:
    try:
        yield from batch.to_pylist()
    except (ValueError, OverflowError):  # a text that is no UTF-8, a date outside Python's: find the rows that are
        for n in range(batch.num_rows):
            try:
                yield batch.slice(n, 1).to_pylist()[0]
            except (ValueError, OverflowError) as error:
                yield f"not readable: {str(error)[:120]}"


def _class_names(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return {key: list(one["names"]) for key, one in features.items() if isinstance(one, dict) and isinstance(one.get("names"), list)}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _named(value: dict[str, Any], names: dict[str, list[str]]) -> dict[str, Any]:
    for key, known in names.items():
        number = value.get(key)
        if isinstance(number, int) and not isinstance(number, bool):
            value[key] = known[number] if 0 <= number < len(known) else None
    return value
