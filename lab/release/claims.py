"""Figures that a record states – in its fields or in its sentences – held against the computed ones and against each other."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lab.errors import ArtefactError

FIELDS = {
    "embedding_dim": "embedding_dim", "encoder.parameters": "encoder_parameters", "size_bytes": "size_bytes", "sha256_expected": "sha256",
    "head_hidden_dim": "hidden_dim", "hidden_dim": "hidden_dim", "num_domains": "num_domains", "total_parameters": "total_parameters",
    "active_parameters_per_token": "total_parameters", "head_parameters": "head_parameters", "epochs": "epochs", "batch_size": "batch_size",
    "lr": "learning_rate", "seed": "seed", "top1_accuracy": "top1", "top3_accuracy": "top3", "top1_acc": "top1", "top3_acc": "top3", "macro_f1": "macro_f1",
    "weighted_f1": "weighted_f1", "validation_set_size": "evaluated_rows", "grand_total": "corpus_rows", "corpus_sha256": "corpus_sha256",
    "split_sha256": "split_sha256", "lexical_parameters": "lexical_parameters", "lexical_file.size_bytes": "lexical_size_bytes",
    "lexical_file.sha256_expected": "lexical_sha256", "head_alone.top1_accuracy": "head_alone_top1", "head_alone.top3_accuracy": "head_alone_top3",
    "head_alone.macro_f1": "head_alone_macro_f1",
}  # fmt: skip
"""The field of a record (its last key, or its last two) → the figure it states."""

NUMBER = r"(?P<about>~|≈|about |around )?(?P<value>\d{1,3}(?:[   ,]\d{3})+(?!\d)|\d+(?:\.\d+)?(?:e-?\d+)?)"
PATTERNS = {
    "num_domains": rf"{NUMBER}(?:[ \-][a-z]+)? domains\b",
    "top1": rf"\btop-1(?: accuracy)?[\s:|=]*{NUMBER}(?P<unit> ?%)?",
    "top3": rf"\btop-3(?: accuracy)?[\s:|=]*{NUMBER}(?P<unit> ?%)?",
    "macro_f1": rf"\bmacro-F1[\s:|=]*{NUMBER}(?P<unit> ?%)?",
    "head_alone_top1": rf"\btop-1 accuracy, head alone[\s:|=]*{NUMBER}(?P<unit> ?%)?",
    "head_alone_top3": rf"\btop-3 accuracy, head alone[\s:|=]*{NUMBER}(?P<unit> ?%)?",
    "head_alone_macro_f1": rf"\bmacro-F1, head alone[\s:|=]*{NUMBER}(?P<unit> ?%)?",
    "lexical_parameters": rf"(?:lexical|n-grams)[^\n]{{0,40}}?\(?{NUMBER}(?P<unit> ?[kM])? weights",
    "head_parameters": rf"(?:head|MLP|adapter)[^\n]{{0,60}}?\(?{NUMBER}(?P<unit> ?[kM])? parameters",
    "evaluated_rows": rf"(?:validation|test) set[\s:|=]*{NUMBER} prompts",
    "corpus_rows": rf"\bcorpus[^.\n\d]{{0,30}}{NUMBER}(?: [a-z\-]+)? prompts",
    "embedding_dim": r"(?P<about>~)?\b(?P<value>\d{2,5})d\b",
    "hidden_dim": rf"\bhidden {NUMBER}\b",
    "epochs": rf"{NUMBER} epochs\b",
    "batch_size": rf"\bbatch(?: size)?[ =:]+{NUMBER}",
    "learning_rate": rf"\b(?:lr|learning rate)[ =:]+{NUMBER}",
    "seed": rf"\bseed[ =:]+{NUMBER}",
}
UNITS = {"%": 0.01, "k": 1e3, "M": 1e6, "": 1.0}
LAYER = re.compile(r"Linear\(\s*(\d+)\s*(?:→|->|,)\s*(\d+)\s*\)")


@dataclass(frozen=True)
class Claim:
    """``value`` as stated (None: the field is there and empty), right to ± ``slack``; ``quote``: the words it stands in."""

    name: str
    value: float | str | None
    slack: float
    where: str
    quote: str


@dataclass(frozen=True)
class Contradiction:
    """``computed`` is None when the record contradicts itself."""

    name: str
    stated: tuple[float | str | None, ...]
    computed: float | str | None
    where: tuple[str, ...]
    sentence: str


def claims_of(document: str | Mapping[str, Any], name: str) -> list[Claim]:
    """Of a JSON record (by its fields and every sentence in it) or of a text. JSON objects inside a text are read as records."""
    if isinstance(document, str):
        text, records = _records(document)
        lines = (claim for number, line in enumerate(text.split("\n"), 1) for claim in _sentences(line, f"{name}:{number}"))
        return [*lines, *(claim for n, one in enumerate(records) for claim in _fields(one, f"{name} record {n + 1}", ""))]
    return list(_fields(document, name, ""))


def _records(text: str) -> tuple[str, list[dict[str, Any]]]:
    """The text without the JSON objects in it, and those objects."""
    decoder, records, start = json.JSONDecoder(), [], 0
    while (place := text.find("{", start)) >= 0:
        try:
            value, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            start = place + 1
            continue
        records.append(value)
        text, start = text[:place] + "\n" * text.count("\n", place, end) + text[end:], place  # lines keep their numbers
    return text, records


def _fields(value: Any, where: str, path: str) -> Iterator[Claim]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _fields(one, where, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for n, one in enumerate(value):
            yield from _fields(one, where, f"{path}[{n}]")
    else:
        keys = path.split(".")
        name = FIELDS.get(".".join(keys[-2:])) or FIELDS.get(keys[-1])
        if name and not isinstance(value, bool) and (value is None or isinstance(value, int | float) or name.endswith("sha256")):
            yield Claim(name, value, _slack(repr(value)) if isinstance(value, float) else 0.0, f"{where}: {path}", f"{keys[-1]}: {value}")
        elif isinstance(value, str):
            yield from _sentences(value, f"{where}: {path}")


def _sentences(text: str, where: str) -> Iterator[Claim]:
    for name, pattern in PATTERNS.items():
        for found in re.finditer(pattern, text, re.IGNORECASE if name != "embedding_dim" else 0):
            raw = re.sub(r"[   ,]", "", found["value"])
            scale = UNITS[(found.groupdict().get("unit") or "").strip()]
            value = float(raw) * scale
            slack = _slack(raw) * scale if "." in raw or scale != 1 else 0.0
            yield Claim(name, value, max(slack, 0.05 * value if found["about"] else 0.0), where, " ".join(found.group().split()))
    layers = LAYER.findall(text)
    if len(layers) >= 2:
        (dim, hidden), (again, domains) = layers[0], layers[1]
        for name, value in (("embedding_dim", dim), ("hidden_dim", hidden), ("hidden_dim", again), ("num_domains", domains)):
            yield Claim(name, float(value), 0.0, where, f"Linear({dim}→{hidden}), Linear({again}→{domains})")


def _slack(written: str) -> float:
    """Half a unit of the last digit written: "0.889" stands for anything that rounds to it."""
    mantissa, _, exponent = written.lower().partition("e")
    return 0.5 * 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2])) * (1 + 1e-9)


def against(claims: Iterable[Claim], figures: Mapping[str, float | int | str]) -> list[Contradiction]:
    """Every claim that differs from the computed figure of its name. A claim without a computed counterpart cannot be judged."""
    out = []
    for claim in claims:
        if claim.name not in figures or _fits(claim, figures[claim.name]):
            continue
        computed = figures[claim.name]
        said = "is empty" if claim.value is None else f"states {_shown(claim.value)}"
        sentence = f"{claim.where} {said} ({claim.quote}); computed from the version: {_shown(computed)}."
        out.append(Contradiction(claim.name, (claim.value,), computed, (claim.where,), sentence))
    return out


def _fits(claim: Claim, computed: float | int | str) -> bool:
    if claim.value is None or isinstance(claim.value, str) or isinstance(computed, str):
        return claim.value == computed
    return abs(claim.value - computed) <= claim.slack + 1e-12


def within(claims: Iterable[Claim]) -> list[Contradiction]:
    """Figures of one name that a record states differently in two places."""
    by_name: dict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        if claim.value is not None:
            by_name[claim.name].append(claim)
    out = []
    for name, group in by_name.items():
        different: list[Claim] = []
        for claim in group:
            if not any(_fits(claim, one.value) or _fits(one, claim.value) for one in different):  # type: ignore[arg-type]
                different.append(claim)
        if len(different) > 1:
            said = " and ".join(f"{_shown(one.value)} ({one.where}: {one.quote})" for one in different)
            out.append(
                Contradiction(
                    name, tuple(one.value for one in different), None, tuple(one.where for one in different), f"{name} is stated as {said}."
                )
            )
    return out


def diff(earlier: Mapping[str, str | Mapping[str, Any]], figures: Mapping[str, float | int | str]) -> list[Contradiction]:
    """An earlier record (document name → text or JSON) against the version: what it says twice differently, then what is not so."""
    claims = [claim for name, document in earlier.items() for claim in claims_of(document, name)]
    return [*within(claims), *against(claims, figures)]


def refuse_contradictions(documents: Mapping[str, str | Mapping[str, Any]], figures: Mapping[str, float | int | str]) -> None:
    """ArtefactError that names each stated figure that differs from the computed one."""
    wrong = [one for name, document in documents.items() for one in against(claims_of(document, name), figures)]
    if wrong:
        raise ArtefactError(
            f"The records were not written: {' '.join(one.sentence for one in wrong)}", "Correct what is stated, or leave the figure out."
        )


def _shown(value: float | int | str | None) -> str:
    if isinstance(value, str):
        return value[:12]
    return "nothing" if value is None else f"{value:,.10g}".replace(",", " ")
