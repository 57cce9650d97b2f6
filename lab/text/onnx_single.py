"""A BERT with mean pooling as a graph for one prompt: what serving runs, without what batches need."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path


def trace(module, path: Path, inputs: Mapping, axes: Mapping) -> None:
    """Write ``module`` as ONNX; inputs by name, ``axes`` those that may vary."""
    import torch

    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # the tracer warns of shapes that the axes cover; the cosine check is the judge
        torch.onnx.export(
            module.eval(), tuple(inputs.values()), str(path), input_names=list(inputs), output_names=["embedding"], dynamic_axes=axes, dynamo=False, opset_version=17
        )


def export_single(model, path: Path) -> bool:
    """Write ``model`` (a SentenceTransformer) for ``input_ids`` (1, s) → ``embedding`` (1, d) of unit length. False, and no file, if it is of another kind."""
    import torch

    bert = model[0].auto_model
    usual = {"hidden_act": "gelu", "position_embedding_type": "absolute", "is_decoder": False}
    known = type(bert).__name__ == "BertModel" and all(getattr(bert.config, name, value) == value for name, value in usual.items())
    rest = [type(part).__name__ for part in list(model)[1:]]
    if not known or rest not in (["Pooling"], ["Pooling", "Normalize"]) or model[1].pooling_mode != "mean":
        return False
    trace(_single(bert), path, {"input_ids": torch.tensor([[1, 2, 3, 4, 5]])}, {"input_ids": {1: "tokens"}})
    return True


def _single(bert):
    """The forward pass of BERT (Devlin et al. 2019) with (s, d) instead of (b, s, d); 1/√(d/heads) is in the query's weights."""
    import torch
    from torch.nn import functional as f

    class Single(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            table = bert.embeddings
            self.word, self.norm, self.layers = table.word_embeddings, table.LayerNorm, bert.encoder.layer
            self.register_buffer("place", table.position_embeddings.weight + table.token_type_embeddings.weight[0])
            self.qkv = torch.nn.ModuleList(_joined(layer.attention.self, self.width) for layer in self.layers)

        @property
        def width(self) -> int:
            """Of one head."""
            return bert.config.hidden_size // bert.config.num_attention_heads

        def forward(self, input_ids):
            x = self.norm(self.word(input_ids[0]) + self.place[: input_ids.shape[1]])
            for layer, qkv in zip(self.layers, self.qkv, strict=True):
                query, key, value = (part.reshape(-1, bert.config.num_attention_heads, self.width) for part in qkv(x).split(bert.config.hidden_size, 1))
                seen = torch.softmax(query.transpose(0, 1) @ key.permute(1, 2, 0), -1) @ value.transpose(0, 1)
                out = layer.attention.output
                x = out.LayerNorm(out.dense(seen.transpose(0, 1).reshape(-1, bert.config.hidden_size)) + x)
                x = layer.output.LayerNorm(layer.output.dense(f.gelu(layer.intermediate.dense(x))) + x)
            return f.normalize(x.mean(0, keepdim=True), dim=1)

    with torch.inference_mode():
        return Single()


def _joined(attention, width: int):
    """One Linear(d → 3d) of the three of a layer's self-attention."""
    import torch

    scale = width**-0.5
    parts = [(attention.query, scale), (attention.key, 1.0), (attention.value, 1.0)]
    linear = torch.nn.Linear(attention.query.in_features, 3 * attention.query.out_features)
    linear.weight = torch.nn.Parameter(torch.cat([part.weight * factor for part, factor in parts]), requires_grad=False)
    linear.bias = torch.nn.Parameter(torch.cat([part.bias * factor for part, factor in parts]), requires_grad=False)
    return linear
