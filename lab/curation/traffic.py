"""Gateway logs to distinct prompts: read, masked, deduplicated. Nothing unmasked leaves this module, refusals included."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from lab.corpus.read import text_of
from lab.corpus.rows import Refusal
from lab.curation.formats import tables
from lab.curation.formats.load import READERS, SUFFIXES, bounded, kind_of, unzipped
from lab.curation.masks import mask
from lab.errors import InputError
from lab.files import sha256_bytes
from lab.taxonomy import Taxonomy
from lab.text.prepare import MAX_CHARS, fault, text_id

ALIASES: dict[str, tuple[str, ...]] = {
    "prompt": ("prompt", "text", "query", "question", "instruction", "input", "user_input", "user_message", "message", "content", "messages",
               "request.messages", "request.prompt", "request.text", "body.messages", "body.prompt", "request"),
    "time": ("time", "timestamp", "@timestamp", "ts", "at", "at_utc", "date", "datetime", "created_at", "created", "logged_at", "time_utc"),
    "domain": ("domain", "chosen_domain", "response.chosen_domain", "route", "routed_domain", "predicted_domain", "prediction", "label",
               "selections", "response.selections"),
    "score": ("score", "chosen_score", "confidence", "probability", "domain_score", "selections", "response.selections"),
    "model": ("model", "served_model", "chosen_model", "backend", "model_name", "response.model", "served_via"),
    "feedback": ("feedback", "rating", "vote", "thumbs", "user_feedback", "correct_domain", "comment"),
}  # fmt: skip
"""Field → names under which gateways log it, the surest first. A dot goes into an object."""
MAX_NOTE = 500
"""Characters kept of a domain, model or feedback."""
Progress = Callable[[int], None]


@dataclass(frozen=True)
class TrafficPrompt:
    """One distinct prompt, masked. ``domain``, ``score``, ``model``: of the last time it was seen. ``feedback``: distinct, oldest first.

    Times are ISO 8601 in UTC, or "" where the log gives none. ``domains``: chosen domain → how often. ``where``: the first place.
    """

    id: str
    text: str
    count: int
    first_utc: str
    last_utc: str
    domain: str | None
    score: float | None
    model: str
    domains: dict[str, int]
    feedback: tuple[str, ...]
    where: str = field(default="", compare=False)


@dataclass(frozen=True)
class TrafficImport:
    """``read`` = refused + sum of the counts of ``prompts``. ``masked``: pattern → values masked. ``columns``: field → names found.

    ``unread``: what could not be read beside the prompt (times, scores) → how often. ``unused``: columns that were read over.
    """

    name: str
    sha256: str
    read: int
    prompts: list[TrafficPrompt]
    refused: list[Refusal]
    masked: dict[str, int]
    columns: dict[str, list[str]]
    unread: dict[str, int]
    unused: dict[str, int]

    @property
    def summary(self) -> str:
        masked = ", ".join(f"{n} {name}" for name, n in self.masked.items()) or "nothing"
        return f"{self.read} records read: {len(self.prompts)} distinct prompts, {len(self.refused)} refused; masked: {masked}."


def read_traffic(
    source: Path | bytes, name: str = "", mapping: Mapping[str, str] | None = None, taxonomy: Taxonomy | None = None,
    progress: Progress | None = None,
) -> TrafficImport:  # fmt: skip
    """A JSONL, CSV, JSON or Parquet log, or a zip of such files. ``mapping``: field → column, before the ALIASES.

    ``taxonomy`` brings chosen domains to its names; a name it does not know is kept. Prompts in order of first appearance.
    ``progress`` is told the number of records read, every 1 000. InputError if the whole cannot be read.
    """
    odd = set(mapping or {}) - set(ALIASES)
    if odd:
        raise InputError(f"There is no field '{min(odd)}'.", f"A mapping can name {', '.join(ALIASES)}.")
    title = name or (source.name if isinstance(source, Path) else "upload")
    data = source if isinstance(source, bytes) else bounded(source)
    if len(data) > tables.MAX_BYTES:
        raise InputError(f"{title} has {len(data):,} bytes; at most {tables.MAX_BYTES:,} are taken.", "Part it.")
    log = _Log(mapping or {}, taxonomy)
    for read, (where, raw) in enumerate(_records(data, title), start=1):
        log.add(where, raw)
        if progress and read % 1000 == 0:
            progress(read)
        if read >= tables.MAX_RECORDS:
            log.refused.append(Refusal(where, f"at most {tables.MAX_RECORDS:,} records are taken; what follows was not read"))
            break
    return log.done(title, sha256_bytes(data))


def _records(data: bytes, title: str) -> Iterator[tables.Raw]:
    kind = kind_of(data, title)
    if kind != "zip":
        yield from READERS[kind](data, title)
        return
    for path, inner in unzipped(data, title):
        if SUFFIXES.get(PurePosixPath(path).suffix.lower(), "zip") == "zip":
            yield path, "no log: expected a JSONL, CSV, JSON or Parquet file"
        else:
            yield from READERS[kind_of(inner, path)](inner, path)


@dataclass
class _Seen:
    text: str
    where: str
    count: int = 0
    first: str = ""
    last: str = ""
    domain: str | None = None
    score: float | None = None
    model: str = ""
    domains: Counter[str] = field(default_factory=Counter)
    feedback: dict[str, None] = field(default_factory=dict)


class _Log:
    def __init__(self, mapping: Mapping[str, str], taxonomy: Taxonomy | None) -> None:
        self.mapping, self.taxonomy = mapping, taxonomy
        self.seen: dict[str, _Seen] = {}
        self.refused: list[Refusal] = []
        self.read = 0
        self.plain: set[str] = {""}
        self.masked, self.unread, self.unused = Counter[str](), Counter[str](), Counter[str]()
        self.columns: dict[str, Counter[str]] = {name: Counter() for name in ALIASES}

    def add(self, where: str, raw: dict[str, Any] | str) -> None:
        self.read += 1
        if isinstance(raw, str):
            self.refused.append(Refusal(where, raw))
            return
        used: set[str] = set()
        values = {name: self._find(raw, name, used) for name in ALIASES}
        self.unused.update(key[:MAX_NOTE] for key in raw if key not in used)
        text = _prompt(values["prompt"])
        if text is None:
            keys = ", ".join(repr(key)[:40] for key in list(raw)[:6]) or "no key"
            self.refused.append(
                Refusal(where, f"no prompt: expected one of {', '.join(ALIASES['prompt'][:6])} …, or a mapping; found {keys}")
            )
            return
        problem = fault(text)
        masked = text if problem else self._mask(text)
        problem = problem or fault(masked)
        if problem:
            excerpt = mask(text[:2000]).text[:80].encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
            self.refused.append(Refusal(where, problem, excerpt))
            return
        self._count(masked, where, values)

    def _find(self, raw: dict[str, Any], name: str, used: set[str]) -> Any:
        for key in [self.mapping[name]] if name in self.mapping else ALIASES[name]:
            value, top = _at(raw, key)
            if name == "domain" and isinstance(value, list | dict):
                value = _selection(value, "domain")
            elif name == "score" and isinstance(value, list | dict):
                value = _selection(value, "score")
            if value not in (None, ""):
                self.columns[name][key] += 1
                used.add(top)
                return value
        return None

    def _mask(self, text: str) -> str:
        done = mask(text)
        self.masked.update(done.found)
        return done.text

    def _note(self, value: Any) -> str:
        text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False, default=str)
        text = text.strip()[:MAX_NOTE].encode("utf-8", "replace").decode().replace("\0", "")
        if text in self.plain:
            return text
        masked = self._mask(text)
        if masked == text and len(self.plain) < 10_000:
            self.plain.add(text)  # names of domains and models come again and again
        return masked

    def _count(self, text: str, where: str, values: Mapping[str, Any]) -> None:
        one = self.seen.setdefault(text_id(text), _Seen(text, where))
        at_utc, score = time_utc(values["time"]), _score(values["score"])
        self.unread.update(
            ["time"] * (values["time"] is not None and not at_utc) + ["score"] * (values["score"] is not None and score is None)
        )
        domain = self._note(values["domain"]) or None
        if domain and self.taxonomy:
            domain = self.taxonomy.canonical(domain)
        one.count += 1
        if domain:
            one.domains[domain] += 1
        if at_utc >= one.last:
            one.domain, one.score, one.model = domain, score, self._note(values["model"])
            one.last = at_utc
        one.first = min(filter(None, (one.first, at_utc)), default="")
        feedback = self._note(values["feedback"])
        if feedback:
            one.feedback[feedback] = None

    def done(self, name: str, digest: str) -> TrafficImport:
        prompts = [
            TrafficPrompt(
                key, one.text, one.count, one.first, one.last, one.domain, one.score, one.model, dict(one.domains.most_common()),
                tuple(one.feedback), one.where,
            )
            for key, one in self.seen.items()
        ]  # fmt: skip
        columns = {field_name: list(found) for field_name, found in self.columns.items() if found}
        return TrafficImport(
            name, digest, self.read, prompts, self.refused, dict(self.masked), columns, dict(self.unread), dict(self.unused.most_common(50))
        )


def _at(raw: dict[str, Any], key: str) -> tuple[Any, str]:
    """The value under ``key``, which may lead into objects with dots; and the top key it came from."""
    if key in raw:
        return raw[key], key
    value: Any = raw
    for step in key.split("."):
        if not isinstance(value, dict) or step not in value:
            return None, key
        value = value[step]
    return value, key.split(".")[0]


def _prompt(value: Any) -> str | None:
    """A text, a list of messages (the first of the user counts), an object that holds either, or JSON text of those."""
    if isinstance(value, str):
        if value.lstrip()[:2] not in ("[{", '{"') or '"role"' not in value or len(value) > 10 * MAX_CHARS:
            return value
        try:
            inner = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return text_of(inner if isinstance(inner, dict) else {"messages": inner}) or value
    if isinstance(value, list):
        return text_of({"messages": value})
    return text_of(value) if isinstance(value, dict) else None


def _selection(value: Any, key: str) -> Any:
    """domain or score of the first of a gateway's selections."""
    first = value[0] if isinstance(value, list) and value else value
    return first.get(key) if isinstance(first, dict) else None


def _score(value: Any) -> float | None:
    try:
        score = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return None
    return score if math.isfinite(score) else None


def time_utc(value: Any) -> str:
    """ISO 8601 in UTC, to the second, of an ISO text, seconds or milliseconds since 1970, or a datetime; "" if it is none.

    A time without a zone is taken as UTC.
    """
    try:
        if isinstance(value, str):
            number = value.strip()
            value = float(number) if number.replace(".", "", 1).isdecimal() and len(number) > 8 else datetime.fromisoformat(number)
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value / 1000 ** sum(value > limit for limit in (1e11, 1e14, 1e17))
            value = datetime.fromtimestamp(seconds, UTC)
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day)
        if not isinstance(value, datetime):
            return ""
        moment = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return ""
    return moment.isoformat(timespec="seconds")
