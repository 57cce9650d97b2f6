"""Adapt an encoder to a corpus: centre its vectors, and train its upper layers through a head. Minutes to an hour, beside the quick retrain.

The layers below the trained ones never change, so what they answer is computed once (float16, one row a token) and each epoch costs the
upper layers alone. Embeddings of contrastively trained encoders lie in a narrow cone (Ethayarajh 2019): the mean of the training rows is
taken off the bias of the last layer norm, which shifts the mean-pooled vector by exactly as much.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lab.errors import EncoderError, InputError
from lab.files import folder_aside, write_json
from lab.router.recipe import Recipe
from lab.router.train import TrainingSet, train_head
from lab.text.encoder import Source
from lab.text.prepare import prepare

BATCH, CACHE_BATCH = 32, 32
ALSO, SMOOTHING, WEIGHT_DECAY, WARM_UP, CLIP = 0.5, 0.05, 0.01, 0.1, 1.0
HEAD_RATE = 1e-3
JITTER = 4.0
"""Tokens by which lengths are shuffled before rows of like length are put in one batch."""

BOUNDS = {"layers": (0, 48), "epochs": (1, 100), "learning_rate": (1e-7, 1e-2), "seed": (0, 2**32 - 1)}
SECONDS, FORWARD, USUAL = 0.0167, 1 / 3, 6
"""Of two slow cores for one prompt, layer and epoch (40 minutes for 12 000 prompts, four layers, three epochs); what a pass without learning takes of it;
layers of all-MiniLM-L6-v2."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Plan:
    """``layers``: how many of the upper ones are trained; 0 centres only."""

    layers: int = 4
    epochs: int = 3
    learning_rate: float = 1.5e-4
    seed: int = 42

    def __post_init__(self) -> None:
        for name, (low, high) in BOUNDS.items():
            if not low <= getattr(self, name) <= high:
                raise InputError(f"{name} is {getattr(self, name)!r}.", f"Use a number from {low:g} to {high:g}.")

    def seconds(self, rows: int) -> float:
        """About what adapting a small BERT to ``rows`` prompts and encoding them takes on two slow cores; a third of it on fast ones."""
        return rows * SECONDS * (self.layers * self.epochs + FORWARD * (2 * USUAL - self.layers))


class _Tokens:
    """What the layers below the trained ones answer: (all tokens, D) float16, and where each text begins."""

    def __init__(self, model, texts: Sequence[str], below: int, progress: Progress) -> None:
        import torch

        encoded = [model.tokenizer(prepare(text), truncation=True, max_length=model.max_seq_length)["input_ids"] for text in texts]
        self.lengths = np.asarray([len(one) for one in encoded])
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)])
        bert, pad = model[0].auto_model, model.tokenizer.pad_token_id or 0
        self.states = np.empty((int(self.starts[-1]), bert.config.hidden_size), dtype=np.float16)
        order = np.argsort(self.lengths, kind="stable")
        with torch.inference_mode():
            for start in range(0, len(order), CACHE_BATCH):
                rows = order[start : start + CACHE_BATCH]
                ids = torch.full((len(rows), int(self.lengths[rows].max())), pad)
                for n, row in enumerate(rows):
                    ids[n, : self.lengths[row]] = torch.tensor(encoded[row])
                mask = self.mask(rows)
                hidden = _run(bert.encoder.layer[:below], bert.embeddings(input_ids=ids), mask)
                for n, row in enumerate(rows):
                    self.states[self.starts[row] : self.starts[row + 1]] = hidden[n, : self.lengths[row]].half().numpy()
                progress("lower layers", min(start + CACHE_BATCH, len(order)), len(order))

    def mask(self, rows: np.ndarray):
        import torch

        longest = int(self.lengths[rows].max())
        return torch.from_numpy((np.arange(longest) < self.lengths[rows][:, None]).astype(np.float32))

    def batch(self, rows: np.ndarray):
        """(b, longest, D) float32 states, zero where there is no token, and the (b, longest) mask."""
        import torch

        out = np.zeros((len(rows), int(self.lengths[rows].max()), self.states.shape[1]), dtype=np.float32)
        for n, row in enumerate(rows):
            out[n, : self.lengths[row]] = self.states[self.starts[row] : self.starts[row + 1]]
        return torch.from_numpy(out), self.mask(rows)


def _run(layers, hidden, mask):
    unseen = (1 - mask)[:, None, None, :] * -1e9
    for layer in layers:
        out = layer(hidden, unseen)
        hidden = out[0] if isinstance(out, tuple) else out
    return hidden


def _pooled(layers, tokens: _Tokens, rows: np.ndarray):
    hidden, mask = tokens.batch(rows)
    hidden = _run(layers, hidden, mask)
    return (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)


def _blocks(tokens: _Tokens, rows: np.ndarray, size: int = 64) -> list[np.ndarray]:
    order = rows[np.argsort(tokens.lengths[rows], kind="stable")]
    return [order[start : start + size] for start in range(0, len(order), size)]


