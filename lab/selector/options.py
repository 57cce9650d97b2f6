"""What a person may set when selectors are trained or judged; what is not set is chosen on validation queries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import InputError
from lab.selector.choose import FORMS, LAB
from lab.selector.utility import DOCUMENT_SCALE_S, Utility


@dataclass(frozen=True)
class Options:
    """None: chosen on validation (lab) or the source system's constant (compatible)."""

    algorithms: tuple[str, ...] = tuple(LAB)
    forms: tuple[str, ...] = ("lab",)
    models: tuple[str, ...] = ()
    selectors: tuple[str, ...] = ()
    embedding_model: str = ""
    cache_dir: Path | None = None
    knn_k: int | None = None
    kmeans_clusters: int | None = None
    svm_kernel: str | None = None
    svm_gamma: float | None = None
    mlp_hidden: tuple[int, ...] | None = None
    mlp_dropout: float | None = None
    mlp_epochs: int | None = None
    mlp_learning_rate: float | None = None
    device: str = "cpu"
    quality_weight: float = 0.9
    cost_share: float = 0.5
    latency_scale_s: float = DOCUMENT_SCALE_S
    cost_scale_usd: float = 0.001
    limit: int | None = None
    keep_failed: bool = False
    detected: bool = False
    seed: int = 42
    name: str = "selectors"
    files: bool = True
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        for given, known, what in ((self.algorithms, LAB, "algorithm"), (self.forms, FORMS, "form")):
            unknown = [one for one in given if one not in known]
            if unknown or not given:
                raise InputError(f"There is no {what} {', '.join(unknown) or '(none given)'}.", f"Use: {', '.join(known)}.")
        for key, low in (("knn_k", 1), ("kmeans_clusters", 1), ("limit", 1)):
            value = getattr(self, key)
            if value is not None and value < low:
                raise InputError(f"{key} is {value}.", f"Use {low} or more.")

    @property
    def utility(self) -> Utility:
        return Utility(self.quality_weight, self.cost_share, self.latency_scale_s, self.cost_scale_usd)

    @property
    def fixed(self) -> dict[str, dict[str, Any]]:
        """Parameters by algorithm, only those that were set."""
        values = {
            "knn": {"k": self.knn_k}, "kmeans": {"clusters": self.kmeans_clusters}, "svm": {"kernel": self.svm_kernel, "gamma": self.svm_gamma},
            "mlp": {"hidden": self.mlp_hidden, "dropout": self.mlp_dropout, "epochs": self.mlp_epochs, "learning_rate": self.mlp_learning_rate,
                    "device": self.device if self.device != "cpu" else None},
        }  # fmt: skip
        return {name: {key: value for key, value in params.items() if value is not None} for name, params in values.items()}
