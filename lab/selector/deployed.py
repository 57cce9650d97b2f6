"""The four model files as the deployed router computes with them (spec selectors.md §4), in arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lab.errors import InputError
from lab.selector.features import check_width

ALGORITHMS = ("knn", "kmeans", "svm", "mlp")


def winner(file: Deployed, x: np.ndarray, allowed: np.ndarray | None = None) -> np.ndarray:
    """(n,) column picked for raw features (n, W). Only models in ``allowed`` (M,) may win: masked before the argmax."""
    scores = file.scores(x)
    if allowed is not None:
        scores = np.where(allowed, scores, -np.inf)
    if file.algorithm == "mlp":  # the router's MLP takes the last of equal outputs, the others the first
        return scores.shape[1] - 1 - scores[:, ::-1].argmax(1)
    return scores.argmax(1)


@dataclass(frozen=True)
class KnnFile:
    """Rows are (query, model) pairs: row r has the vector ``vectors[group[r]]`` (U, W), the model ``label[r]``, a quality, a latency in ns.

    vote = 0.9·max(q, 0.01) + 0.1·(1 − (lat − min)/max(max − min, 1 ns)), summed per model over the k nearest rows; ties of distance by row.
    """

    models: list[str]
    vectors: np.ndarray
    k: int
    group: np.ndarray
    label: np.ndarray
    quality: np.ndarray
    latency_ns: np.ndarray
    algorithm = "knn"

    @property
    def width(self) -> int:
        return self.vectors.shape[1]

    @cached_property
    def votes(self) -> np.ndarray:
        """(R,) float64."""
        low, high = int(self.latency_ns.min()), int(self.latency_ns.max())
        return 0.9 * np.maximum(self.quality, 0.01) + 0.1 * (1 - (self.latency_ns - low) / max(high - low, 1))

    @cached_property
    def _order(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows sorted by group (file order inside), and where each group starts."""
        return np.argsort(self.group, kind="stable"), np.concatenate([[0], np.cumsum(np.bincount(self.group, minlength=len(self.vectors)))])

    @cached_property
    def _squares(self) -> np.ndarray:
        return np.einsum("ij,ij->i", self.vectors, self.vectors)

    def scores(self, x: np.ndarray) -> np.ndarray:
        """(n, M) summed votes; −inf for a model without a vote."""
        check_width(x.shape[1], self.width, "This KNN file")
        rows, starts = self._order
        count = min(len(self.vectors), -(-self.k // max(1, int(np.diff(starts).min()))))
        out = np.full((len(x), len(self.models)), -np.inf)
        for start in range(0, len(x), 512):
            distance = self._squares - 2 * (x[start : start + 512].astype(self.vectors.dtype) @ self.vectors.T)
            for n, line in enumerate(distance):
                near = np.argpartition(line, count - 1)[:count] if count < len(line) else np.arange(len(line))
                near = near[np.lexsort((near, line[near]))]
                chosen = np.concatenate([rows[starts[one] : starts[one + 1]] for one in near])[: self.k]
                seen = np.bincount(self.label[chosen], minlength=len(self.models)) > 0
                total = np.bincount(self.label[chosen], weights=self.votes[chosen], minlength=len(self.models))
                out[start + n, seen] = total[seen]
        return out


@dataclass(frozen=True)
class KMeansFile:
    """``best[c]`` is the column of cluster c's model. Score of a model: minus the squared distance of its nearest centroid."""

    models: list[str]
    centroids: np.ndarray
    best: np.ndarray
    algorithm = "kmeans"

    @property
    def width(self) -> int:
        return self.centroids.shape[1]

    def scores(self, x: np.ndarray) -> np.ndarray:
        check_width(x.shape[1], self.width, "This KMeans file")
        distance = (self.centroids**2).sum(1) - 2 * (x.astype(self.centroids.dtype) @ self.centroids.T)
        out = np.full((len(x), len(self.models)), -np.inf)
        for place in np.unique(self.best):
            out[:, place] = -distance[:, self.best == place].min(1)
        return out


@dataclass(frozen=True)
class SvmFile:
    """Classifier m: w_m·x̂ − rho_m (``kernel`` "Linear", ``weights`` (M, W)) or Σ_i alpha_mi·exp(−gamma_m·|x̂ − s_i|²) − rho_m ("Rbf",
    ``vectors`` (U, W) of all classifiers, ``weights`` (M, U) their alphas), x̂ = x/|x|."""

    models: list[str]
    kernel: str
    weights: np.ndarray
    rho: np.ndarray
    gamma: np.ndarray
    vectors: np.ndarray | None = None
    algorithm = "svm"

    def __post_init__(self) -> None:
        if self.kernel not in ("Rbf", "Linear") or (self.kernel == "Rbf") != (self.vectors is not None):
            raise InputError(f"An SVM with the kernel '{self.kernel}' cannot be used.", "Use Rbf with support vectors, or Linear.")

    @property
    def width(self) -> int:
        return (self.weights if self.vectors is None else self.vectors).shape[1]

    def scores(self, x: np.ndarray) -> np.ndarray:
        check_width(x.shape[1], self.width, "This SVM file")
        x = x.astype(self.weights.dtype)
        length = np.linalg.norm(x, axis=1, keepdims=True)
        x = x / np.where(length > 0, length, 1)
        if self.vectors is None:
            return x @ self.weights.T - self.rho
        squared = np.maximum((x * x).sum(1)[:, None] + self._squares - 2 * (x @ self.vectors.T), 0)
        out = np.empty((len(x), len(self.models)), dtype=x.dtype)
        for gamma in np.unique(self.gamma):
            at = self.gamma == gamma
            out[:, at] = np.exp(-gamma * squared) @ self.weights[at].T
        return out - self.rho

    @cached_property
    def _squares(self) -> np.ndarray:
        return (self.vectors * self.vectors).sum(1)


@dataclass(frozen=True)
class Layer:
    """``kind`` linear (weight, bias), relu, batch_norm (weight, bias, running_mean, running_var, eps) or dropout (p)."""

    kind: str
    arrays: dict[str, np.ndarray]
    number: float = 0.0


@dataclass(frozen=True)
class MlpFile:
    """A plain forward pass in float32; batch norm with its running statistics, dropout does nothing."""

    models: list[str]
    layers: tuple[Layer, ...]
    dropout: float = 0.0
    algorithm = "mlp"

    @property
    def width(self) -> int:
        return next(one.arrays["weight"].shape[1] for one in self.layers if one.kind == "linear")

    def scores(self, x: np.ndarray) -> np.ndarray:
        check_width(x.shape[1], self.width, "This MLP file")
        x = x.astype(np.float32)
        for one in self.layers:
            if one.kind == "linear":
                x = x @ one.arrays["weight"].T + one.arrays["bias"]
            elif one.kind == "relu":
                x = np.maximum(x, 0)
            elif one.kind == "batch_norm":
                a = one.arrays
                x = (x - a["running_mean"]) / np.sqrt(a["running_var"] + np.float32(one.number)) * a["weight"] + a["bias"]
        return x


Deployed = KnnFile | KMeansFile | SvmFile | MlpFile
