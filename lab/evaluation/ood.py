"""Out-of-domain scores: how unlike the training prompts a prompt is. Higher = more out-of-domain, for every score here.

The first four read a router's logits, the last three its encoder's vectors and what was fitted on training rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lab.errors import InputError

PASS = 0.95
"""Share of in-domain prompts that a threshold lets pass."""
K = 10
DEFAULT_SCORE = "nearest"
"""The vector score with the best AUROC on the dev half of models/out_of_domain.jsonl (a test holds it to that)."""


def max_probability(claimed: np.ndarray) -> np.ndarray:
    """(n,) 1 − the (n,) calibrated probability of the top domain (Hendrycks & Gimpel 2017, "A baseline for detecting …")."""
    return 1.0 - claimed


def max_logit(logits: np.ndarray) -> np.ndarray:
    """(n,) minus the largest of the (n, N) logits (Hendrycks et al. 2022, "Scaling out-of-distribution detection")."""
    return -logits.max(axis=1)


def energy(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """(n,) −T·log Σ exp(z/T) (Liu et al. 2020, "Energy-based out-of-distribution detection")."""
    from scipy.special import logsumexp

    return -temperature * logsumexp(logits / temperature, axis=1)


def joint_energy(logits: np.ndarray) -> np.ndarray:
    """(n,) −Σ log(1 + exp z): the energy of a head trained with sigmoids (Wang et al. 2021, "Can multi-label classification networks know …")."""
    return -np.logaddexp(0.0, logits).sum(axis=1)


@dataclass(frozen=True)
class Gaussians:
    """``means`` (C, D) of the classes with their shared ``whiten`` (D, D), and the one Gaussian of all rows: ``mean_all`` (D,), ``whiten_all``.

    ‖(x − mean)·whiten‖² is the squared Mahalanobis distance.
    """

    means: np.ndarray
    whiten: np.ndarray
    mean_all: np.ndarray
    whiten_all: np.ndarray

    @classmethod
    def fit(cls, vectors: np.ndarray, labels: np.ndarray) -> Gaussians:
        """(n, D) vectors and (n,) class ids. Shared covariance around the class means, with Ledoit–Wolf shrinkage (Ledoit & Wolf 2004)."""
        classes, place = np.unique(labels, return_inverse=True)
        means = np.stack([vectors[place == n].mean(axis=0) for n in range(len(classes))])
        mean_all = vectors.mean(axis=0)
        return cls(means, _whitening(vectors - means[place]), mean_all, _whitening(vectors - mean_all))

    def mahalanobis(self, vectors: np.ndarray) -> np.ndarray:
        """(n,) squared distance to the nearest class mean (Lee et al. 2018, "A simple unified framework …")."""
        return _squared(vectors @ self.whiten, self.means @ self.whiten).min(axis=1)

    def relative(self, vectors: np.ndarray) -> np.ndarray:
        """(n,) :meth:`mahalanobis` minus the distance under one Gaussian of all rows (Ren et al. 2021, "A simple fix to Mahalanobis …")."""
        return self.mahalanobis(vectors) - _squared(vectors @ self.whiten_all, (self.mean_all @ self.whiten_all)[None, :])[:, 0]


def _whitening(centred: np.ndarray) -> np.ndarray:
    from sklearn.covariance import ledoit_wolf

    covariance, _ = ledoit_wolf(centred, assume_centered=True)
    return np.linalg.cholesky(np.linalg.inv(covariance)).astype(np.float32)


def _squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n, m) squared Euclidean distances."""
    return np.maximum(0.0, (a * a).sum(1)[:, None] - 2.0 * a @ b.T + (b * b).sum(1)[None, :])


