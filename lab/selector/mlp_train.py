"""The training loops of the networks: torch, one thread, local generators."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from lab.router.train import one_thread

if TYPE_CHECKING:
    from lab.selector.mlp import MlpSelector


def _linear(torch, inside: int, outside: int, random):
    """torch.nn.Linear with its own start, drawn from a local generator."""
    layer = torch.nn.utils.skip_init(torch.nn.Linear, inside, outside)
    bound = 1 / math.sqrt(inside)
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=random)
        layer.bias.uniform_(-bound, bound, generator=random)
    return layer


def _masks(torch, shape: tuple[int, int], dropout: float, random):
    return (torch.rand(shape, generator=random) >= dropout).float() / (1 - dropout)


def regress(
    model: MlpSelector, x: np.ndarray, parts: np.ndarray, mean: np.ndarray, train: np.ndarray, held: np.ndarray
) -> tuple[dict[str, np.ndarray], int]:
    """Weights by name, with the part means, and the epoch kept (0: the best single model).

    x (n, W) float32, parts (n, M, C) with NaN gaps. Random numbers are drawn on the CPU, so that a device changes rounding only.
    """
    with one_thread() as torch:
        random, device = torch.Generator().manual_seed(model.seed), torch.device("mps" if model.device == "metal" else model.device)
        sizes = [x.shape[1], *model.hidden, mean.size]
        layers = [_linear(torch, *pair, random) for pair in pairwise(sizes)]
        torch.nn.init.zeros_(layers[-1].weight)
        torch.nn.init.zeros_(layers[-1].bias)
        net = torch.nn.ModuleList(layers).to(device)
        target = (parts - mean).reshape(len(x), -1)
        known = torch.from_numpy(~np.isnan(target)).float().to(device)
        goal, inside = torch.from_numpy(np.nan_to_num(target)).float().to(device), torch.from_numpy(np.ascontiguousarray(x)).to(device)
        optimiser = torch.optim.AdamW(net.parameters(), lr=model.learning_rate, weight_decay=model.weight_decay)
        judge = _Judge(model, parts[held], mean)
        best = (judge(np.zeros((len(held), mean.size))), 0, copy.deepcopy(net.state_dict()))
        for epoch in range(1, model.epochs + 1):
            order = torch.from_numpy(train)[torch.randperm(len(train), generator=random)]
            for start in range(0, len(train), model.batch_size):
                rows = order[start : start + model.batch_size]
                optimiser.zero_grad(set_to_none=True)
                out = _forward(torch, net, inside[rows], model.dropout, random)
                loss = ((out - goal[rows]) ** 2 * known[rows]).sum() / known[rows].sum().clamp(min=1)
                loss.backward()
                optimiser.step()
            with torch.inference_mode():
                value = (
                    judge(_forward(torch, net, inside[torch.from_numpy(held)], 0.0, random).cpu().numpy()) if len(held) else float(epoch)
                )
            if value > best[0]:
                best = (value, epoch, copy.deepcopy(net.state_dict()))
            elif epoch - best[1] >= model.patience:
                break
        arrays = {f"{key.split('.')[1]}{key.split('.')[0]}": value.cpu().numpy() for key, value in best[2].items()}
        return arrays | {"means": mean.astype(np.float32)}, best[1]


def _forward(torch, net, x, dropout: float, random):
    for place, layer in enumerate(net):
        x = layer(x)
        if place < len(net) - 1:
            x = torch.relu(x)
            if dropout:
                x = x * _masks(torch, tuple(x.shape), dropout, random).to(x.device)
    return x


class _Judge:
    """The mean utility, on held-out queries, of what the outputs pick; a gap takes the model's mean."""

    def __init__(self, model: MlpSelector, parts: np.ndarray, mean: np.ndarray) -> None:
        self.utility, self.mean = model.utility, mean
        u = model.utility.mix(np.where(np.isnan(parts), mean, parts))
        self.u, self.base = u, model.utility.mix(mean)

    def __call__(self, outputs: np.ndarray) -> float:
        if not len(self.u):
            return 0.0
        scores = self.utility.mix(outputs.reshape(len(outputs), *self.mean.shape)) + self.base
        return float(self.u[np.arange(len(self.u)), scores.argmax(1)].mean())


def classify(
    x: np.ndarray, label: np.ndarray, classes: int, hidden: Sequence[int], dropout: float, epochs: int, learning_rate: float, seed: int, patience: int = 5
) -> list[dict[str, np.ndarray]]:  # fmt: skip
    """The source system's network: Linear → BatchNorm → ReLU → Dropout per hidden layer, cross-entropy on the rows as labelled, Adam, stopped
    when the training loss stops falling. Seeded, and a last batch of one row is left out (both crash or wander there).

    The arrays of each Linear and BatchNorm, in order.
    """
    with one_thread() as torch:
        random = torch.Generator().manual_seed(seed)
        sizes = [x.shape[1], *hidden]
        layers = []
        for inside, outside in pairwise(sizes):
            layers += [_linear(torch, inside, outside, random), torch.nn.BatchNorm1d(outside)]
        net = torch.nn.ModuleList([*layers, _linear(torch, sizes[-1], classes, random)])
        optimiser = torch.optim.Adam(net.parameters(), lr=learning_rate)
        inside, target = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32)), torch.from_numpy(label)
        best, since, size = math.inf, 0, 1024
        net.train()
        for _ in range(epochs):
            order, total = torch.randperm(len(inside), generator=random), 0.0
            for start in range(0, len(inside), size):
                rows = order[start : start + size]
                if len(rows) < 2:
                    continue
                a = inside[rows]
                for layer in net:
                    a = layer(a)
                    if isinstance(layer, torch.nn.BatchNorm1d):
                        a = torch.relu(a)
                        a = a * _masks(torch, tuple(a.shape), dropout, random) if dropout else a
                loss = torch.nn.functional.cross_entropy(a, target[rows])
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
                total += loss.item() * len(rows)
            best, since = (total, 0) if total < best * (1 - 1e-3) else (best, since + 1)
            if since >= patience:
                break
        return [{key: value.detach().numpy().copy() for key, value in layer.state_dict().items() if value.ndim} for layer in net]
