"""Health of a corpus: what would mislead a router, found and listed, nothing removed."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import Any

from lab.corpus.duplicates import near_pairs
from lab.corpus.rows import Reading, Row, corpus_sha256
from lab.text.language import detect
from lab.text.prepare import is_cut, normalised

TOKENIZER_MARKS = re.compile(r"[ĠĊĉ▁]")
SPECIAL_TOKENS = re.compile(r"<\|[a-z_]+\|>|\[(?:CLS|SEP|PAD|UNK)\]|</?s>|(?:^|\s)##[a-z]")
MOJIBAKE = re.compile(r"Ã[\u0080-\u00bf©¨ªàâ§´®¯°±¶»¼½¾¿ ]|â€|Â[\u00a0-\u00bf]|\ufffd|ï»¿")
LISTED = 50


@dataclass(frozen=True)
class Finding:
    """One kind of trouble: how many rows have it, and the first LISTED of them (where, what)."""

    kind: str
    severity: str
    count: int
    meaning: str
    examples: list[dict[str, Any]]


@dataclass(frozen=True)
class Health:
    rows: int
    refused: int
    corpus_sha256: str
    healthy: bool
    per_domain: dict[str, int]
    per_language: dict[str, int]
    length_characters: dict[str, int]
    findings: list[Finding]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def mojibake(text: str) -> str | None:
    """The first run of wrongly decoded characters in ``text``, or None. Marks of spec router.md §4, then ftfy's own test."""
    found = MOJIBAKE.search(text)
    if found:
        return found.group()
    from ftfy.badness import is_bad

    return text[:40] if is_bad(text) else None


def tokenizer_mark(text: str) -> str | None:
    """A leaked tokenizer mark (Ġ, Ċ, ▁) in ``text``, or None."""
    found = TOKENIZER_MARKS.search(text)
    return found.group() if found else None


def special_token(text: str) -> str | None:
    """A model's special token (<|endoftext|>, [CLS], ##x …) in ``text``, or None. People also ask about these, so it is a warning."""
    found = SPECIAL_TOKENS.search(text)
    return found.group() if found else None


def examine(reading: Reading, min_support: int = 10) -> Health:
    """Every row is looked at; rows of the shipped corpus take about 8 s in all."""
    rows = reading.rows
    lengths = sorted(len(row.text) for row in rows)
    support = Counter(row.domain for row in rows)
    pairs = near_pairs([row.text for row in rows])
    languages = [detect(row.text) for row in rows]
    findings = [
        _finding("refused", "error", [{"where": r.where, "what": r.reason, "text": r.excerpt} for r in reading.refused], "lines that are no usable row"),
        _finding("mojibake", "error", _marked(rows, mojibake), "text decoded with the wrong character set"),
        _finding("tokenizer_marks", "error", _marked(rows, tokenizer_mark), "pieces of a tokenizer's own alphabet"),
        _finding("special_tokens", "warning", _marked(rows, special_token), "special tokens of a model: leaked, or asked about"),
        _finding("exact_duplicates", "warning", _exact(rows, same=True), "the same prepared text with the same label"),
        _finding("conflicting_duplicates", "error", _exact(rows, same=False), "the same prepared text with different labels"),
        _finding("near_duplicates", "warning", _near(rows, pairs, same=True), "character 5-gram Jaccard ≥ 0.8, same label"),
        _finding("near_duplicates_across_domains", "error", _near(rows, pairs, same=False), "character 5-gram Jaccard ≥ 0.8, different labels"),
        _finding("near_duplicates_across_splits", "error", _across_splits(rows, pairs), "near-duplicates given to two sides of the split"),
        _finding("language_differs", "info", _language(rows, languages), "the written language is not the detected one (short texts are often misread)"),
        _finding("over_gateway_length", "info", [_at(row, f"{len(normalised(row.text))} characters") for row in rows if is_cut(row.text)], "the gateway routes only the two ends"),
        _finding("low_support", "warning", [{"where": d, "what": f"{n} rows"} for d, n in sorted(support.items()) if n < min_support], f"domains with under {min_support} rows cannot be judged"),
    ]  # fmt: skip
    return Health(
        rows=len(rows), refused=len(reading.refused), corpus_sha256=corpus_sha256(rows),
        healthy=not any(f.severity == "error" and f.count for f in findings),
        per_domain=dict(sorted(support.items())),
        per_language=dict(Counter(row.lang or found for row, found in zip(rows, languages, strict=True)).most_common()),
        length_characters={name: lengths[min(len(lengths) - 1, int(len(lengths) * share))] for name, share in _SHARES.items()} if lengths else {},
        findings=findings,
    )  # fmt: skip


_SHARES = {"min": 0.0, "p10": 0.1, "median": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def _finding(kind: str, severity: str, items: list[dict[str, Any]], meaning: str) -> Finding:
    return Finding(kind, severity, len(items), meaning, items[:LISTED])


def _at(row: Row, what: str) -> dict[str, Any]:
    return {"where": row.where, "domain": row.domain, "what": what, "text": row.text[:120]}


def _marked(rows: list[Row], test) -> list[dict[str, Any]]:
    return [_at(row, mark) for row in rows if (mark := test(row.text))]


def _exact(rows: list[Row], same: bool) -> list[dict[str, Any]]:
    by_id: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_id[row.id].append(row)
    out = []
    for twins in by_id.values():
        labels = sorted({row.domain for row in twins})
        if len(twins) > 1 and (len(labels) == 1) == same:
            out.append(_at(twins[0], f"{len(twins)} times as {', '.join(labels)}: {', '.join(row.where for row in twins[:4])}"))
    return out


def _near(rows: list[Row], pairs: list[tuple[int, int, float]], same: bool) -> list[dict[str, Any]]:
    return [
        _at(rows[i], f"{similarity:.2f} like {rows[j].where} ({rows[j].domain}): {rows[j].text[:80]}")
        for i, j, similarity in pairs
        if rows[i].id != rows[j].id and (rows[i].domain == rows[j].domain) == same
    ]


def _across_splits(rows: list[Row], pairs: list[tuple[int, int, float]]) -> list[dict[str, Any]]:
    return [
        _at(rows[i], f"{rows[i].split} and {rows[j].split}: {rows[j].where}")
        for i, j, _ in pairs
        if rows[i].split and rows[j].split and rows[i].split != rows[j].split
    ]


def _language(rows: list[Row], found: list[str]) -> list[dict[str, Any]]:
    return [
        _at(row, f"written {row.lang}, detected {seen}") for row, seen in zip(rows, found, strict=True) if row.lang and row.lang != seen
    ]