def mahalanobis(vectors: np.ndarray, train: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """:meth:`Gaussians.mahalanobis` fitted on (m, D) ``train`` with (m,) ``labels``."""
    return Gaussians.fit(train, labels).mahalanobis(vectors)


def relative_mahalanobis(vectors: np.ndarray, train: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """:meth:`Gaussians.relative` fitted on (m, D) ``train`` with (m,) ``labels``."""
    return Gaussians.fit(train, labels).relative(vectors)


def knn(vectors: np.ndarray, train: np.ndarray, k: int = K, block: int = 512) -> np.ndarray:
    """(n,) Euclidean distance to the k-th nearest of (m, D) ``train``, all of unit length (Sun et al. 2022, "Out-of-distribution
    detection with deep nearest neighbors"). InputError with fewer than k training rows."""
    if len(train) < k:
        raise InputError(f"The distance to neighbour {k} needs {k} training rows, there are {len(train)}.", "Give more rows.")
    out = np.empty(len(vectors), dtype=np.float32)
    for start in range(0, len(vectors), block):
        cosine = vectors[start : start + block] @ train.T
        kth = np.partition(cosine, cosine.shape[1] - k, axis=1)[:, cosine.shape[1] - k]
        out[start : start + block] = np.sqrt(np.maximum(0.0, 2.0 - 2.0 * kth))
    return out


def logit_scores(logits: np.ndarray, claimed: np.ndarray) -> dict[str, np.ndarray]:
    """Name → (n,) score, from (n, N) logits and the (n,) probability claimed for the top domain."""
    return {
        "max_probability": max_probability(claimed),
        "max_logit": max_logit(logits),
        "energy": energy(logits),
        "joint_energy": joint_energy(logits),
    }


class OodDetector:
    """One vector score with a threshold. ``fit`` learns ``train_`` or ``gaussians_``, ``calibrate`` the threshold.

    ``nearest`` is ``knn`` with k = 1. Fitted in well under a second and kept in memory; nothing is saved.
    """

    NEIGHBOUR: ClassVar[dict[str, int]] = {"nearest": 1, "knn": K}
    NAMES = ("mahalanobis", "relative_mahalanobis", *NEIGHBOUR)

    def __init__(self, name: str = DEFAULT_SCORE) -> None:
        if name not in self.NAMES:
            raise InputError(f"There is no vector score '{name}'.", f"Use one of: {', '.join(self.NAMES)}.")
        self.name = name
        self.threshold = float("nan")

    def fit(self, vectors_train: np.ndarray, labels_train: np.ndarray | None = None) -> OodDetector:
        """(m, D) unit vectors of training rows; (m,) class ids, needed by the Gaussian scores alone."""
        k = self.NEIGHBOUR.get(self.name, 2)
        if len(vectors_train) < k:
            raise InputError(f"The score '{self.name}' needs {k} training rows, there are {len(vectors_train)}.", "Give more rows.")
        if self.name in self.NEIGHBOUR:
            self.train_ = np.ascontiguousarray(vectors_train, dtype=np.float32)
        elif labels_train is None:
            raise InputError(f"The score '{self.name}' needs the labels of the training rows.", "Pass labels_train, or use 'knn'.")
        else:
            self.gaussians_ = Gaussians.fit(vectors_train, labels_train)
        return self

    def calibrate(self, vectors_valid: np.ndarray) -> OodDetector:
        """The lowest threshold at or under which at least 95 % of in-domain validation rows (m, D) lie."""
        if len(vectors_valid) == 0:
            raise InputError("An out-of-domain threshold needs validation rows, there are none.", "Give some.")
        self.threshold = passing_threshold(self.score(vectors_valid))
        return self

    def score(self, vectors: np.ndarray) -> np.ndarray:
        """(n,) of (n, D) unit vectors; higher = more out-of-domain."""
        if self.name in self.NEIGHBOUR:
            return knn(vectors, self.train_, self.NEIGHBOUR[self.name])
        return self.gaussians_.mahalanobis(vectors) if self.name == "mahalanobis" else self.gaussians_.relative(vectors)

    def judge(self, vector: np.ndarray) -> dict[str, float | bool | str]:
        """One prompt's vector (D,): score, threshold, outside, name."""
        score = float(self.score(vector[None, :])[0])
        return {"score": score, "threshold": self.threshold, "outside": bool(score > self.threshold), "name": self.name}


def passing_threshold(inside: np.ndarray, share: float = PASS) -> float:
    """The smallest of the (n,) in-domain scores at or under which at least ``share`` of them lie."""
    return float(np.sort(inside)[int(np.ceil(share * len(inside) - 1e-9)) - 1])
