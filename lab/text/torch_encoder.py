"""The reference path: sentence-transformers in fp32. Slow to import; used to export, to check, and where ONNX cannot go."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lab.errors import EncoderError
from lab.text.encoder import Source
from lab.text.prepare import prepare

BLOCK = 256


def load_sentence_transformer(source: Source, device: str = "cpu"):
    """The model of ``source`` in eval mode, cut at its max_tokens, never from a pickle."""
    from sentence_transformers import SentenceTransformer

    try:
        model = SentenceTransformer(
            str(source.folder), device=device, model_kwargs={"use_safetensors": True, "attn_implementation": "eager"}
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:300]
        raise EncoderError(
            f"{source.folder} cannot be loaded by sentence-transformers: {reason}", "Check that the folder is complete."
        ) from None
    model.max_seq_length = source.max_tokens
    return model.eval()


class TorchEncoder:
    """sentence-transformers, fp32, L2-normalised. Thread-safe (inference mode, no state)."""

    precision = "torch"

    def __init__(self, source: Source, device: str = "cpu") -> None:
        self.name = source.name
        self.id = source.id()
        self._model = load_sentence_transformer(source, device)
        self.dim = int(self._model.get_embedding_dimension())

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> np.ndarray:
        prepared = [prepare(text) for text in texts]
        out = np.zeros((len(prepared), self.dim), dtype=np.float32)
        for start in range(0, len(prepared), BLOCK):
            block = prepared[start : start + BLOCK]
            out[start : start + len(block)] = self._model.encode(block, batch_size=32, normalize_embeddings=True, show_progress_bar=False)
            if progress:
                progress(min(start + BLOCK, len(prepared)), len(prepared))
        return out
