"""What the semantic router's own training does (spec selectors.md §5), kept for comparison: same rows, same labels, same constants.

Features are unscaled; each query becomes one row per model, labelled with that model whoever was best; 0.9 and 0.1 are hard-wired.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from lab.selector.contract import Params, check_training
from lab.selector.deployed import Deployed, KMeansFile, KnnFile, Layer, MlpFile, SvmFile, winner
from lab.selector.mlp import check_network
from lab.selector.table import Cells
from lab.selector.utility import CODE_SCALE_S

STARTS = 3
SVM_ROWS = 2000
"""A support vector machine is quadratic in its rows; more queries than fit in here are sampled, whole queries at a time."""


class CompatibleSelector(Params):
    """``file_`` is what was learnt: a model file whose models are columns named "0", "1", …"""

    file_: Deployed

    def predict(self, x: np.ndarray) -> np.ndarray:
        return winner(self.file_, x)

    def scores(self, x: np.ndarray) -> np.ndarray:
        return self.file_.scores(x)

    def deployed(self, models: list[str]) -> Deployed:
        from dataclasses import replace

        return replace(self.file_, models=list(models))


def _rows(y: Cells) -> tuple[np.ndarray, np.ndarray]:
    """(query, model) of each record, query by query."""
    query, model = np.nonzero(y.observed)
    return query, model


def _names(y: Cells) -> list[str]:
    return [str(place) for place in range(y.quality.shape[1])]


class CompatibleKnn(CompatibleSelector):
    """k rows, not k queries."""

    def __init__(self, k: int = 5) -> None:
        self.k = k

    def fit(self, x: np.ndarray, y: Cells) -> Self:
        check_training(x, y)
        query, model = _rows(y)
        latency_ns = np.round(np.nan_to_num(y.latency_s[query, model]) * 1e9).astype(np.int64)
        self.file_ = KnnFile(_names(y), x, self.k, query, model, y.quality[query, model], latency_ns)
        return self


class CompatibleKMeans(CompatibleSelector):
    """The model with the largest sum, over a cluster's rows, of 0.9·quality + 0.1/(1 + latency/10 s)."""

    def __init__(self, clusters: int = 8, seed: int = 42) -> None:
        self.clusters, self.seed = clusters, seed

    def fit(self, x: np.ndarray, y: Cells) -> Self:
        check_training(x, y)
        centroids, label = _clusters(x, self.clusters, self.seed)
        speed = 1 / (1 + np.nan_to_num(y.latency_s) / CODE_SCALE_S)
        value = np.where(y.observed, 0.9 * np.nan_to_num(y.quality) + 0.1 * speed, 0.0)
        member = np.zeros((len(centroids), len(x)))
        member[label, np.arange(len(x))] = 1.0
        self.file_ = KMeansFile(_names(y), centroids, (member @ value).argmax(1))
        return self


def _clusters(x: np.ndarray, clusters: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Centroids (C, W) float32 and labels (n,) by scikit-learn's k-means++ and Lloyd; at most as many clusters as distinct rows."""
    import warnings

    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    with warnings.catch_warnings(), threadpool_limits(1):  # its threads spin at a barrier in each step: ten times slower on a busy machine
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct queries than clusters: said by the number of centroids
        model = KMeans(min(clusters, len(x)), n_init=STARTS, max_iter=30, random_state=seed, tol=1e-3).fit(x)
    used, label = np.unique(model.labels_, return_inverse=True)
    return np.ascontiguousarray(model.cluster_centers_[used], dtype=np.float32), label


class CompatibleSvm(CompatibleSelector):
    """scikit-learn's SVC on the labelled rows; the file keeps its support vectors with every alpha 1 and one rho."""

    def __init__(self, kernel: str = "rbf", gamma: float = 1.0, seed: int = 42) -> None:
        self.kernel, self.gamma, self.seed = kernel, gamma, seed

    def fit(self, x: np.ndarray, y: Cells) -> Self:
        check_training(x, y)
        from sklearn.svm import SVC

        kept = np.random.default_rng(self.seed).permutation(len(x))[: max(2, SVM_ROWS // y.quality.shape[1])]
        query, model = _rows(y[np.sort(kept)])
        rows = x[np.sort(kept)][query].astype(np.float64)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        svc = SVC(kernel=self.kernel, gamma=self.gamma).fit(rows, model)
        rho = np.full(y.quality.shape[1], float(svc.intercept_.mean()))
        gamma = np.full(len(rho), self.gamma)
        if self.kernel == "linear":
            weights = np.zeros((len(rho), rows.shape[1]))
            for place, at in zip(svc.classes_, np.split(svc.support_, np.cumsum(svc.n_support_)[:-1]), strict=True):
                weights[place] = rows[at].sum(0)
            self.file_ = SvmFile(_names(y), "Linear", weights, rho, gamma)
            return self
        points, at = np.unique(query[svc.support_], return_inverse=True)
        alpha = np.zeros((len(rho), len(points)))
        alpha[model[svc.support_], at] = 1.0
        first = np.searchsorted(query, points)
        self.file_ = SvmFile(_names(y), "Rbf", alpha, rho, gamma, rows[first])
        return self


class CompatibleMlp(CompatibleSelector):
    """Cross-entropy on the labelled rows, stopped by the training loss; seeded, which the source is not."""

    def __init__(
        self, hidden: tuple[int, ...] = (512, 256), dropout: float = 0.1, epochs: int = 100, learning_rate: float = 1e-3, seed: int = 42
    ) -> None:
        self.hidden, self.dropout, self.epochs, self.learning_rate, self.seed = tuple(hidden), dropout, epochs, learning_rate, seed

    def fit(self, x: np.ndarray, y: Cells) -> Self:
        check_training(x, y)
        check_network(self.hidden, self.dropout, self.epochs, self.learning_rate)
        from lab.selector.mlp_train import classify

        query, model = _rows(y)
        arrays = classify(x[query], model, y.quality.shape[1], self.hidden, self.dropout, self.epochs, self.learning_rate, self.seed)
        layers: list[Layer] = []
        for one in arrays:
            if "running_mean" in one:
                layers += [Layer("batch_norm", one, 1e-5), Layer("relu", {}), Layer("dropout", {}, self.dropout)]
            else:
                layers.append(Layer("linear", one))
        self.file_ = MlpFile(_names(y), tuple(layers), self.dropout)
        return self