def adapt(
    source: Source, texts: Sequence[str], primary: np.ndarray, also: np.ndarray, train: np.ndarray, valid: np.ndarray, plan: Plan, folder: Path,
    provenance: dict, progress: Progress = lambda stage, done, of: None, told: Callable[[int, float, float | None], None] = lambda epoch, loss, top1: None,
) -> list[dict]:  # fmt: skip
    """Write an adapted sentence-transformers folder, all or nothing; returns its history.

    ``primary`` (n,) class ids and ``also`` (n, N) 0/1 of the n texts; only rows of ``train`` are learnt from, ``valid`` ones are measured
    after each epoch (``told`` epoch, loss, top-1). EncoderError where the model is no BERT with mean pooling.
    """
    import torch

    from lab.text.torch_encoder import load_sentence_transformer

    model = load_sentence_transformer(source)
    bert = model[0].auto_model
    blocks = getattr(getattr(bert, "encoder", None), "layer", None)
    if blocks is None or not hasattr(bert, "embeddings") or source.pooling != "mean":
        raise EncoderError(f"{source.name} is no BERT with mean pooling ({type(bert).__name__}, {source.pooling}).", "Adapt such a model, e.g. all-MiniLM-L6-v2.")
    if plan.layers > len(blocks):
        raise InputError(f"{source.name} has {len(blocks)} layers, {plan.layers} were to be trained.", f"Use at most {len(blocks)}.")
    torch.manual_seed(plan.seed)
    torch.set_num_threads(os.cpu_count() or 1)  # a job's process starts with one
    tokens = _Tokens(model, texts, len(blocks) - plan.layers, progress)
    upper = blocks[len(blocks) - plan.layers :]
    _centre(blocks[-1], upper, tokens, train)
    history = _train(upper, tokens, primary, also, train, valid, plan, progress, told) if plan.layers else []
    with folder_aside(folder) as aside:
        model.save_pretrained(str(aside), create_model_card=False)
        if not (aside / "tokenizer.json").is_file():
            (aside / "tokenizer.json").write_bytes((source.folder / "tokenizer.json").read_bytes())
        write_json(aside / "adapted.json", {"base_id": source.id(), "plan": vars(plan), "rows": len(train), "history": history} | provenance)
    return history


def _centre(last, upper, tokens: _Tokens, train: np.ndarray) -> None:
    import torch

    norm = last.output.LayerNorm
    with torch.inference_mode():
        total = sum(_pooled(upper, tokens, rows).double().sum(0) for rows in _blocks(tokens, train))
    mean = (total / len(train)).float()
    with torch.no_grad():
        norm.bias -= mean


def _train(upper, tokens: _Tokens, primary, also, train, valid, plan: Plan, progress: Progress, told) -> list[dict]:
    import torch

    head, targets = _head(upper, tokens, primary, also, train, plan), _targets(primary, also)
    for parameter in upper.parameters():
        parameter.requires_grad_(True)
    groups = [{"params": upper.parameters(), "lr": plan.learning_rate}, {"params": head.parameters(), "lr": HEAD_RATE}]
    optimiser = torch.optim.AdamW(groups, weight_decay=WEIGHT_DECAY)
    steps = plan.epochs * -(-len(train) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [plan.learning_rate, HEAD_RATE], total_steps=steps, pct_start=WARM_UP)
    random, history = np.random.default_rng(plan.seed), []
    for epoch in range(1, plan.epochs + 1):
        upper.train(), head.train()
        order = train[np.argsort(tokens.lengths[train] + random.uniform(-JITTER, JITTER, len(train)), kind="stable")]
        batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
        total = 0.0
        for n, chosen in enumerate(random.permutation(len(batches)), 1):
            total += _step(upper, head, tokens, batches[chosen], targets, optimiser) * len(batches[chosen])
            schedule.step()
            progress(f"epoch {epoch} of {plan.epochs}", n, len(batches))
        upper.eval(), head.eval()
        top1 = None
        if len(valid):
            with torch.inference_mode():
                top1 = float((head(torch.from_numpy(_vectors(upper, tokens, valid))).argmax(1).numpy() == primary[valid]).mean())
        history.append({"epoch": epoch, "train_loss": total / len(train), "valid_top1": top1})
        told(epoch, total / len(train), top1)
    return history


def _step(upper, head, tokens: _Tokens, rows: np.ndarray, targets, optimiser) -> float:
    import torch
    from torch.nn import functional as f

    loss = f.cross_entropy(head(f.normalize(_pooled(upper, tokens, rows), dim=1)), targets[rows], label_smoothing=SMOOTHING)
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_([*upper.parameters(), *head.parameters()], CLIP)
    optimiser.step()
    return loss.item()


def _vectors(upper, tokens: _Tokens, rows: np.ndarray) -> np.ndarray:
    """(len(rows), D) unit rows of the encoder as it is now."""
    import torch

    out = np.empty((len(rows), tokens.states.shape[1]), dtype=np.float32)
    place = {row: n for n, row in enumerate(rows)}
    with torch.inference_mode():
        for some in _blocks(tokens, rows):
            out[[place[row] for row in some]] = torch.nn.functional.normalize(_pooled(upper, tokens, some), dim=1).numpy()
    return out


def _head(upper, tokens: _Tokens, primary, also, train, plan: Plan):
    """A head fitted to the encoder before it is trained: it starts from what is known."""
    import torch

    recipe = Recipe("start", "ce", learning_rate=3e-3, epochs=15, seed=plan.seed)
    first = train_head(TrainingSet(_vectors(upper, tokens, train), primary[train], also[train]), None, recipe).head
    head = torch.nn.Sequential(torch.nn.Linear(first.dim, first.hidden), torch.nn.GELU(), torch.nn.Dropout(0.1), torch.nn.Linear(first.hidden, first.domains))
    head.load_state_dict({"0.weight": torch.tensor(first.w0), "0.bias": torch.tensor(first.b0), "3.weight": torch.tensor(first.w3), "3.bias": torch.tensor(first.b3)})
    return head


def _targets(primary: np.ndarray, also: np.ndarray):
    """(n, N) distributions: the primary domain 1, each also ALSO, divided by their sum."""
    import torch

    targets = np.maximum(np.eye(also.shape[1], dtype=np.float32)[primary], ALSO * also.astype(np.float32))
    return torch.from_numpy(targets / targets.sum(1, keepdims=True))
