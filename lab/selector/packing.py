"""A model file as scalars for JSON and arrays for safetensors, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lab.selector.deployed import Deployed, KMeansFile, KnnFile, Layer, MlpFile, SvmFile

FILE_TYPES = {"knn": KnnFile, "kmeans": KMeansFile, "svm": SvmFile, "mlp": MlpFile}


def pack(file: Deployed, x: np.ndarray) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A model file as scalars for JSON and arrays; a KNN file over the set's own queries does not keep them twice."""
    if isinstance(file, MlpFile):
        layers = [{"kind": one.kind, "number": one.number, "arrays": sorted(one.arrays)} for one in file.layers]
        arrays = {f"{place}.{name}": value for place, one in enumerate(file.layers) for name, value in one.arrays.items()}
        return {"models": file.models, "layers": layers, "dropout": file.dropout}, arrays
    values = {name: getattr(file, name) for name in file.__dataclass_fields__}
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    if isinstance(file, KnnFile) and file.vectors.shape == x.shape and np.array_equal(file.vectors, x):
        del arrays["vectors"]
    return {name: value for name, value in values.items() if not isinstance(value, np.ndarray) and value is not None}, arrays


def unpack(entry: dict[str, Any], arrays: dict[str, np.ndarray], models: list[str], x: Callable[[], np.ndarray]) -> Deployed:
    names = list(entry.get("models", models))
    if entry["algorithm"] == "mlp":
        layers = [
            Layer(one["kind"], {name: arrays[f"{place}.{name}"] for name in one["arrays"]}, float(one["number"]))
            for place, one in enumerate(entry["layers"])
        ]
        return MlpFile(names, tuple(layers), float(entry["dropout"]))
    kind = FILE_TYPES[entry["algorithm"]]
    scalars = {name: entry[name] for name in kind.__dataclass_fields__ if name in entry and name != "models"}
    if kind is KnnFile and "vectors" not in arrays:
        arrays = arrays | {"vectors": x()}
    return kind(models=names, **scalars, **arrays)
