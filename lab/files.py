"""Canonical JSON, JSONL with line numbers, hashes, and writes that are whole or absent."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lab.errors import ArtefactError, InputError


def canonical(value: Any) -> bytes:
    """One byte string per JSON value: sorted keys, no spaces, UTF-8. The input of every content hash."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def sha256_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def read_json(path: Path) -> Any:
    """The value in ``path``; an ArtefactError names the file and the place of the fault."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtefactError(f"{path} is missing.", "Restore it, or point to a complete folder.") from None
    except UnicodeDecodeError as error:
        raise ArtefactError(f"{path} is not UTF-8 (byte {error.start}).", "Save it as UTF-8 JSON.") from None
    except json.JSONDecodeError as error:
        raise ArtefactError(f"{path} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.", "Restore the file.") from None


def write_bytes(path: Path, data: bytes) -> None:
    """Write aside, fsync, rename: ``path`` holds the old bytes or the new ones, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    write_bytes(path, (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


@contextlib.contextmanager
def folder_aside(target: Path) -> Iterator[Path]:
    """A scratch folder that becomes ``target`` when the block ends well and disappears when it does not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    old = target.with_name(f".{target.name}.old-{os.getpid()}")
    try:
        yield aside
        os.chmod(aside, 0o755)
        if target.exists():
            os.replace(target, old)
        os.replace(aside, target)
    except BaseException:
        if old.exists() and not target.exists():
            os.replace(old, target)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def jsonl_lines(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """(line number, object) for each non-empty line; for a broken line (line number, what is wrong with it)."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.", "Check the path.") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; a JSONL file was expected.", "Name one file.") from None
    yield from jsonl_parse(data)


def jsonl_parse(data: bytes) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """As :func:`jsonl_lines`, from bytes (an upload). Lines end at LF only, so that U+2028 in a prompt is no break."""
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not raw.strip():
            continue
        try:
            value = json.loads(raw.decode("utf-8"))
        except UnicodeDecodeError as error:
            yield number, f"not UTF-8 (byte {error.start} of the line)"
        except json.JSONDecodeError as error:
            yield number, f"not JSON: {error.msg} at column {error.colno}"
        except RecursionError:
            yield number, "not usable: nested too deeply"
        else:
            yield number, value if isinstance(value, dict) else f"expected an object, found {type(value).__name__}"


def jsonl_dump(rows: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
