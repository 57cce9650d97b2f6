"""Canonical JSON, JSONL with line numbers, hashes, and writes that are whole or absent."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
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
    except RecursionError:
        raise ArtefactError(f"{path} is nested too deeply to be read.", "Restore the file.") from None
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{path} cannot be read: {_reason(error)}.", "Restore the file.") from None


def _reason(error: OSError | ValueError) -> str:
    return (getattr(error, "strerror", None) or str(error)).split(";")[0]


def _unwritable(path: Path, reason: str) -> ArtefactError:
    return ArtefactError(
        f"{path} cannot be written: {reason}.", "Name a place that can be written (ROUTER_LAB_HOME moves the state folder)."
    )


def check_output(path: Path, folder: bool = False) -> None:
    """ArtefactError if it is already plain that ``path`` cannot become a file (or a folder): asked before the work is done. Makes nothing."""
    if os.path.exists(path) and os.path.isdir(path) != folder:
        raise _unwritable(path, "it is a file" if folder else "it is a folder")
    above = next((one for one in path.absolute().parents if os.path.lexists(one)), path)
    if not os.path.isdir(above):
        raise _unwritable(path, f"{above} is no folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise _unwritable(path, f"{above} is write-protected")


def make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, _reason(error)) from None


def write_bytes(path: Path, data: bytes) -> None:
    """Write aside, fsync, rename: ``path`` holds the old bytes or the new ones, never a part."""
    try:
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
    except OSError as error:
        raise _unwritable(path, _reason(error)) from None


def write_json(path: Path, value: Any) -> None:
    write_bytes(path, (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


@contextlib.contextmanager
def folder_aside(target: Path) -> Iterator[Path]:
    """A scratch folder that becomes ``target`` when the block ends well and disappears when it does not."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    except OSError as error:
        raise _unwritable(target, _reason(error)) from None
    old = target.with_name(f".{target.name}.old-{os.getpid()}")
    try:
        yield aside
        os.chmod(aside, 0o755)
        if target.exists():
            os.replace(target, old)
        os.replace(aside, target)
    except BaseException as error:
        if old.exists() and not target.exists():
            os.replace(old, target)
        if isinstance(error, OSError):
            raise _unwritable(target, _reason(error) + (f" ({error.filename})" if error.filename else "")) from error
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
    except OSError as error:
        raise InputError(f"{path} cannot be read: {_reason(error)}.", "Check the path and its permissions.") from None
    yield from jsonl_parse(data)


def jsonl_parse(data: bytes) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """As :func:`jsonl_lines`, from bytes (an upload). Lines end at LF only, so that U+2028 in a prompt is no break.

    NaN and infinite numbers, which JSON does not have, make a line broken.
    """
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not raw.strip():
            continue
        try:
            value = json.loads(raw.decode("utf-8"), parse_float=_finite, parse_constant=_finite)
        except UnicodeDecodeError as error:
            yield number, f"not UTF-8 (byte {error.start} of the line)"
        except json.JSONDecodeError as error:
            yield number, f"not JSON: {error.msg} at column {error.colno}"
        except RecursionError:
            yield number, "not usable: nested too deeply"
        except ValueError as error:
            yield number, f"not usable: {_reason(error)}"
        else:
            yield number, value if isinstance(value, dict) else f"expected an object, found {type(value).__name__}"


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"the number {number[:20]} is not finite, and JSON has no such number")
    return value


def jsonl_dump(rows: Iterable[dict[str, Any]]) -> bytes:
    """One line a row. A row with a lone surrogate, which UTF-8 cannot hold, is written in ASCII with escapes."""
    return b"".join(_line(row) + b"\n" for row in rows)


def _line(row: dict[str, Any]) -> bytes:
    try:
        return json.dumps(row, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        return json.dumps(row, allow_nan=False).encode()
