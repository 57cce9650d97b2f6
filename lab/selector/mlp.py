"""A small network that regresses the utility of every model; best validation weights kept, any device, same seed same weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from lab.errors import InputError
from lab.selector.contract import LabSelector, check_training
from lab.selector.deployed import Layer, MlpFile
from lab.selector.features import check_width, scaled
from lab.selector.table import Cells
from lab.selector.utility import QUALITY, Utility, means

DEVICES = ("cpu", "cuda", "mps")
HELD_OUT = 0.2


def check_device(device: str) -> None:
    """InputError if torch has no such device here."""
    import torch

    name = "mps" if device == "metal" else device
    if name not in DEVICES:
        raise InputError(f"The device is '{device}'.", f"Use one of: {', '.join(DEVICES)}.")
    if (name == "cuda" and not torch.cuda.is_available()) or (name == "mps" and not torch.backends.mps.is_available()):
        raise InputError(f"torch finds no {name} device here.", "Use cpu, or install a torch built for the device.")


class MlpSelector(LabSelector):
    """Linear → ReLU → … → Linear on scaled features, outputs the parts of each model, from their means: the start (last layer 0) is the best
    single model. Squared error on known cells, AdamW, dropout; a fifth of the queries decides which epoch is kept, by the utility picked.
    """

    def __init__(
        self, hidden: tuple[int, ...] = (128,), dropout: float = 0.3, epochs: int = 60, learning_rate: float = 1e-3, weight_decay: float = 0.03, batch_size: int = 128,
        patience: int = 12, category_weight: float = 0.5, device: str = "cpu", seed: int = 42, utility: Utility = QUALITY, categories: int = 0,
    ) -> None:  # fmt: skip
        self.hidden, self.dropout, self.epochs, self.learning_rate = tuple(hidden), dropout, epochs, learning_rate
        self.weight_decay, self.batch_size, self.patience, self.category_weight = weight_decay, batch_size, patience, category_weight
        self.device, self.seed, self.utility, self.categories = device, seed, utility, categories

    def fit(self, x: np.ndarray, y: Cells) -> Self:
        check_training(x, y)
        check_device(self.device)
        check_network(self.hidden, self.dropout, self.epochs, self.learning_rate)
        from lab.selector.mlp_train import regress

        parts = self.utility.components(y)
        order = np.random.default_rng(self.seed).permutation(len(x))
        held = max(1, int(HELD_OUT * len(x))) if len(x) > 4 else 0
        inside = scaled(x, self.categories, self.category_weight)
        arrays, self.kept_epoch_ = regress(self, inside, parts, means(parts[order[held:]]), order[held:], order[:held])
        return self.restore(arrays)

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        super().restore(tensors)
        self._depth = sum(name.startswith("weight") for name in tensors)
        self._shape = self.means_.shape
        return self

    def tensors(self) -> dict[str, np.ndarray]:
        names = [f"{kind}{place}" for place in range(self._depth) for kind in ("weight", "bias")]
        return {name: getattr(self, f"{name}_") for name in (*names, "means")}

    def components(self, x: np.ndarray) -> np.ndarray:
        check_width(x.shape[1], self.weight0_.shape[1], "This selector")
        a = scaled(x, self.categories, self.category_weight)
        for place in range(self._depth):
            a = a @ getattr(self, f"weight{place}_").T + getattr(self, f"bias{place}_")
            if place < self._depth - 1:
                np.maximum(a, 0, out=a)
        return a.reshape(len(x), *self._shape) + self.means_

    def deployed(self, models: list[str], utility: Utility | None = None) -> MlpFile:
        """The category weight goes into the first layer, the utility's weights and the means into the last."""
        utility = utility or self.utility
        layers: list[Layer] = []
        for place in range(self._depth):
            weight, bias = getattr(self, f"weight{place}_"), getattr(self, f"bias{place}_")
            if place == 0:
                weight = scaled(weight, self.categories, self.category_weight)
            if place == self._depth - 1:
                weight = utility.mix(weight.reshape(*self._shape, -1).transpose(0, 2, 1))
                bias = utility.mix(bias.reshape(self._shape) + self.means_)
            layers.append(Layer("linear", {"weight": weight.astype(np.float32), "bias": bias.astype(np.float32)}))
            if place < self._depth - 1:
                layers += [Layer("relu", {}), Layer("dropout", {}, self.dropout)]
        return MlpFile(list(models), tuple(layers), self.dropout)

    @classmethod
    def candidates(
        cls, x: np.ndarray, y: Cells, valid: np.ndarray, utility: Utility, categories: int, seed: int, fixed: dict[str, Any]
    ) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        for weight in [fixed["category_weight"]] if "category_weight" in fixed else (0.3, 1.0):
            params = fixed | {"category_weight": weight, "seed": seed}
            yield params, cls(utility=utility, categories=categories, **params).fit(x, y).scores(valid)


def check_network(hidden: tuple[int, ...], dropout: float, epochs: int, learning_rate: float) -> None:
    if not hidden or any(not 1 <= size <= 65536 for size in hidden):
        raise InputError(f"The hidden layers are {hidden}.", "Give sizes from 1 to 65536, as in 512,256.")
    if not 0 <= dropout < 1:
        raise InputError(f"The dropout is {dropout}.", "Use 0 up to, but not, 1.")
    if epochs < 1 or not 0 < learning_rate <= 1:
        raise InputError(f"{epochs} epochs at a learning rate of {learning_rate}.", "Use 1 or more epochs and a rate above 0 and up to 1.")
