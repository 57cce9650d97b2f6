"""The model card (README.md with the hub's metadata) of a version: every figure from its facts, every opinion from the provider."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from lab.release.facts import Facts
from lab.release.provider import NOT_STATED, Provider
from lab.release.versions import MANIFEST

NOT_KNOWN = "not known"
LOSSES = {"bce": "BCE-with-logits (multi-label sigmoid)", "ce": "cross-entropy", "joint": "BCE-with-logits and cross-entropy, jointly"}


def cell(text: object) -> str:
    """A text as one cell of a Markdown table: no break, no bar, no markup, no HTML."""
    one_line = " ".join(str(text).split())
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", one_line)


def table(head: list[str], rows: list[list[object]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(map(cell, row))} |" for row in rows)]
    return "\n".join(lines)


def percent(share: float, interval: list[float] | None = None) -> str:
    return f"{100 * share:.1f} %" + (f" ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})" if interval else "")


def model_card(facts: Facts, provider: Provider) -> str:
    parts = [
        f"---\n{_metadata(facts, provider)}\n---", f"# Domain router {facts.version.short}",
        f"Routes a prompt to one of {len(facts.domains)} domains: a frozen encoder ({cell(facts.encoder)}) and a trained head{', with a lexical part on n-grams beside it' if facts.lexical_file else ''}.",
        "## Performance", _performance(facts), "## Architecture", _architecture(facts), "## Training", _recipe(facts), "## Transparency (Regulation (EU) 2024/1689)",
        _transparency(facts, provider), "## Training data sources", sources_table(facts), "## Files", _files(facts), "## Domains", ", ".join(map(cell, facts.domains)) + ".",
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _metadata(facts: Facts, provider: Provider) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    results = []
    if facts.metrics:
        bound = facts.metrics["bound_to"]
        for kind, name, key in (
            ("accuracy", "Top-1 accuracy", "top1"),
            ("accuracy", "Top-3 accuracy", "top3"),
            ("f1", "Macro-F1", "macro_f1"),
        ):
            results.append(
                EvalResult(
                    task_type="text-classification", dataset_type="router-lab", dataset_name=f"frozen test side {bound['data_sha256'][:12]}",
                    metric_type=kind, metric_name=name, metric_value=round(facts.metrics[key], 4),
                )
            )  # fmt: skip
    languages = list(facts.snapshot.composition["per_language"]) if facts.snapshot else None
    data = ModelCardData(
        license=provider.license_spdx.lower() or None, language=languages, library_name="safetensors", pipeline_tag="text-classification",
        tags=["router", "domain-routing", "router-lab"], base_model=facts.encoder, model_name=f"router-{facts.version.short}", eval_results=results or None,
    )  # fmt: skip
    return data.to_yaml().strip()


def _performance(facts: Facts) -> str:
    metrics = facts.metrics
    if not metrics:
        return "Nothing was measured on this version."
    inside, bound = metrics["intervals"], metrics["bound_to"]
    rows: list[list[object]] = [
        ["Top-1 accuracy", percent(metrics["top1"], inside["top1"])], ["Top-3 accuracy", percent(metrics["top3"], inside["top3"])],
        ["Macro-F1", f"{metrics['macro_f1']:.3f} ({inside['macro_f1'][0]:.3f} to {inside['macro_f1'][1]:.3f})"],
        ["Expected calibration error", f"{metrics['ece']:.3f} ({metrics.get('calibration', NOT_KNOWN)})"],
    ]  # fmt: skip
    rows += _alone_rows(facts)
    weak = [domain for domain, row in metrics["per_domain"].items() if row["support"] and not row["judged"]]
    return "\n\n".join([
        table(["figure", "value, 95 % interval"], rows),
        f"Test set: {metrics['n']} prompts that were not trained on, hash `{bound['data_sha256'][:12]}`, encoder `{bound['encoder_id']}` ({bound['precision']}).",
        f"Too few test prompts to judge: {', '.join(map(cell, weak))}." if weak else "Every domain has enough test prompts to be judged.",
    ])  # fmt: skip


def _alone_rows(facts: Facts) -> list[list[object]]:
    """What a plain gateway gets of a router with a lexical part."""
    alone = facts.head_alone
    if not facts.lexical_file:
        return []
    if not alone:
        return [["Head alone, as a plain gateway loads it", "not measured"]]
    inside = alone["intervals"]
    return [
        ["Top-1 accuracy, head alone (what a plain gateway gets)", percent(alone["top1"], inside["top1"])],
        ["Top-3 accuracy, head alone", percent(alone["top3"], inside["top3"])],
        ["Macro-F1, head alone", f"{alone['macro_f1']:.3f} ({inside['macro_f1'][0]:.3f} to {inside['macro_f1'][1]:.3f})"],
    ]


def _architecture(facts: Facts) -> str:
    total = f", {thousands(facts.total_parameters)} with the encoder" if facts.total_parameters else ""
    lexical = (
        f", and a lexical part of {thousands(facts.lexical_parameters)} weights that a plain gateway does not load"
        if facts.lexical_parameters
        else ""
    )
    return (
        f"Frozen encoder → mean pooling → unit length → Linear({facts.embedding_dim}→{facts.hidden_dim}) → GELU → Dropout → "
        f"Linear({facts.hidden_dim}→{len(facts.domains)}). Head: {thousands(facts.head_parameters)} parameters{lexical}{total}. "
        "A domain's score is the sigmoid of its output."
    )


def thousands(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _recipe(facts: Facts) -> str:
    recipe = facts.recipe
    if not recipe:
        return "How it was trained is not known."
    kept = facts.ours.get("kept_epoch")
    lexical = (
        f"Lexical part: TF-IDF of hashed word and character n-grams, a linear support vector machine per domain (squared hinge, C {recipe['lexical_cost']:g}), "
        "weights in 8 bits; its share of the score is fitted on validation prompts. "
        if facts.lexical_file
        else ""
    )
    return (
        f"{LOSSES.get(recipe['loss'], recipe['loss'])}; AdamW, learning rate {recipe['learning_rate']:g} ({recipe['schedule']}), weight decay "
        f"{recipe['weight_decay']:g}, batch size {recipe['batch_size']}, {recipe['epochs']} epochs (kept: number {kept}), dropout {recipe['dropout']:g}, seed {recipe['seed']}. "
        f"{lexical}Calibration on validation prompts: {(facts.ours.get('calibration') or {}).get('kind', 'none')}. "
        f"Corpus `{str(facts.ours.get('corpus_sha256'))[:12]}`, split `{str(facts.ours.get('split_sha256'))[:12]}`."
    )


def _transparency(facts: Facts, provider: Provider) -> str:
    snapshot = facts.snapshot
    origin = (
        f"{len(snapshot.labels)} labelled prompts, see below. {provider.copyright_status}"
        if snapshot
        else f"Not known. {provider.copyright_status}"
    )
    made = f"same inputs and library versions give weights {facts.weights[0][:16]}" if facts.recipe else "the recipe is not known"
    made += f" and lexical part {facts.lexical_file[0][:16]}" if facts.recipe and facts.lexical_file else ""
    kind = f"Two-layer MLP head ({thousands(facts.head_parameters)} parameters)"
    kind += f" and a lexical part on n-grams ({thousands(facts.lexical_parameters)} weights)" if facts.lexical_file else ""
    scope = "; ".join(provider.out_of_scope) or NOT_STATED
    rows: list[list[object]] = [
        ["Provider", provider.said("provider")], ["Role under AI Act", provider.said("role")],
        ["Adapter type", kind], ["Base model", facts.encoder],
        ["License", provider.said("license_spdx")], ["Intended use", provider.said("intended_use")], ["Out of scope", scope],
        ["Risk classification", provider.said("risk_classification")], ["Training data origin", origin], ["Reproducibility", made], ["Contact", provider.said("contact")],
    ]  # fmt: skip
    return table(["Field", "Value"], rows)


def sources_table(facts: Facts) -> str:
    """Domain group · dataset · license · rows: domains with the same source and licence stand in one row."""
    if not facts.snapshot:
        return "What it was trained on is not known."
    groups: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    for one in facts.snapshot.composition["sources"]:
        groups[one["source"], one["license_spdx"]].append((one["domain"], one["rows"]))
    rows: list[list[object]] = [
        [
            _names([domain for domain, _ in members]),
            source or "not stated in the corpus",
            licence or "not stated in the corpus",
            sum(n for _, n in members),
        ]
        for (source, licence), members in sorted(groups.items(), key=lambda item: -sum(n for _, n in item[1]))
    ]
    return table(["Domain group", "Dataset", "License", "Rows"], rows)


def _names(domains: list[str]) -> str:
    return ", ".join(domains[:12]) + (f" and {len(domains) - 12} more" if len(domains) > 12 else "")


def _files(facts: Facts) -> str:
    rows: list[list[object]] = [[name, size, digest] for name, (digest, size) in sorted(facts.version.files.items())]
    return table(["File", "Bytes", "sha256"], [*rows, [MANIFEST, "", facts.version.id]])


def evaluated(facts: Facts) -> dict[str, Any]:
    """metrics_final of the lineage record: empty fields when nothing was measured."""
    metrics = facts.metrics
    if not metrics:
        return {"top1_accuracy": None, "top3_accuracy": None, "validation_set_size": None, "measured_on": "nothing was measured"}
    alone = facts.head_alone
    extra = {"head_alone": {"top1_accuracy": alone["top1"], "top3_accuracy": alone["top3"], "macro_f1": alone["macro_f1"]}} if alone else {}
    return {
        "top1_accuracy": metrics["top1"], "top3_accuracy": metrics["top3"], "macro_f1": metrics["macro_f1"], "validation_set_size": metrics["n"],
        "measured_on": f"test side {metrics['bound_to']['data_sha256']}", "intervals_95": metrics["intervals"], **extra,
    }  # fmt: skip
