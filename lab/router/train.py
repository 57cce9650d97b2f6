"""Train a head on cached vectors. One thread, local generators, gradients written out: seconds, and the same bits each time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from lab.errors import InputError
from lab.router.head import Head
from lab.router.lexical import Lexical
from lab.router.recipe import Recipe

BETAS, EPSILON = (0.9, 0.999), 1e-8


@dataclass(frozen=True)
class TrainingSet:
    """``vectors`` (n, D) float32 unit rows; ``primary`` (n,) class ids; ``also`` (n, N) 0/1; ``texts`` n prompts, for a lexical part."""

    vectors: np.ndarray
    primary: np.ndarray
    also: np.ndarray
    texts: Sequence[str] | None = None

    def __post_init__(self) -> None:
        n = len(self.vectors)
        if n == 0 or len(self.primary) != n or self.also.shape[0] != n or (self.texts is not None and len(self.texts) != n):
            raise InputError(
                f"Nothing to train on: {n} vectors, {len(self.primary)} labels, also {self.also.shape}.", "Check the corpus and its split."
            )


@dataclass(frozen=True)
class Epoch:
    """``valid_top1`` is None without validation rows."""

    epoch: int
    train_loss: float
    valid_top1: float | None


@dataclass(frozen=True)
class Trained:
    """``lexical`` is None for a recipe without one."""

    head: Head
    history: list[Epoch]
    kept_epoch: int
    lexical: Lexical | None = None

    def logits(self, vectors: np.ndarray, texts: Sequence[str] | None = None) -> np.ndarray:
        """(n, N) of the whole router; ``texts`` are needed by a lexical part alone."""
        logits = self.head.logits(vectors)
        return logits if self.lexical is None else self.lexical.blended(logits, self.lexical.scores(texts))


@contextmanager
def one_thread():
    """Two threads on matrices this small cost 60 times one (spec performance.md): barriers spin."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield torch
    finally:
        torch.set_num_threads(before)


def train_head(train: TrainingSet, valid: TrainingSet | None, recipe: Recipe, progress: Callable[[Epoch], None] | None = None) -> Trained:
    """Fit a head by AdamW (Loshchilov & Hutter 2019; same update as torch.optim.AdamW, tested against it).

    The gradient of each loss by its logits z, targets t, batch size B, N domains: bce (σ(z) − t)/(B·N); ce (softmax(z)·Σt − t)/B,
    times the class weight; joint (σ(z) − t)/B + ce_weight·ce. ``progress`` is told after each epoch and may raise to cancel.
    """
    if recipe.keep == "best-validation-top1" and valid is None:
        raise InputError(
            f"Recipe {recipe.name} keeps the best validation epoch, but there are no validation rows.", "Use more rows or keep: last."
        )
    with one_thread() as torch, torch.inference_mode():
        return _Run(torch, train, valid, recipe).fit(progress)


