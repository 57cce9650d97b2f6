"""One utility for training, judgement and export: quality, speed and thrift, mixed by weights that are really used."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from lab.errors import InputError
from lab.selector.table import Cells

DOCUMENT_SCALE_S, CODE_SCALE_S = 1.0, 10.0
"""Latency scales of the source system: 1/(1 + t) in its document, 1/(1 + t/10) in its code."""


@dataclass(frozen=True)
class Utility:
    """u = w·quality + (1 − w)·((1 − c)·speed + c·thrift), each in [0, 1]; w ``quality_weight``, c ``cost_share``.

    speed = 1/(1 + latency/``latency_scale_s``), thrift = 1/(1 + cost/``cost_scale_usd``) (spec selectors.md §3). A part that the data
    does not have gives its weight to the other parts: without latency and cost u is the quality.
    """

    quality_weight: float = 0.9
    cost_share: float = 0.5
    latency_scale_s: float = DOCUMENT_SCALE_S
    cost_scale_usd: float = 0.001
    parts: tuple[str, ...] = ("quality",)

    def __post_init__(self) -> None:
        for key in ("quality_weight", "cost_share"):
            if not 0 <= getattr(self, key) <= 1:
                raise InputError(f"{key} is {getattr(self, key)}.", "Use a number from 0 to 1.")
        for key in ("latency_scale_s", "cost_scale_usd"):
            if not 0 < getattr(self, key) < np.inf:
                raise InputError(f"{key} is {getattr(self, key)}.", "Use a number above 0.")

    def for_cells(self, cells: Cells) -> Utility:
        """With the parts that ``cells`` have, in the order quality, speed, thrift."""
        parts = ["quality"]
        if not np.isnan(cells.latency_s).all():
            parts.append("speed")
        if not np.isnan(cells.cost_usd).all():
            parts.append("thrift")
        return replace(self, parts=tuple(parts))

    def at(self, quality_weight: float) -> Utility:
        return replace(self, quality_weight=float(quality_weight))

    @cached_property
    def weights(self) -> np.ndarray:
        """(C,) float64, sum 1, one per part."""
        rest = 1 - self.quality_weight
        share = {"quality": self.quality_weight, "speed": rest * (1 - self.cost_share), "thrift": rest * self.cost_share}
        if "speed" not in self.parts or "thrift" not in self.parts:
            share |= {"speed": rest, "thrift": rest}
        weights = np.asarray([share[part] for part in self.parts])
        return weights / weights.sum() if weights.sum() > 0 and len(weights) > 1 else np.ones(1)

    def components(self, cells: Cells) -> np.ndarray:
        """(n, M, C) float64 in [0, 1], NaN for gaps."""
        values = {
            "quality": cells.quality,
            "speed": 1 / (1 + cells.latency_s / self.latency_scale_s),
            "thrift": 1 / (1 + cells.cost_usd / self.cost_scale_usd),
        }
        return np.stack([values[part] for part in self.parts], axis=2)

    def mix(self, components: np.ndarray) -> np.ndarray:
        """(…, C) → (…): the utility."""
        return components @ self.weights.astype(components.dtype)

    def original(self, components: np.ndarray) -> dict[str, np.ndarray]:
        """Predicted components (…, C) back in quality, seconds and dollars."""
        out = {}
        for place, part in enumerate(self.parts):
            value = components[..., place]
            if part == "quality":
                out["quality"] = value
            else:
                scale = self.latency_scale_s if part == "speed" else self.cost_scale_usd
                out["latency_s" if part == "speed" else "cost_usd"] = scale * (1 / np.clip(value, 1e-6, 1) - 1)
        return out

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"parts": list(self.parts)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Utility:
        try:
            return cls(**(value | {"parts": tuple(value["parts"])}))
        except (TypeError, KeyError) as error:
            raise InputError(f"The utility {value!r:.80} cannot be read ({error}).", "Restore the file.") from None


QUALITY = Utility()
"""Quality alone, as long as the data has nothing else."""


def filled(components: np.ndarray) -> np.ndarray:
    """(n, M, C) with gaps set to what the model's mean and the query's own difficulty say: mean of the model + mean residual of the
    query's observed models, in [0, 1]. A model without any value gets the mean of all."""
    known = ~np.isnan(components)
    if known.all():
        return components
    total = np.where(known, components, 0.0)
    overall = total.sum((0, 1)) / np.maximum(known.sum((0, 1)), 1)
    count = known.sum(0)
    mean = np.where(count > 0, total.sum(0) / np.maximum(count, 1), overall)
    residual = np.where(known, components - mean, 0.0).sum(1) / np.maximum(known.sum(1), 1)
    return np.where(known, components, np.clip(mean + residual[:, None, :], 0.0, 1.0))


def means(components: np.ndarray) -> np.ndarray:
    """(M, C) mean over the observed queries; where there is none, the mean of all models."""
    known = ~np.isnan(components)
    total, count = np.where(known, components, 0.0).sum(0), known.sum(0)
    overall = total.sum(0) / np.maximum(count.sum(0), 1)
    return np.where(count > 0, total / np.maximum(count, 1), overall)
