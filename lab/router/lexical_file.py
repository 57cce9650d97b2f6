"""lexical.safetensors: the lexical part of a hybrid router on disk, read with suspicion."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np

from lab.errors import ArtefactError
from lab.router.lexical import Lexical
from lab.router.ngrams import VERSION

LEXICAL = "lexical.safetensors"
KINDS = {"keys": "uint64", "idf": "float32", "weights": "int8", "scale": "float32", "bias": "float32", "blend": "float32"}
AXES = {"keys": 1, "idf": 1, "weights": 2, "scale": 1, "bias": 1, "blend": 1}


def read_lexical(path: Path, domains: int) -> Lexical:
    """ArtefactError names the file, what was expected and what was found."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            version = (file.metadata() or {}).get("ngrams")
            tensors = {key: file.get_tensor(key) for key in file.keys() if key in KINDS}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise ArtefactError(f"{path} is not a readable safetensors file ({error}).", "It may be truncated; copy it again.") from None
    if version != str(VERSION):
        raise ArtefactError(f"{path}: n-grams of version {version}, this lab has {VERSION}.", "Train the router again in this lab.")
    for key, kind in KINDS.items():
        found = f"{tensors[key].dtype} with {tensors[key].ndim} axes" if key in tensors else "none"
        if found != f"{kind} with {AXES[key]} axes":
            raise ArtefactError(f"{path}: tensor {key} is {found}, expected {kind} with {AXES[key]} axes.", "Restore the file.")
    size = len(tensors["keys"])
    shapes = {"keys": (size,), "idf": (size,), "weights": (size, domains), "scale": (domains,), "bias": (domains,), "blend": (3,)}
    wrong = {key: list(tensors[key].shape) for key, shape in shapes.items() if tensors[key].shape != shape}
    if size == 0 or wrong:
        raise ArtefactError(f"{path}: shapes do not fit {domains} domains and {size} n-grams: {wrong}.", "The files are of different versions; restore all.")  # fmt: skip
    if not all(np.isfinite(tensors[key]).all() for key, kind in KINDS.items() if kind == "float32") or (np.diff(tensors["keys"].view(np.int64)) <= 0).any():
        raise ArtefactError(f"{path}: keys do not ascend, or a value is NaN or infinite.", "Restore the file.")
    return Lexical(**tensors)


def write_lexical(path: Path, lexical: Lexical) -> None:
    from safetensors.numpy import save_file

    tensors = {one.name: np.ascontiguousarray(getattr(lexical, one.name), dtype=KINDS[one.name]) for one in fields(lexical)}
    save_file(tensors, path, metadata={"ngrams": str(VERSION)})
    path.chmod(0o644)  # safetensors writes it readable by its owner alone