class _Run:
    """The state of one training: flat parameters with named views, moments, generator."""

    def __init__(self, torch, train: TrainingSet, valid: TrainingSet | None, recipe: Recipe) -> None:
        self.torch, self.recipe, self.valid = torch, recipe, valid
        self.dim, self.classes = train.vectors.shape[1], train.also.shape[1]
        self.random = torch.Generator().manual_seed(recipe.seed)
        self.x = torch.from_numpy(np.ascontiguousarray(train.vectors, dtype=np.float32))
        primary = torch.from_numpy(np.asarray(train.primary, dtype=np.int64))
        target = torch.nn.functional.one_hot(primary, self.classes).float()
        target = torch.maximum(target, recipe.also_weight * torch.from_numpy(train.also.astype(np.float32)))
        if recipe.loss == "ce":
            target = target / target.sum(1, keepdim=True)
        self.target = target * (1 - recipe.label_smoothing) + recipe.label_smoothing / self.classes
        self.weight = None
        if recipe.class_weights:
            count = torch.bincount(primary, minlength=self.classes).float()
            self.weight = (len(primary) / (self.classes * count.clamp(min=1))).clamp(max=10.0)[primary].unsqueeze(1)
        shapes = ((recipe.hidden, self.dim), (recipe.hidden,), (self.classes, recipe.hidden), (self.classes,))
        self.flat, self.views = self._flat(shapes)
        self.gradient, self.gradients = self._flat(shapes)
        self.first, self.second, self.scratch = (torch.zeros_like(self.flat) for _ in range(3))
        for view, fan_in in zip(self.views, (self.dim, self.dim, recipe.hidden, recipe.hidden), strict=True):
            view.uniform_(-1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in), generator=self.random)  # torch.nn.Linear's own start

    def _flat(self, shapes):
        flat = self.torch.zeros(sum(math.prod(shape) for shape in shapes))
        views, start = [], 0
        for shape in shapes:
            views.append(flat[start : start + math.prod(shape)].view(shape))
            start += math.prod(shape)
        return flat, views

    def fit(self, progress: Callable[[Epoch], None] | None) -> Trained:
        n, size = len(self.x), self.recipe.batch_size
        steps, step = self.recipe.epochs * math.ceil(n / size), 0
        history: list[Epoch] = []
        best: tuple[float, int, Head] | None = None
        for epoch in range(1, self.recipe.epochs + 1):
            order, total = self.torch.randperm(n, generator=self.random), 0.0
            for start in range(0, n, size):
                rows = order[start : start + size]
                step += 1
                total += self._step(rows, step, steps) * len(rows)
            top1 = self._valid_top1()
            history.append(Epoch(epoch, total / n, top1))
            if self.recipe.keep == "best-validation-top1" and top1 is not None and (best is None or top1 > best[0]):
                best = (top1, epoch, self.head())
            if progress:
                progress(history[-1])
        return Trained(best[2], history, best[1]) if best else Trained(self.head(), history, self.recipe.epochs)

    def head(self) -> Head:
        return Head(*(view.numpy().copy() for view in self.views))

    def _valid_top1(self) -> float | None:
        if self.valid is None:
            return None
        return float((self.head().logits(self.valid.vectors).argmax(1) == self.valid.primary).mean())

    def _step(self, rows, step: int, steps: int) -> float:
        torch, (w0, b0, w3, b3), (g_w0, g_b0, g_w3, g_b3) = self.torch, self.views, self.gradients
        x, target = self.x.index_select(0, rows), self.target.index_select(0, rows)  # a quarter of the time of self.x[rows]
        weight = self.weight[rows] if self.weight is not None else None
        if self.recipe.mixup_alpha:
            x, target, weight = self._mixup(x, target, weight)
        h = torch.addmm(b0, x, w0.T)
        half_erf = torch.erf(h * 0.7071067811865476).mul_(0.5).add_(0.5)
        a = h * half_erf
        slope = half_erf.addcmul_(h, torch.exp(h * h * -0.5), value=0.3989422804014327)  # d gelu / d h
        if self.recipe.dropout:
            kept = torch.rand(a.shape, generator=self.random).ge_(self.recipe.dropout).mul_(1 / (1 - self.recipe.dropout))
            a *= kept
            slope *= kept
        z = torch.addmm(b3, a, w3.T)
        loss, d_z = self._loss(z, target, weight)
        torch.mm(d_z.T, a, out=g_w3)
        torch.sum(d_z, 0, out=g_b3)
        d_h = torch.mm(d_z, w3).mul_(slope)
        torch.mm(d_h.T, x, out=g_w0)
        torch.sum(d_h, 0, out=g_b0)
        self._adamw(step, self._rate(step, steps))
        return loss

    def _mixup(self, x, target, weight):
        """Zhang et al. 2018, on unit vectors: convex pairs, brought back to unit length."""
        torch, alpha = self.torch, self.recipe.mixup_alpha
        gamma = torch._standard_gamma(torch.full((2, len(x), 1), alpha), generator=self.random)
        share = (gamma[0] / gamma.sum(0).clamp(min=1e-30)).clamp(0, 1)
        other = torch.randperm(len(x), generator=self.random)
        mixed = torch.nn.functional.normalize(torch.lerp(x.index_select(0, other), x, share), dim=1)
        return mixed, torch.lerp(target.index_select(0, other), target, share), None if weight is None else torch.lerp(weight[other], weight, share)

    def _loss(self, z, target, weight):
        torch, functional, size = self.torch, self.torch.nn.functional, len(z)
        loss, d_z = 0.0, torch.zeros_like(z)
        if self.recipe.loss != "ce":
            scale = size * (self.classes if self.recipe.loss == "bce" else 1)
            loss += float(functional.binary_cross_entropy_with_logits(z, target, reduction="sum")) / scale
            d_z += (torch.sigmoid(z) - target) / scale
        if self.recipe.loss != "bce":
            share = self.recipe.ce_weight if self.recipe.loss == "joint" else 1.0
            soft = target / target.sum(1, keepdim=True) if self.recipe.loss == "joint" else target
            log_p = functional.log_softmax(z, 1)
            scale = size if weight is None else float(weight.sum())
            each = -(soft * log_p).sum(1, keepdim=True) * (1 if weight is None else weight)
            loss += share * float(each.sum()) / scale
            d_z += (log_p.exp() - soft) * (share / scale if weight is None else weight * (share / scale))
        return loss, d_z

    def _rate(self, step: int, steps: int) -> float:
        """One cycle (Smith 2018): cosine from lr/25 up to lr over the first tenth, then cosine down to lr/250 000."""
        top = self.recipe.learning_rate
        if self.recipe.schedule == "constant":
            return top
        warm = max(1.0, 0.1 * steps)
        low, high, share = (top / 25, top, step / warm) if step <= warm else (top, top / 250_000, (step - warm) / max(1.0, steps - warm))
        return low + (high - low) * 0.5 * (1 - math.cos(math.pi * min(1.0, share)))

    def _adamw(self, step: int, rate: float) -> None:
        one, two = BETAS
        self.flat.mul_(1 - rate * self.recipe.weight_decay)
        self.first.lerp_(self.gradient, 1 - one)
        self.second.mul_(two).addcmul_(self.gradient, self.gradient, value=1 - two)
        self.torch.sqrt(self.second, out=self.scratch).div_(math.sqrt(1 - two**step)).add_(EPSILON)
        self.flat.addcdiv_(self.first, self.scratch, value=-rate / (1 - one**step))
