"""models.yaml: which models are asked, where, with what, at what price (spec selectors.md §6)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import yaml

from lab.benchmark.expand import VARIABLE, Expansion, variables
from lab.benchmark.redact import Redactor
from lab.benchmark.rules import Rules
from lab.errors import InputError

DEFAULT_URL = "http://localhost:8000/v1"
TEXTS = ("name", "endpoint", "api_key", "headers", "model", "extra")
"""Fields whose variables are replaced; elsewhere a number is wanted, and a message about it shows the variable's name, not its value."""
OUR_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})
SENSITIVE = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)
KNOWN = (
    "name", "endpoint", "api_key", "headers", "max_tokens", "temperature", "model", "concurrency", "requests_per_minute", "timeout_s",
    "retries", "stream", "price_input_per_1k_usd", "price_output_per_1k_usd", "extra",
)  # fmt: skip


@dataclass(frozen=True)
class Endpoint:
    """One model. ``model``: the id that is sent. ``stream`` None: by the health check. ``extra``: more fields of the request, null removes one."""

    name: str
    url: str
    model: str
    api_key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    max_tokens: int = 1024
    temperature: float = 0.0
    concurrency: int | None = None
    requests_per_minute: float | None = None
    timeout_s: float = 120.0
    retries: int = 4
    stream: bool | None = None
    price_input_per_1k_usd: float | None = None
    price_output_per_1k_usd: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def priced(self) -> bool:
        return self.price_input_per_1k_usd is not None and self.price_output_per_1k_usd is not None

    def cost_usd(self, prompt_tokens: int | None, completion_tokens: int | None) -> float | None:
        """None where the price or the tokens are unknown."""
        if not self.priced or prompt_tokens is None or completion_tokens is None:
            return None
        return (prompt_tokens * self.price_input_per_1k_usd + completion_tokens * self.price_output_per_1k_usd) / 1_000

    def body(self, content: str) -> dict[str, Any]:
        """The request's JSON, without the streaming fields."""
        body = {
            "model": self.model, "messages": [{"role": "user", "content": content}],
            "max_tokens": self.max_tokens, "temperature": self.temperature,
        } | self.extra  # fmt: skip
        return {key: value for key, value in body.items() if value is not None}

    def request_headers(self) -> dict[str, str]:
        bearer = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        taken = {name.lower() for name in self.headers}
        return {name: value for name, value in bearer.items() if name.lower() not in taken} | dict(self.headers)


@dataclass(frozen=True)
class Models:
    """What models.yaml says. ``notes``: what was read and not used."""

    endpoints: list[Endpoint]
    redact: Redactor = field(repr=False)
    notes: list[str] = field(default_factory=list)


def read_models(text: str, environment: Mapping[str, str], rules: Rules, name: str = "models.yaml") -> Models:
    """InputError for anything that cannot be used, before the first call. Where ``rules`` are a server's, keys must be variables."""
    entries = parse(text, name)
    configured = _variables_by_url(rules.configured) if rules.configured else {}
    endpoints, secrets, notes = [], set(), []
    for place, entry in enumerate(entries, start=1):
        where = f"{name}, model {entry.get('name') or place}"
        allowed = None if rules.variables is None else rules.variables | configured.get(plain_url(entry), frozenset())
        expand = Expansion(environment, allowed)
        if rules.variables is not None:
            _refuse_literal_keys(entry, where)
            if variables(str(entry.get("name"))):
                raise InputError(f"{where}: a variable in a name would be shown.", "Write the name out.")
        filled = {key: _filled(value, expand, where) if key in TEXTS else value for key, value in entry.items()}
        endpoints.append(_endpoint(filled, where))
        secrets |= _secrets(entry, filled, expand, where, ("name",) if rules.variables is not None else ("name", "model"))
        unknown = sorted(set(entry) - set(KNOWN))
        if unknown:
            notes.append(f"{where}: not used: {', '.join(map(str, unknown))}.")
    twice = sorted({one.name for one in endpoints if [other.name for other in endpoints].count(one.name) > 1})
    if twice:
        raise InputError(f"{name} names {', '.join(twice)} twice.", "Give each model a name of its own; the id that is sent goes under 'model'.")
    return Models(endpoints, Redactor(secrets), notes)


def simple_models(names: Sequence[str], url: str, api_key: str = "", **settings: Any) -> Models:
    """All models at one address (``--models a,b --endpoint …``)."""
    if not names:
        raise InputError("No model is named.", "Write --models a,b or give a models.yaml.")
    endpoints = [_endpoint({"name": name, "endpoint": url, "api_key": api_key} | settings, f"model {name}") for name in names]
    return Models(endpoints, Redactor([api_key] if api_key else []))


def parse(text: str, name: str = "models.yaml") -> list[dict[str, Any]]:
    """The entries as they stand, variables not replaced."""
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError(f"{name} is not YAML{place}.", "Compare it with the template.") from None
    entries = raw.get("models") if isinstance(raw, dict) else None
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{name} has no list 'models'.", "Write 'models:' and one '- name: …, endpoint: …' for each model.")
    return entries


