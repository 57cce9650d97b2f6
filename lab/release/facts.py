"""Everything measured or counted that the records of a version quote, computed from the version's own files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.release.snapshot import Snapshot
from lab.release.versions import Version
from lab.router.folder import WEIGHTS
from lab.router.lexical_file import LEXICAL


@dataclass(frozen=True)
class Facts:
    """``metrics``: the test report bound to the weights, or None. ``snapshot``: what it was trained on, or None. ``meta``: meta.json.

    ``lexical_parameters`` is 0 for a router without a lexical part; ``encoder_parameters`` is None when the encoder's weights are not at hand.
    """

    version: Version
    domains: tuple[str, ...]
    embedding_dim: int
    hidden_dim: int
    head_parameters: int
    lexical_parameters: int
    encoder: str
    encoder_parameters: int | None
    meta: dict[str, Any]
    ours: dict[str, Any]
    metrics: dict[str, Any] | None
    snapshot: Snapshot | None

    @property
    def recipe(self) -> dict[str, Any]:
        return self.ours.get("recipe") or {}

    @property
    def weights(self) -> tuple[str, int]:
        """(sha256, size in bytes) of the weights file."""
        return self.version.files[WEIGHTS]

    @property
    def lexical_file(self) -> tuple[str, int] | None:
        """(sha256, size in bytes) of the lexical part, None for a router without one."""
        return self.version.files.get(LEXICAL)

    @property
    def head_alone(self) -> dict[str, Any] | None:
        """Figures of a gateway that loads the weights file alone, on the same test prompts; None if they were not measured."""
        return (self.metrics or {}).get("head_alone")

    @property
    def total_parameters(self) -> int | None:
        return None if self.encoder_parameters is None else self.encoder_parameters + self.head_parameters + self.lexical_parameters

    @property
    def figures(self) -> dict[str, float | int | str]:
        """Name → value, for every figure that a record can state. What is not known is absent. Shares are of 1."""
        out: dict[str, Any] = {
            "num_domains": len(self.domains), "embedding_dim": self.embedding_dim, "hidden_dim": self.hidden_dim, "head_parameters": self.head_parameters,
            "encoder_parameters": self.encoder_parameters, "total_parameters": self.total_parameters, "sha256": self.weights[0], "size_bytes": self.weights[1],
            "epochs": self.recipe.get("epochs"), "batch_size": self.recipe.get("batch_size"), "learning_rate": self.recipe.get("learning_rate"),
            "seed": self.recipe.get("seed"), "corpus_sha256": self.ours.get("corpus_sha256"), "split_sha256": self.ours.get("split_sha256"),
        }  # fmt: skip
        if self.metrics:
            out |= {key: self.metrics[key] for key in ("top1", "top3", "macro_f1", "weighted_f1", "ece")} | {
                "evaluated_rows": self.metrics["n"]
            }
        if self.head_alone:
            out |= {f"head_alone_{key}": self.head_alone[key] for key in ("top1", "top3", "macro_f1")}
        if self.lexical_file:
            out |= {"lexical_parameters": self.lexical_parameters, "lexical_sha256": self.lexical_file[0], "lexical_size_bytes": self.lexical_file[1]}
        if self.snapshot:
            out["corpus_rows"] = len(self.snapshot.labels)
        return {key: value for key, value in out.items() if value is not None}


def facts_of(version: Version, encoder_parameters: int | None = None) -> Facts:
    """Reads the version; ArtefactError if metrics.json is of other weights."""
    router = version.router
    head, lexical = router.head, router.lexical
    return Facts(
        version, tuple(router.domains), head.dim, head.hidden, head.parameters, lexical.parameters if lexical else 0, router.encoder_name, encoder_parameters, router.folder.meta, router.ours,
        router.metrics, version.snapshot,
    )  # fmt: skip


def count_parameters(weights: Path) -> int:
    """Floating-point numbers in a safetensors file (position ids are no parameters), from its header alone."""
    import json
    import math

    with weights.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    return sum(math.prod(one["shape"]) for key, one in header.items() if key != "__metadata__" and one["dtype"].startswith(("F", "BF")))
