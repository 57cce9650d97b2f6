"""The MLP head in numpy: what is served."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GATEWAY_SCORE = 0.50
GATEWAY_MOST = 4


@dataclass(frozen=True)
class Head:
    """Linear(D→H) → GELU (exact erf) → Linear(H→N). Weights [H, D], [H], [N, H], [N], float32 and finite."""

    w0: np.ndarray
    b0: np.ndarray
    w3: np.ndarray
    b3: np.ndarray

    def __post_init__(self) -> None:
        hidden, domains = self.b0.shape[0], self.b3.shape[0]
        if self.w0.shape[0] != hidden or self.w3.shape != (domains, hidden):
            raise ValueError(f"shapes do not fit: {self.w0.shape}, {self.b0.shape}, {self.w3.shape}, {self.b3.shape}")

    @property
    def dim(self) -> int:
        return int(self.w0.shape[1])

    @property
    def hidden(self) -> int:
        return int(self.w0.shape[0])

    @property
    def domains(self) -> int:
        return int(self.w3.shape[0])

    @property
    def parameters(self) -> int:
        return int(self.w0.size + self.b0.size + self.w3.size + self.b3.size)

    def logits(self, vectors: np.ndarray) -> np.ndarray:
        """(n, N) float32 from unit vectors (n, D)."""
        from scipy.special import erf

        h = vectors @ self.w0.T + self.b0
        h *= 0.5 * (1.0 + erf(h * np.float32(0.7071067811865476)))
        return h @ self.w3.T + self.b3


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + e^−z) in float32, without overflow warnings."""
    return (0.5 * (1.0 + np.tanh(0.5 * logits))).astype(np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def selections(scores: np.ndarray, domains: list[str]) -> list[tuple[str, float]]:
    """The gateway's answer for one prompt's scores (N,): at most 4 domains with score ≥ 0.50, best first, possibly none."""
    order = np.argsort(-scores, kind="stable")[:GATEWAY_MOST]
    return [(domains[i], float(scores[i])) for i in order if scores[i] >= GATEWAY_SCORE]
