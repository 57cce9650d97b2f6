"""Train every part of a router that its recipe names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lab.errors import InputError
from lab.router.calibrate import least_log_loss
from lab.router.head import sigmoid
from lab.router.recipe import Recipe
from lab.router.train import Epoch, Trained, TrainingSet, train_head

SHARES = (1, 3 / 4, 3 / 2, 1 / 2, 2, 1 / 3, 1 / 4, 1 / 6, 1 / 8, 1 / 16, 0)
"""Of the recipe's lexical weight, tried on validation rows; the first of equals is kept. Other corpora have other vocabularies."""


def fit(train: TrainingSet, valid: TrainingSet | None, recipe: Recipe, progress: Callable[[Epoch], None] | None = None) -> Trained:
    """The head, and the lexical part if ``recipe`` has one; its weight, slope and shift are fitted on ``valid`` where there are such rows.

    The head is trained as without a lexical part, so that a gateway which loads router.safetensors alone gets a whole router.
    """
    trained = train_head(train, valid, recipe, progress)
    if recipe.lexical_weight == 0:
        return trained
    if train.texts is None:
        raise InputError(f"Recipe {recipe.name} has a lexical part, but the training rows came without their texts.", "Pass TrainingSet.texts.")
    from lab.router.train_lexical import train_lexical

    fewest = (recipe.lexical_fewest_words, recipe.lexical_fewest_characters)
    lexical = train_lexical(train.texts, train.primary, train.also, recipe.lexical_cost, fewest, recipe.lexical_weight)
    if valid is not None and valid.texts is not None:
        logits, scores = trained.head.logits(valid.vectors), lexical.scores(valid.texts)
        weight = choose_weight(logits, scores, valid.primary, recipe.lexical_weight)
        target = np.maximum(np.eye(lexical.domains, dtype=np.float32)[valid.primary], recipe.also_weight * valid.also)
        slope, shift = fit_scores(logits + weight * scores, target)
        lexical = replace(lexical, blend=np.asarray([weight, slope, shift], dtype=np.float32))
    return replace(trained, lexical=lexical)


def choose_weight(logits: np.ndarray, scores: np.ndarray, primary: np.ndarray, usual: float) -> float:
    """The weight of the (n, N) lexical scores beside the (n, N) head logits with the least log loss, among SHARES of the usual one.

    Log loss at its best temperature, as it uses every row: the weight of best top-1 hangs on the few rows near a border.
    """

    def loss(weight: float) -> float:
        return round(least_log_loss(logits + weight * scores, primary)[1], 6)

    return min((share * usual for share in SHARES), key=loss)


def fit_scores(logits: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Slope and shift under which σ(slope·z + shift) has the least binary cross-entropy with ``target``, both (n, N): the raw score served."""
    from scipy.optimize import minimize

    z = logits.astype(np.float64)

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        slope = np.exp(x[0])
        scaled = slope * z + x[1]
        error = sigmoid(scaled) - target
        return float((np.logaddexp(0, scaled) - target * scaled).mean()), np.asarray([slope * (error * z).mean(), error.mean()])

    found = minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=[(-8, 8), (-50, 50)])
    return float(np.exp(found.x[0])), float(found.x[1])
