"""The contract of every selector: scikit-learn's (``__init__`` only stores, ``fit`` returns self, learnt things end in ``_``)."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from lab.errors import InputError
from lab.selector.deployed import Deployed
from lab.selector.table import Cells
from lab.selector.utility import Utility


class Params:
    """``get_params`` and ``set_params`` from the constructor's signature, so that ``sklearn.base.clone`` works."""

    @classmethod
    def _names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **params: Any) -> Self:
        for name, value in params.items():
            if name not in self._names():
                raise InputError(f"{type(self).__name__} has no parameter {name}.", f"It has: {', '.join(self._names())}.")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.get_params().items())})"


class LabSelector(Params):
    """Regresses the parts of the utility per model, so that its weights can change without a new training.

    ``fit(x, y)``: x (n, D + K) raw features, y Cells. ``utility.parts`` say which parts are learnt; ``categories`` is K.
    """

    utility: Utility
    categories: int
    exportable = True

    def fit(self, x: np.ndarray, y: Cells) -> Self:
        raise NotImplementedError

    def components(self, x: np.ndarray) -> np.ndarray:
        """(n, M, C) predicted parts of the utility."""
        raise NotImplementedError

    def scores(self, x: np.ndarray, utility: Utility | None = None) -> np.ndarray:
        """(n, M) predicted utility, by the weights of ``utility`` (default: the selector's own)."""
        return (utility or self.utility).mix(self.components(x))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """(n,) column of the model picked."""
        return self.scores(x).argmax(1)

    def deployed(self, models: list[str], utility: Utility | None = None) -> Deployed:
        """The same picks in the form of the router's files."""
        raise NotImplementedError

    def tensors(self) -> dict[str, np.ndarray]:
        """What was learnt, by name (without the underscore)."""
        raise NotImplementedError

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        """The inverse of :meth:`tensors`."""
        for name, value in tensors.items():
            setattr(self, f"{name}_", value)
        return self

    @classmethod
    def candidates(
        cls, x: np.ndarray, y: Cells, valid: np.ndarray, utility: Utility, categories: int, seed: int, fixed: dict[str, Any]
    ) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        """(parameters, (v, M) scores of the validation features ``valid``) for each setting worth trying, cautious ones first.

        ``fixed``: parameters that a person has chosen.
        """
        raise NotImplementedError


def check_training(x: np.ndarray, y: Cells) -> None:
    """InputError for what no selector can learn from."""
    if len(x) != len(y):
        raise InputError(f"{len(x)} rows of features and {len(y)} of outcomes.", "Give one row of each per query.")
    if y.quality.shape[1] < 2:
        raise InputError("There is one model only; there is nothing to choose.", "Use that model, or add outcomes of another.")
    if len(x) < 2:
        raise InputError(f"There is {len(x)} query; a selector needs 2 or more to learn from.", "Add outcomes.")
