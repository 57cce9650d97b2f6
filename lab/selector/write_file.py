"""The router's JSON model files, written as it reads them (spec selectors.md §4). Ours lies under one key, ``router_lab``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from lab.errors import ArtefactError
from lab.selector.deployed import Deployed, KMeansFile, KnnFile, MlpFile, SvmFile

OURS = "router_lab"
FILES = {"knn": "knn_model.json", "kmeans": "kmeans_model.json", "svm": "svm_model.json", "mlp": "mlp_model.json"}


def dump(file: Deployed, ours: dict[str, Any] | None = None) -> bytes:
    """The file's bytes: embeddings with seven significant digits, what is summed in full. ArtefactError for NaN or infinity."""
    body = {"knn": _knn, "kmeans": _kmeans, "svm": _svm, "mlp": _mlp}[file.algorithm](file)
    parts = [f'"algorithm":{json.dumps(file.algorithm)}', '"trained":true', *(f"{json.dumps(key)}:{text}" for key, text in body)]
    if ours is not None:
        parts.append(f"{json.dumps(OURS)}:{json.dumps(ours, ensure_ascii=False, allow_nan=False)}")
    return ("{" + ",\n".join(parts) + "}\n").encode()


def _numbers(values: np.ndarray, form: str = "%.7g") -> str:
    if not np.isfinite(values).all():
        raise ArtefactError("The selector has numbers that are NaN or infinite, which its file cannot hold.", "Train it again.")
    return "[" + ",".join(map(form.__mod__, values.tolist())) + "]"


def _full(values: np.ndarray) -> str:
    return _numbers(values, "%.17g")


def _matrix(rows: Iterable[np.ndarray], form: str = "%.7g") -> str:
    return "[" + ",\n".join(_numbers(row, form) for row in rows) + "]"


def _names(names: Iterable[str]) -> str:
    return json.dumps(list(names), ensure_ascii=False)


def _knn(file: KnnFile) -> Iterator[tuple[str, str]]:
    lines = [_numbers(row) for row in file.vectors]  # each vector stands once a model: format it once
    yield "k", str(int(file.k))
    yield "embeddings", "[" + ",\n".join(lines[one] for one in file.group) + "]"
    yield "labels", _names(file.models[place] for place in file.label)
    yield "qualities", _full(file.quality)
    yield "latencies", "[" + ",".join(map(str, file.latency_ns.tolist())) + "]"


def _kmeans(file: KMeansFile) -> Iterator[tuple[str, str]]:
    yield "num_clusters", str(len(file.centroids))
    yield "centroids", _matrix(file.centroids, "%.9g")
    yield "cluster_models", _names(file.models[place] for place in file.best)


def _svm(file: SvmFile) -> Iterator[tuple[str, str]]:
    yield "model_names", _names(file.models)
    yield "kernel_type", json.dumps(file.kernel)
    yield "gamma", repr(float(file.gamma[0]))
    linear, rbf = [], []
    lines = [_numbers(row) for row in file.vectors] if file.vectors is not None else []
    for place, name in enumerate(file.models):
        head = f'{{"model_name":{json.dumps(name, ensure_ascii=False)}'
        rho = repr(float(file.rho[place]))
        if file.vectors is None:
            linear.append(f'{head},"weights":{_full(file.weights[place])},"rho":{rho}}}')
            continue
        used = np.flatnonzero(file.weights[place])
        vectors = "[" + ",\n".join(lines[one] for one in used) + "]"
        gamma = repr(float(file.gamma[place]))
        rbf.append(f'{head},"alpha":{_full(file.weights[place][used])},"support_vectors":{vectors},"rho":{rho},"gamma":{gamma}}}')
    yield "linear_classifiers", "[" + ",\n".join(linear) + "]"
    yield "rbf_classifiers", "[" + ",\n".join(rbf) + "]"


def _mlp(file: MlpFile) -> Iterator[tuple[str, str]]:
    linear = [one.arrays["weight"] for one in file.layers if one.kind == "linear"]
    yield "model_names", _names(file.models)
    yield "feature_dim", str(linear[0].shape[1])
    yield "n_classes", str(len(file.models))
    yield "hidden_sizes", json.dumps([len(one) for one in linear[:-1]])
    yield "dropout", repr(float(file.dropout))
    layers = []
    for one in file.layers:
        a = {key: _matrix(value, "%.9g") if value.ndim == 2 else _numbers(value, "%.9g") for key, value in one.arrays.items()}
        if one.kind == "linear":
            out, inside = one.arrays["weight"].shape
            layers.append(f'{{"type":"linear","in_features":{inside},"out_features":{out},"weight":{a["weight"]},"bias":{a["bias"]}}}')
        elif one.kind == "batch_norm":
            keys = ",".join(f'"{key}":{a[key]}' for key in ("weight", "bias", "running_mean", "running_var"))
            layers.append(f'{{"type":"batch_norm","num_features":{len(one.arrays["weight"])},{keys},"eps":{float(one.number)!r}}}')
        elif one.kind == "dropout":
            layers.append(f'{{"type":"dropout","p":{float(one.number)!r}}}')
        else:
            layers.append('{"type":"relu"}')
    yield "layers", "[" + ",\n".join(layers) + "]"
