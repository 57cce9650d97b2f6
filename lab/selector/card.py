"""The card of a folder of selectors: what it is, where it comes from, what it was measured to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def card(name: str, meta: dict[str, Any], rows: Sequence[dict[str, Any]], sentence: str) -> str:
    """Markdown. ``rows`` of the held-out table, empty if there was none."""
    provenance = meta["provenance"]
    lines = [
        f"# Selectors `{name}`", "",
        f"Choose one of {len(provenance['models'])} models for a query: {', '.join(provenance['models'])}.", "",
        f"- Trained on {provenance['train_queries']:,} queries ({provenance['records']:,} outcome records, {provenance['gaps']} gaps); table sha256 `{provenance['data_sha256']}`.",
        f"- Source: {provenance['source'] or 'not stated'}. Licence: {provenance['licence'] or 'not stated'}.",
        "- No query and no response is kept: embeddings (half precision), the category, 8 bytes of each text's hash, and the outcomes.",
        f"- Encoder: {meta['encoder']['name']} (`{meta['encoder']['id']}`), fp32 vectors.",
        f"- Utility: {meta['utility_words']}. Seed {provenance['seed']}.", "",
    ]  # fmt: skip
    if rows:
        lines += [f"## Held out ({provenance['split']}, {rows[0]['n']:,} queries)", "", sentence, "", *table(rows)]
    return "\n".join(lines) + "\n"


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The honest table in Markdown, 95 % intervals in brackets; columns the data does not have are left out."""
    latency, cost = (any(row[key] is not None for row in rows) for key in ("latency_s", "cost_usd"))
    head = [
        "strategy",
        "quality",
        "gain over best single",
        *(["latency s"] if latency else []),
        *(["cost $"] if cost else []),
        "best model",
        "regret",
    ]
    out = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for row in rows:
        cells = [row["strategy"], ranged(row, "quality", ""), ranged(row, "gain", "+")]
        cells += [_number(row["latency_s"], ".2f")] if latency else []
        cells += [_number(row["cost_usd"], ".5f")] if cost else []
        cells += [_number(row["best_model_share"], ".1%"), _number(row["regret"], ".3f")]
        out.append("| " + " | ".join(cells) + " |")
    return out


def ranged(row: dict[str, Any], key: str, sign: str) -> str:
    if row[key] is None:
        return "–"
    if row[f"{key}_low"] is None:
        return f"{row[key]:{sign}.3f}"
    return f"{row[key]:{sign}.3f} [{row[f'{key}_low']:{sign}.3f}, {row[f'{key}_high']:{sign}.3f}]"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else f"{value:{form}}"


def utility_words(utility: Any) -> str:
    names = {
        "quality": "quality",
        "speed": f"1/(1 + latency/{utility.latency_scale_s:g} s)",
        "thrift": f"1/(1 + cost/{utility.cost_scale_usd:g} $)",
    }
    return " + ".join(f"{weight:.2g}·{names[part]}" for weight, part in zip(utility.weights, utility.parts, strict=True))