def _variables_by_url(text: str) -> dict[str, frozenset[str]]:
    """URL → the variables that the server's own file uses for it: a key goes only where the server's keeper sends it."""
    found: dict[str, frozenset[str]] = {}
    for entry in parse(text, "ROUTER_LAB_ENDPOINTS"):
        found[plain_url(entry)] = found.get(plain_url(entry), frozenset()) | variables(yaml.safe_dump(entry))
    return found


def plain_url(entry: Mapping[str, Any]) -> str:
    return str(entry.get("endpoint") or DEFAULT_URL).strip().rstrip("/")


def _filled(value: Any, expand: Expansion, where: str) -> Any:
    """``value`` with the variables of every string in it replaced."""
    if isinstance(value, str):
        return expand(value, where)
    if isinstance(value, dict):
        return {key: _filled(one, expand, where) for key, one in value.items()}
    return [_filled(one, expand, where) for one in value] if isinstance(value, list) else value


def _secrets(entry: Mapping[str, Any], filled: Mapping[str, Any], expand: Expansion, where: str, open_fields: Sequence[str]) -> set[str]:
    """Values that may never be written: the key, headers that look like one, and what variables put anywhere but into ``open_fields``."""
    headers = filled.get("headers")
    out = {str(value) for header, value in (headers.items() if isinstance(headers, dict) else ()) if SENSITIVE.search(str(header))}
    kept = yaml.safe_dump({key: value for key, value in entry.items() if key in TEXTS and key not in open_fields})
    return out | {str(filled.get("api_key") or "")} | {expand(found[0], where) for found in VARIABLE.finditer(kept)}


def _refuse_literal_keys(entry: Mapping[str, Any], where: str) -> None:
    headers = entry.get("headers") if isinstance(entry.get("headers"), dict) else {}
    fields = {"api_key": entry.get("api_key"), **headers}
    literal = [str(key) for key, value in fields.items() if value and SENSITIVE.search(str(key)) and not variables(str(value))]
    if literal:
        raise InputError(f"{where}: {', '.join(literal)} is written out.", "Keys stay out of files kept here: write ${NAME}.")


def _endpoint(entry: Mapping[str, Any], where: str) -> Endpoint:
    name = entry.get("name")
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise InputError(f"{where}: 'name' is missing.", "Give each model a name.")
    headers = entry.get("headers") or {}
    if not isinstance(headers, dict):
        raise InputError(f"{where}: 'headers' is no mapping.", "Write 'headers:' and one 'Name: value' a line.")
    texts, key = {str(header): str(value) for header, value in headers.items()}, str(entry.get("api_key") or "")
    if not all(value.isascii() and value.isprintable() and header.isascii() for header, value in (*texts.items(), ("api_key", key))):
        raise InputError(f"{where}: a header or the key has characters that HTTP does not allow.", "Use printable ASCII on one line.")
    ours = sorted(header for header in texts if header.lower() in OUR_HEADERS)
    if ours:
        raise InputError(f"{where}: the header {', '.join(ours)} is set by the lab itself.", "Leave it out.")
    extra = entry.get("extra") or {}
    if not isinstance(extra, dict):
        raise InputError(f"{where}: 'extra' is no mapping.", "Write fields of the request, for example 'extra: {seed: 1}'.")
    stream = entry.get("stream")
    if stream not in (None, True, False, "auto"):
        raise InputError(f"{where}: stream is {stream!r:.20}.", "Use true, false or auto.")
    return Endpoint(
        name.strip(), _url(plain_url(entry), where), str(entry.get("model") or name.strip()), key, texts,
        int(_number(entry, "max_tokens", 1024, 1, where)), _number(entry, "temperature", 0.0, 0, where),
        _whole(entry, "concurrency", 1, where), _number(entry, "requests_per_minute", None, 1e-6, where),
        _number(entry, "timeout_s", 120.0, 0.01, where), _whole(entry, "retries", 0, where, 4), None if stream == "auto" else stream,
        _number(entry, "price_input_per_1k_usd", None, 0, where), _number(entry, "price_output_per_1k_usd", None, 0, where), extra,
    )  # fmt: skip


def _url(url: str, where: str) -> str:
    parts = urlsplit(url.strip())
    try:
        good = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0) and url.strip().isprintable()
    except ValueError:
        good = False
    if not good:
        raise InputError(f"{where}: the endpoint is no http or https address.", "Write for example https://api.example.com/v1.")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise InputError(f"{where}: the endpoint's address has a password, a query or a fragment.", "Put keys under api_key or headers.")
    return url.strip().rstrip("/").removesuffix("/chat/completions")


def _number(entry: Mapping[str, Any], key: str, default: float | None, low: float, where: str) -> float | None:
    value = entry.get(key, default)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < low:
        raise InputError(f"{where}: {key} is {value!r:.20}.", f"Use a number from {low:g} up.")
    return value


def _whole(entry: Mapping[str, Any], key: str, low: int, where: str, default: int | None = None) -> int | None:
    value = _number(entry, key, default, low, where)
    if value is not None and value != int(value):
        raise InputError(f"{where}: {key} is {value!r:.20}.", "Use a whole number.")
    return None if value is None else int(value)
