"""Read labelled prompts in every format of spec router.md §4. Nothing is dropped in silence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lab.corpus.rows import Reading, Refusal, Row
from lab.errors import InputError
from lab.files import jsonl_lines, jsonl_parse
from lab.text.prepare import fault

SPLITS = {"train": "train", "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid", "test": "test"}
TEXT_KEYS = ("prompt", "text", "instruction", "query")
LABEL_KEYS = ("domain", "label")


def read_corpus(path: Path) -> Reading:
    """A JSONL file, or a folder of them (read recursively, files in name order).

    A row's label is ``domain`` or ``label``, else the file's stem. A file called train, valid or test gives its rows that
    split, and the name of a subfolder becomes their ``part``. InputError if there is nothing to read.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist.", "Name a JSONL file or a folder of them.")
    files = sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path} holds no *.jsonl file.", 'One JSON object a line: {"prompt": …, "domain": …}.')
    rows: list[Row] = []
    refused: list[Refusal] = []
    for file in files:
        inside = file.relative_to(path) if path.is_dir() else Path(file.name)
        part = inside.parent.name
        for item in read_lines(jsonl_lines(file), str(inside), file.stem, part):
            (rows if isinstance(item, Row) else refused).append(item)
    return Reading(rows, refused)


def read_upload(data: bytes, name: str) -> Reading:
    """As :func:`read_corpus`, for the bytes of one uploaded JSONL file."""
    items = list(read_lines(jsonl_parse(data), name, Path(name).stem, ""))
    return Reading([item for item in items if isinstance(item, Row)], [item for item in items if isinstance(item, Refusal)])


def read_lines(lines: Iterable[tuple[int, dict[str, Any] | str]], name: str, stem: str, part: str) -> Iterator[Row | Refusal]:
    split = SPLITS.get(stem.lower(), "")
    for number, value in lines:
        where = f"{name}:{number}"
        yield Refusal(where, value) if isinstance(value, str) else _row(value, where, "" if split else stem, split, part)


def text_of(value: dict[str, Any]) -> str | None:
    """The prompt of a row: prompt, text, instruction, query, or the first user message (whose content may be blocks)."""
    for key in TEXT_KEYS:
        if isinstance(value.get(key), str):
            return value[key]
    messages = value.get("messages")
    if isinstance(messages, list):
        for message in messages:
            if isinstance(message, dict) and message.get("role") == "user":
                content = message.get("content")
                if isinstance(content, list):
                    content = "\n".join(
                        str(block["text"]) for block in content if isinstance(block, dict) and isinstance(block.get("text"), str)
                    )
                return content if isinstance(content, str) else None
    return None


def _no_prompt(value: dict[str, Any]) -> str:
    held = next((key for key in TEXT_KEYS if key in value), None)
    if held:
        return f"no prompt: {held} holds {value[held]!r:.40}, not a text"
    return f"no prompt: expected one of {', '.join(TEXT_KEYS)} or messages, found {', '.join(map(repr, list(value)[:6])) or 'no key'}"


def _row(value: dict[str, Any], where: str, stem: str, split: str, part: str) -> Row | Refusal:
    text = text_of(value)
    if text is None:
        return Refusal(where, _no_prompt(value))
    problem = fault(text)
    excerpt = text[:80].encode("utf-8", "backslashreplace").decode()
    if problem:
        return Refusal(where, problem, excerpt)
    given = next((value[key] for key in LABEL_KEYS if key in value), stem)
    if not isinstance(given, str) or not given.strip():
        return Refusal(where, f"no label: expected a text under {' or '.join(LABEL_KEYS)}, found {given!r}", excerpt)
    also = value.get("also") or []
    if not isinstance(also, list):
        return Refusal(where, f"'also' is {type(also).__name__}, expected a list of labels", excerpt)
    odd = [one for one in also if not isinstance(one, str)]
    if odd:
        return Refusal(where, f"'also' holds {odd[0]!r}, expected labels as texts", excerpt)
    own = value.get("split")
    if own is not None and SPLITS.get(str(own).lower()) is None:
        return Refusal(where, f"split {own!r} is unknown, expected train, valid or test", excerpt)
    domain = given.strip()
    row = Row(
        text=text, domain=domain, also=tuple(dict.fromkeys(one for one in also if one != domain)), lang=str(value.get("lang") or ""),
        part=str(value.get("part") or part), source=str(value.get("source") or ""), licence=str(value.get("license") or ""),
        split=SPLITS[str(own).lower()] if own is not None else split, where=where,
    )  # fmt: skip
    for one in (row.domain, *row.also, row.lang, row.part, row.source, row.licence):
        if any("\ud800" <= character <= "\udfff" for character in one):
            return Refusal(where, f"a lone surrogate in {one!r}, which cannot be written as UTF-8", excerpt)
    return row
