"""Kernel ridge on the router's own SVM arithmetic: exact in its file, unlike a file with every alpha 1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from lab.errors import InputError
from lab.selector.contract import LabSelector, check_training
from lab.selector.deployed import SvmFile
from lab.selector.features import check_width, scaled
from lab.selector.table import Cells
from lab.selector.utility import QUALITY, Utility, means

GAMMAS, RIDGES, WEIGHTS = (1.0, 3.0), (300.0, 100.0, 30.0, 10.0, 3.0, 1.0), (1.0, 0.5, 0.0)
LANDMARKS, TUNING_LANDMARKS = 1000, 400


class SvmSelector(LabSelector):
    """Ridge regression of each model's parts, from their mean, on k(x, s_j) of ``landmarks`` training queries s_j (Nyström, subset of
    regressors: Smola & Schölkopf 2000), k = exp(−gamma·|x − s|²/2) on scaled features; or linear ("linear").

    Minimises |K·a − y|² + ridge·aᵀK_ss·a per model over its observed queries.
    """

    def __init__(
        self, kernel: str = "rbf", gamma: float = 1.0, ridge: float = 3.0, category_weight: float = 0.5, landmarks: int = LANDMARKS, seed: int = 42, utility: Utility = QUALITY, categories: int = 0
    ) -> None:  # fmt: skip
        self.kernel, self.gamma, self.ridge, self.category_weight = kernel, gamma, ridge, category_weight
        self.landmarks, self.seed, self.utility, self.categories = landmarks, seed, utility, categories

    def fit(self, x: np.ndarray, y: Cells) -> Self:
        check_training(x, y)
        if self.kernel not in ("rbf", "linear"):
            raise InputError(f"The SVM kernel is '{self.kernel}'.", "Use rbf or linear.")
        if self.gamma <= 0 or self.ridge <= 0:
            raise InputError(f"gamma is {self.gamma:g} and ridge {self.ridge:g}.", "Use numbers above 0.")
        rows = np.sort(np.random.default_rng(self.seed).permutation(len(x))[: self.landmarks])
        self.landmarks_ = x[rows] if self.kernel == "rbf" else x[:0]
        parts = self.utility.components(y)
        mean = means(parts)
        inside, penalty = self._inside(x), self._penalty()
        return self.restore({"landmarks": self.landmarks_, "alpha": solve(inside, parts - mean, penalty, [self.ridge])[0], "means": mean})

    def _inside(self, x: np.ndarray) -> np.ndarray:
        """(n, J) float64: kernel values, or the scaled features."""
        a = scaled(x, self.categories, self.category_weight)
        return (gaussian(a, self._scaled_landmarks(), self.gamma / 2) if self.kernel == "rbf" else a).astype(np.float64)

    def _scaled_landmarks(self) -> np.ndarray:
        return scaled(self.landmarks_, self.categories, self.category_weight)

    def _penalty(self) -> np.ndarray | None:
        return None if self.kernel == "linear" else self._inside(self.landmarks_)

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        super().restore(tensors)
        self._points = self._scaled_landmarks()
        self._squares = (self._points * self._points).sum(1)
        flat = np.ascontiguousarray(self.alpha_.reshape(len(self.alpha_), -1))
        self._flat = flat
        return self

    def tensors(self) -> dict[str, np.ndarray]:
        return {"landmarks": self.landmarks_, "alpha": self.alpha_, "means": self.means_}

    def components(self, x: np.ndarray) -> np.ndarray:
        width = self.landmarks_.shape[1]
        check_width(x.shape[1], width, "This selector")
        a = scaled(x, self.categories, self.category_weight)
        inside = gaussian(a, self._points, self.gamma / 2, self._squares) if self.kernel == "rbf" else a
        return (inside @ self._flat).reshape(len(x), *self.means_.shape) + self.means_

    def deployed(self, models: list[str], utility: Utility | None = None) -> SvmFile:
        """x̂ = (e, o)/√2 there. rbf: s = (e_s, w²·o_s)/√2 has |x̂ − s|² = |x − s|²_scaled/2 + (1 − w²)²/2, the last part goes into alpha.
        linear: √2·(β_e, w·β_o). The mean is −rho."""
        utility = utility or self.utility
        alpha, w = utility.mix(self.alpha_).T, self.category_weight
        rho, gamma = -utility.mix(self.means_), np.full(len(models), self.gamma)
        if self.kernel == "linear":
            return SvmFile(list(models), "Linear", scaled(alpha, self.categories, w) * np.sqrt(2 if self.categories else 1), rho, gamma)
        points, root = self.landmarks_.astype(np.float64), np.sqrt(2 if self.categories else 1)
        offset = self.gamma * (1 - w * w) ** 2 / 2 if self.categories else 0.0
        if not self.categories:
            gamma = gamma / 2
        return SvmFile(list(models), "Rbf", alpha * np.exp(offset), rho, gamma, scaled(points, self.categories, w * w) / root)

    @classmethod
    def candidates(
        cls, x: np.ndarray, y: Cells, valid: np.ndarray, utility: Utility, categories: int, seed: int, fixed: dict[str, Any]
    ) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        parts = utility.components(y)
        mean = means(parts)
        kernel = fixed.get("kernel", "rbf")
        gammas = [fixed["gamma"]] if "gamma" in fixed else GAMMAS if kernel == "rbf" else (1.0,)
        for weight in [fixed["category_weight"]] if "category_weight" in fixed else WEIGHTS:
            for gamma in gammas:
                one = cls(kernel, gamma, 1.0, weight, TUNING_LANDMARKS, seed, utility, categories)
                rows = np.sort(np.random.default_rng(seed).permutation(len(x))[:TUNING_LANDMARKS])
                one.landmarks_ = x[rows] if kernel == "rbf" else x[:0]
                inside, outside = one._inside(x), one._inside(valid)
                ridges = [fixed["ridge"]] if "ridge" in fixed else RIDGES
                for ridge, alpha in zip(ridges, solve(inside, parts - mean, one._penalty(), ridges), strict=True):
                    scores = utility.mix(np.tensordot(outside, alpha, 1) + mean)
                    yield {"kernel": kernel, "gamma": gamma, "ridge": ridge, "category_weight": weight, "seed": seed}, scores


def gaussian(a: np.ndarray, b: np.ndarray, gamma: float, squares: np.ndarray | None = None) -> np.ndarray:
    """(n, J) exp(−gamma·|a − b|²)."""
    squares = (b * b).sum(1) if squares is None else squares
    distance = (a * a).sum(1)[:, None] + squares - 2 * (a @ b.T)
    return np.exp(np.maximum(distance, 0, out=distance) * -np.asarray(gamma, dtype=distance.dtype))


def solve(inside: np.ndarray, target: np.ndarray, penalty: np.ndarray | None, ridges: list[float] | tuple[float, ...]) -> list[np.ndarray]:
    """For each ridge the (J, M, C) minimiser of |inside·a − target|² + ridge·aᵀ·penalty·a; NaN targets count for nothing.

    ``penalty`` None is the identity. One factorisation per pattern of gaps and ridge.
    """
    from scipy.linalg import cho_factor, cho_solve

    n, width = inside.shape
    penalty = np.eye(width) if penalty is None else penalty
    jitter = 1e-6 * np.eye(width)
    flat = target.reshape(n, -1)
    known = ~np.isnan(flat)
    patterns, which = np.unique(known, axis=1, return_inverse=True)
    out = [np.zeros((width, flat.shape[1])) for _ in ridges]
    for pattern in range(patterns.shape[1]):
        rows, columns = patterns[:, pattern], which == pattern
        if not rows.any():
            continue
        part = inside if rows.all() else inside[rows]
        gram, right = part.T @ part, part.T @ flat[np.ix_(rows, columns)]
        for place, ridge in enumerate(ridges):
            out[place][:, columns] = cho_solve(cho_factor(gram + ridge * penalty + jitter, lower=True), right)
    return [one.reshape(width, *target.shape[1:]) for one in out]
