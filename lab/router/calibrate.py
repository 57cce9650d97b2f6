"""From logits to a probability that the domain is the prompt's primary one, and to a threshold that keeps a promised precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lab.errors import ArtefactError
from lab.evaluation.intervals import wilson
from lab.router.head import sigmoid, softmax

TARGETS = (0.70, 0.75, 0.80, 0.85, 0.90, 0.95, 0.98)
DEFAULT_TARGET = 0.90
MIN_ACCEPTED = 30
TINY = 1e-6
LEAST_SLOPE = 0.01
CLOSE = 5e-4
"""Brier scores nearer than this are taken as equal."""


@dataclass(frozen=True)
class Calibration:
    """``temperature``: softmax(z / a[0]); ``platt``: σ(a_c·z_c + b_c) per class (Platt 1999); ``none``: no probability is claimed.

    ``top``: softmax(z / a[0]), whose largest value p becomes σ(a[1]·l + a[2]·l² + b[0]) with l = logit(p), and past the
    parabola's turn rises by LEAST_SLOPE·l, so that it never falls with p; the others are scaled to fill up to 1.
    """

    kind: str
    a: tuple[float, ...] = ()
    b: tuple[float, ...] = ()

    def probabilities(self, logits: np.ndarray) -> np.ndarray | None:
        """(n, N) in [0, 1], or None for kind ``none``."""
        if self.kind == "temperature":
            return softmax(logits / self.a[0])
        if self.kind == "top":
            return _top_scaled(softmax(logits / self.a[0]), self.a[1:], self.b[0])
        if self.kind == "platt":
            return sigmoid(logits * np.asarray(self.a, dtype=np.float32) + np.asarray(self.b, dtype=np.float32))
        return None

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "a": list(self.a), "b": list(self.b)}

    @classmethod
    def from_json(cls, value: Any, domains: int) -> Calibration:
        if value is not None and not isinstance(value, dict):
            raise ArtefactError(f"Calibration is {value!r:.40}, expected an object.", "Restore meta.json.")
        if not value or value.get("kind") == "none":
            return cls("none")
        kind, a, b = value.get("kind"), value.get("a", []), value.get("b", [])
        want = {"temperature": (1, 0), "top": (3, 1), "platt": (domains, domains)}.get(str(kind))
        if not all(isinstance(one, list) and all(_is_number(x) for x in one) for one in (a, b)):
            raise ArtefactError(
                f"Calibration {kind!r} does not fit {domains} domains: a and b must be lists of finite numbers.", "Restore meta.json."
            )
        if want is None or (len(a), len(b)) != want:
            raise ArtefactError(
                f"Calibration {kind!r} with {len(a)} and {len(b)} values does not fit {domains} domains.", "Restore meta.json."
            )
        if kind in ("temperature", "top") and a[0] <= 0:
            raise ArtefactError(f"Calibration: the temperature is {a[0]}, expected more than 0.", "Restore meta.json.")
        return cls(kind, tuple(map(float, a)), tuple(map(float, b)))


def _top_scaled(p: np.ndarray, slopes: tuple[float, ...], shift: float) -> np.ndarray:
    """(n, N) of softmax values (n, N), written in place: the largest of each row by quadratic Platt scaling of its logit, the others in proportion."""
    rows, top = np.arange(len(p)), p.argmax(axis=1)
    logit, (slope, curve), beyond = _logit(p[rows, top]), slopes, 0.0
    if curve:
        turn = min(max(-slope / (2 * curve), -1e6), 1e6)
        held = np.minimum(logit, turn) if curve < 0 else np.maximum(logit, turn)
        logit, beyond = held, logit - held
    first = sigmoid(slope * logit + curve * logit * logit + shift + LEAST_SLOPE * beyond)
    p[rows, top] = 0
    rest = p.sum(axis=1, keepdims=True)
    if not rest.all():  # softmax gave the largest all there is
        p[rest[:, 0] == 0], rest[rest == 0] = 1, max(1, p.shape[1] - 1)
    p /= rest
    p *= (1 - first)[:, None]
    p[rows, top] = first
    return p


def _logit(p: np.ndarray) -> np.ndarray:
    p = np.minimum(np.maximum(p, TINY), 1 - TINY)
    return np.log(p) - np.log1p(-p)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def read_thresholds(value: Any) -> list[dict[str, Any]]:
    """The rows of :func:`thresholds` as kept under ``abstain`` in meta.json; ArtefactError if one cannot be used."""
    rows = [] if value is None else value.get("thresholds", []) if isinstance(value, dict) else None
    if not isinstance(rows, list):
        raise ArtefactError("abstain holds no list of thresholds.", "Restore meta.json.")
    for row in rows:
        reached = isinstance(row, dict) and row.get("threshold") is not None
        needed = ("target", "threshold", "precision", "accepted", "n") if reached else ("target",)
        if not isinstance(row, dict) or not all(_is_number(row.get(key)) for key in needed):
            raise ArtefactError(f"abstain: {row!r:.80} is no threshold; {', '.join(needed)} must be numbers.", "Restore meta.json.")
    return rows


def fit_temperature(logits: np.ndarray, primary: np.ndarray) -> Calibration:
    """The temperature of least log loss (Guo et al. 2017, "On calibration of modern neural networks")."""
    return Calibration("temperature", (least_log_loss(logits, primary)[0],))


def least_log_loss(logits: np.ndarray, primary: np.ndarray) -> tuple[float, float]:
    """The temperature under which (n, N) ``logits`` have the least mean log loss on (n,) class ids, and that loss in nats."""
    from scipy.optimize import minimize_scalar

    rows = np.arange(len(primary))

    def loss(log_t: float) -> float:
        z = logits / np.exp(log_t)
        top = z.max(axis=1)
        return float((np.log(np.exp(z - top[:, None]).sum(axis=1)) + top - z[rows, primary]).mean())

    found = minimize_scalar(loss, bounds=(-4, 4), method="bounded")
    return float(np.exp(found.x)), float(found.fun)


def fit_top(logits: np.ndarray, primary: np.ndarray) -> Calibration:
    """Temperature first, then a logistic regression of "the top is right" on the logit of the top probability and its square."""
    from sklearn.linear_model import LogisticRegression

    temperature = fit_temperature(logits, primary).a[0]
    p, right = softmax(logits / temperature).max(axis=1), logits.argmax(axis=1) == primary
    if right.all() or not right.any():
        return Calibration("top", (temperature, 1.0, 0.0), (0.0,))
    logit = _logit(p)
    fit = LogisticRegression(C=100).fit(np.stack([logit, logit * logit], axis=1), right)
    return Calibration("top", (temperature, *map(float, fit.coef_[0])), (float(fit.intercept_[0]),))


def fit_platt(logits: np.ndarray, primary: np.ndarray) -> Calibration:
    """One logistic regression per class on its own logit; a class with under 5 rows in or out takes the pooled fit of all classes."""
    from sklearn.linear_model import LogisticRegression

    wanted = np.eye(logits.shape[1], dtype=bool)[primary]
    pooled = LogisticRegression().fit(logits.reshape(-1, 1), wanted.reshape(-1))
    a, b = [], []
    for domain in range(logits.shape[1]):
        enough = 5 <= wanted[:, domain].sum() <= len(primary) - 5
        fit = LogisticRegression().fit(logits[:, [domain]], wanted[:, domain]) if enough else pooled
        a.append(float(fit.coef_[0, 0]))
        b.append(float(fit.intercept_[0]))
    return Calibration("platt", tuple(a), tuple(b))


def fit_calibration(logits: np.ndarray, primary: np.ndarray, folds: int = 5) -> tuple[Calibration, dict[str, float]]:
    """The simplest kind whose top-1 probability has the lowest Brier score (but for CLOSE) on held-out fifths, refitted on all rows.

    Also returns that Brier score of each kind. Fewer than 100 rows: ``none``.
    """
    if len(primary) < 100:
        return Calibration("none"), {}
    fits = {"temperature": fit_temperature, "top": fit_top, "platt": fit_platt}
    fold = np.arange(len(primary)) % folds
    brier: dict[str, float] = {}
    for kind, fit in fits.items():
        parts = []
        for k in range(folds):
            inside, outside = fold != k, fold == k
            p = fit(logits[inside], primary[inside]).probabilities(logits[outside])
            top = logits[outside].argmax(1)
            parts.append((p[np.arange(len(top)), top] - (top == primary[outside])) ** 2)
        brier[kind] = float(np.concatenate(parts).mean())
    kept = next(kind for kind in fits if brier[kind] <= min(brier.values()) + CLOSE)
    return fits[kept](logits, primary), brier


def thresholds(top_probability: np.ndarray, correct: np.ndarray, targets: tuple[float, ...] = TARGETS) -> list[dict[str, Any]]:
    """For each target precision the lowest probability above which at least that share was right, on at least MIN_ACCEPTED rows.

    Rows: target, threshold (None if out of reach), precision, interval (Wilson 95 %), coverage, accepted, n.
    """
    order = np.argsort(-top_probability, kind="stable")
    p, right = top_probability[order], np.cumsum(correct[order])
    accepted = np.arange(1, len(p) + 1)
    last_of_ties = np.append(p[1:] < p[:-1], True)
    out = []
    for target in targets:
        fits = np.flatnonzero((right / accepted >= target) & (accepted >= MIN_ACCEPTED) & last_of_ties)
        if len(fits) == 0:
            out.append(
                {"target": target, "threshold": None, "precision": None, "interval": None, "coverage": 0.0, "accepted": 0, "n": len(p)}
            )
            continue
        k = int(fits[-1])
        out.append({
            "target": target, "threshold": float(p[k]), "precision": float(right[k] / accepted[k]), "interval": list(wilson(int(right[k]), int(accepted[k]))),
            "coverage": float(accepted[k] / len(p)), "accepted": int(accepted[k]), "n": len(p),
        })  # fmt: skip
    return out
