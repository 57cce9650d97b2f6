"""Annex IV §1(c) of Regulation (EU) 2024/1689: the lineage record of a deployed version (fields: spec router.md §6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.release.cards import LOSSES, evaluated
from lab.release.facts import Facts
from lab.release.provider import Provider
from lab.router.folder import WEIGHTS
from lab.router.lexical_file import LEXICAL

HEAD = "2-layer MLP (Linear → GELU → Dropout → Linear)"


@dataclass(frozen=True)
class Deployment:
    """A promotion: when the version began to serve, and which one served before (its id, None for the first)."""

    at_utc: str | None = None
    previous: str | None = None


def lineage(facts: Facts, provider: Provider, deployment: Deployment | None = None) -> dict[str, Any]:
    """The record as JSON. What is not known is null, never guessed."""
    deployment = deployment or Deployment()
    recipe = facts.recipe
    digest, size = facts.weights
    return {
        "deployment_id": provider.deployment_id or None, "deployed_at_utc": deployment.at_utc, "deployed_on_host": provider.deployed_on_host or None,
        "served_via": provider.served_via or None,
        "source": {
            "provider": provider.provider or None,
            "encoder": {
                "huggingface_repo": facts.encoder, "license_spdx": provider.encoder_license_spdx or None, "provider": provider.encoder_provider or None,
                "embedding_dim": facts.embedding_dim, "parameters": facts.encoder_parameters, "id": facts.ours.get("encoder_id"),
            },
            "head": {
                "checkpoint": facts.version.id, "previous_checkpoint": deployment.previous, "training_script": provider.training_script or None,
                "training_data_script": provider.training_data_script or None, "libraries": facts.ours.get("libraries"),
            },
        },
        "weights_file": {"filename": WEIGHTS, "size_bytes": size, "sha256_expected": digest}, **_lexical_file(facts),
        "architecture": {
            "family": "Encoder + classifier head", "encoder_kind": facts.encoder, "head_kind": HEAD + (" and a lexical part on n-grams" if facts.lexical_parameters else ""),
            "head_hidden_dim": facts.hidden_dim, "num_domains": len(facts.domains), "head_parameters": facts.head_parameters,
            "lexical_parameters": facts.lexical_parameters, "total_parameters": facts.total_parameters, "active_parameters_per_token": facts.total_parameters,
        },
        "training_data": _data(facts, provider),
        "training_method": {
            "loss": LOSSES.get(recipe.get("loss", ""), recipe.get("loss")), "optimizer": f"AdamW lr={recipe['learning_rate']:g}" if recipe else None,
            "lexical": f"linear support vector machines on TF-IDF of n-grams, C {recipe['lexical_cost']:g}" if recipe and facts.lexical_file else None,
            "epochs": recipe.get("epochs"), "batch_size": recipe.get("batch_size"), "seed": recipe.get("seed"), "hardware": provider.hardware or None,
            **_cost(facts, provider), "metrics_final": evaluated(facts),
        },
        "modifications_post_download": list(provider.modifications), "intended_use": provider.intended_use or None, "out_of_scope": list(provider.out_of_scope),
    }  # fmt: skip


def _lexical_file(facts: Facts) -> dict[str, Any]:
    """The second weights file of a hybrid router; nothing for others."""
    if facts.lexical_file is None:
        return {}
    digest, size = facts.lexical_file
    return {"lexical_file": {"filename": LEXICAL, "size_bytes": size, "sha256_expected": digest}}


def _data(facts: Facts, provider: Provider) -> dict[str, Any]:
    snapshot = facts.snapshot
    if snapshot is None:
        return {
            "source": None,
            "datasets_combined": [],
            "split": None,
            "language_mix": None,
            "copyright_status": provider.copyright_status or None,
        }
    made = snapshot.composition
    sources = sorted({(one["source"], one["license_spdx"]) for one in made["sources"]})
    rows = ", ".join(f"{side} {n}" for side, n in made["split_rows"].items())
    return {
        "source": f"corpus {snapshot.corpus_sha256}, revision {snapshot.revision}",
        "datasets_combined": [{"dataset": source or None, "license_spdx": licence or None} for source, licence in sources],
        "split": f"{rows}; by hash of the text, near-duplicates together, split {snapshot.split_sha256}",
        "language_mix": made["per_language"], "copyright_status": provider.copyright_status or None,
    }  # fmt: skip


def _cost(facts: Facts, provider: Provider) -> dict[str, Any]:
    """From the duration that the training run recorded (``training_s`` in version.json) and the provider's power figure."""
    seconds = facts.version.about.get("training_s")
    known = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    energy = round(provider.power_w * seconds / 3600, 3) if known and provider.power_w else None
    return {"wall_clock_minutes_estimate": round(seconds / 60, 2) if known else None, "energy_estimate_wh": energy}
