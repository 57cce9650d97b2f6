"""A loaded router: folder + calibration + abstain thresholds, and its decision for a prompt's vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lab.errors import ArtefactError, EncoderError, InputError
from lab.files import read_json
from lab.router.calibrate import DEFAULT_TARGET, Calibration, read_thresholds
from lab.router.folder import META, METRICS, OURS, RouterFolder, read_router
from lab.router.head import GATEWAY_SCORE, selections, sigmoid
from lab.text.encoder import MINILM

FAITHFUL = {"cosine_mean": 0.99, "top1_agreement": 0.98}
"""Of a serving precision against fp32 (spec performance.md)."""


@dataclass(frozen=True)
class Decision:
    """``domain`` is None when the router abstains. ``threshold`` is what the top probability (or raw score) was held against."""

    domain: str | None
    abstained: bool
    reason: str
    threshold: float


@dataclass(frozen=True)
class Scored:
    """One prompt: (N,) logits, sigmoid scores, and calibrated probabilities or None."""

    logits: np.ndarray
    scores: np.ndarray
    probabilities: np.ndarray | None


class Router:
    """Immutable after loading; safe to share between threads."""

    def __init__(self, folder: RouterFolder, name: str) -> None:
        self.name, self.folder = name, folder
        self.head, self.lexical, self.domains, self.sha256 = folder.head, folder.lexical, folder.domains, folder.weights_sha256
        self.ours: dict[str, Any] = folder.meta.get(OURS) or {}
        try:
            if not isinstance(self.ours, dict) or not isinstance(self.ours.get("recipe") or {}, dict):
                raise ArtefactError(f"{OURS} or its recipe is no object.", f"Restore {META}.")
            self.calibration = Calibration.from_json(self.ours.get("calibration"), self.head.domains)
            self.thresholds = read_thresholds(self.ours.get("abstain"))
        except ArtefactError as error:
            raise ArtefactError(f"{folder.path}: in {META}, {error.what}", error.fix) from None
        self.encoder_name = str(folder.meta.get("embedding_model") or MINILM)

    @classmethod
    def load(cls, path: Path, name: str | None = None) -> Router:
        return cls(read_router(path), name or path.name)

    @cached_property
    def metrics(self) -> dict[str, Any] | None:
        """metrics.json, or None; a file made from other weights is refused."""
        path = self.folder.path / METRICS
        if not path.is_file():
            return None
        metrics = read_json(path)
        bound_to = metrics.get("bound_to", {}) if isinstance(metrics, dict) else None
        if not isinstance(bound_to, dict):
            raise ArtefactError(
                f"{path} is no report: expected an object with an object bound_to.", "Evaluate the router again, or delete it."
            )
        bound = bound_to.get("router_sha256")
        if bound != self.sha256:
            raise ArtefactError(
                f"{path} was made from weights {str(bound)[:12]}, but the folder holds {self.sha256[:12]}.", "Evaluate the router again."
            )
        return metrics

    def faithful(self, precision: str) -> bool:
        """Whether its report shows that vectors of ``precision`` give its answers: at least FAITHFUL on the test side. False where it was not measured."""
        try:
            drift = (self.metrics or {}).get("drift", {})[precision]
            return all(float(drift[key]) >= least for key, least in FAITHFUL.items())
        except (ArtefactError, AttributeError, KeyError, TypeError, ValueError):
            return False  # no report of use: the page that shows it says why

    @property
    def parameters(self) -> int:
        return self.head.parameters + (self.lexical.parameters if self.lexical else 0)

    @property
    def family(self) -> str:
        """``head`` for an MLP on the vector alone, ``hybrid`` with a lexical part beside it."""
        return "hybrid" if self.lexical else "head"

    def threshold(self, target: float) -> dict[str, Any] | None:
        return next((row for row in self.thresholds if abs(row["target"] - target) < 1e-9), None)

    def logits(self, vectors: np.ndarray, texts: Sequence[str] | None = None, lexical: np.ndarray | None = None) -> np.ndarray:
        """(n, N) from (n, D) and, for a router with a lexical part, the n prompts or its scores of them (n, N). EncoderError if D is not the head's."""
        if vectors.shape[1] != self.head.dim:
            raise EncoderError(
                f"Router {self.name} reads vectors of {self.head.dim} numbers, its encoder {self.encoder_name} gives {vectors.shape[1]}.",
                "Set embedding_model in meta.json to the encoder it was trained on.",
            )
        logits = self.head.logits(vectors)
        if self.lexical is None:
            return logits
        if lexical is None:
            if texts is None or len(texts) != len(vectors):
                raise InputError(f"Router {self.name} has a lexical part: it reads prompts beside their vectors.", "Pass the texts too.")
            lexical = self.lexical.scores(texts)
        return self.lexical.blended(logits, lexical)

    def score(self, vector: np.ndarray, text: str | None = None, lexical: np.ndarray | None = None) -> Scored:
        """Scores of one prompt from its vector (D,) and, for a router with a lexical part, its text or that part's scores of it (1, N)."""
        logits = self.logits(vector[None, :], None if text is None else [text], lexical)
        probabilities = self.calibration.probabilities(logits)
        return Scored(logits[0], sigmoid(logits)[0], None if probabilities is None else probabilities[0])

    def claimed(self, logits: np.ndarray) -> np.ndarray:
        """(n,) the probability claimed for the top domain: calibrated, or its raw score without a calibration."""
        values = self.calibration.probabilities(logits)
        values = sigmoid(logits) if values is None else values
        return values[np.arange(len(logits)), logits.argmax(axis=1)]

    def selections(self, scored: Scored) -> list[tuple[str, float]]:
        return selections(scored.scores, self.domains)

    def decide(self, scored: Scored, target: float = DEFAULT_TARGET) -> Decision:
        """Accept the top domain, or abstain. Without calibration the gateway's rule (score ≥ 0.50) is used and said."""
        top = int(scored.logits.argmax())
        domain = self.domains[top]
        if scored.probabilities is None:
            score = float(scored.scores[top])
            if score >= GATEWAY_SCORE:
                return Decision(
                    domain,
                    False,
                    f"raw score {score:.2f} reaches the gateway's {GATEWAY_SCORE:.2f}; this router has no calibration",
                    GATEWAY_SCORE,
                )
            return Decision(
                None,
                True,
                f"raw score {score:.2f} of {domain} is under the gateway's {GATEWAY_SCORE:.2f}; this router has no calibration",
                GATEWAY_SCORE,
            )
        probability, row = float(scored.probabilities[top]), self.threshold(target)
        if row is None or row["threshold"] is None:
            why = (
                f"no threshold of this router kept {target:.0%} precision on its validation rows"
                if row
                else f"no threshold was fitted for {target:.0%} precision"
            )
            return Decision(None, True, why, 1.0)
        limit = float(row["threshold"])
        kept = f"the threshold {limit:.2f} that kept {row['precision']:.0%} precision on {row['accepted']} of {row['n']} validation prompts"
        if probability >= limit:
            return Decision(domain, False, f"probability {probability:.2f} of {domain} reaches {kept}", limit)
        return Decision(None, True, f"probability {probability:.2f} of {domain} is under {kept}", limit)
