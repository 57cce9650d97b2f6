"""The router's JSON model files, read with suspicion (spec selectors.md §4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lab.errors import ArtefactError
from lab.files import read_json
from lab.selector.deployed import ALGORITHMS, Deployed, KMeansFile, KnnFile, Layer, MlpFile, SvmFile
from lab.selector.write_file import OURS


def read_file(path: Path) -> tuple[Deployed, dict[str, Any]]:
    """The file and what stands under our own key ({} in the router's files). ArtefactError names the file, the key and the fix."""
    return parse_file(read_json(path), str(path))


def parse_file(value: Any, where: str) -> tuple[Deployed, dict[str, Any]]:
    if not isinstance(value, dict):
        raise ArtefactError(f"{where}: expected an object, found {type(value).__name__}.", "Restore the file.")
    algorithm = str(value.get("algorithm", "")).lower()
    if algorithm not in ALGORITHMS:
        raise ArtefactError(f"{where}: algorithm is {value.get('algorithm')!r:.40}.", f"Expected one of: {', '.join(ALGORITHMS)}.")
    if value.get("trained") is not True:
        raise ArtefactError(f"{where}: trained is {value.get('trained')!r:.20}; the router does not use it.", "Train it first.")
    source = _Source(value, where)
    file = {"knn": _knn, "kmeans": _kmeans, "svm": _svm, "mlp": _mlp}[algorithm](source)
    ours = value.get(OURS)
    return file, ours if isinstance(ours, dict) else {}


class _Source:
    """An object of the file, asked key by key."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise ArtefactError(f"{where}: expected an object, found {type(value).__name__}.", "Restore the file.")
        self.value, self.where = value, where

    def fault(self, key: str, what: str) -> ArtefactError:
        return ArtefactError(f"{self.where}: {key} {what}.", "Restore the file, or export it again.")

    def get(self, key: str) -> Any:
        if key not in self.value:
            raise self.fault(key, "is missing")
        return self.value[key]

    def whole(self, key: str, low: int = 1) -> int:
        value = self.get(key)
        if type(value) is not int or value < low:
            raise self.fault(key, f"is {value!r:.30}, expected a whole number of at least {low}")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        value = self.value.get(key, default) if default is not None else self.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
            raise self.fault(key, f"is {value!r:.30}, expected a finite number")
        return float(value)

    def names(self, key: str) -> list[str]:
        value = self.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(one, str) and one for one in value):
            raise self.fault(key, "is no list of names")
        return value

    def objects(self, key: str) -> list[_Source]:
        value = self.value.get(key, [])
        if not isinstance(value, list):
            raise self.fault(key, "is no list")
        return [_Source(one, f"{self.where}: {key}[{place}]") for place, one in enumerate(value)]

    def array(self, key: str, dims: int, dtype: type = np.float64, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """Finite numbers, of ``dims`` dimensions, none empty."""
        try:
            out = np.asarray(self.get(key), dtype=dtype)
        except (TypeError, ValueError, OverflowError):
            raise self.fault(key, "is not a full table of numbers (rows of one length)") from None
        if out.ndim != dims or out.size == 0:
            raise self.fault(key, f"has the shape {list(out.shape)}, expected {dims} dimension{'s' if dims > 1 else ''}, none empty")
        if not np.isfinite(out).all():
            raise self.fault(key, "has numbers that are NaN or infinite")
        if shape is not None and out.shape != shape:
            raise self.fault(key, f"has the shape {list(out.shape)}, expected {list(shape)}")
        return out


def _knn(source: _Source) -> KnnFile:
    vectors, labels = source.array("embeddings", 2, np.float32), source.names("labels")
    quality = source.array("qualities", 1)
    latency = source.get("latencies")
    if not isinstance(latency, list) or not all(type(one) is int for one in latency):
        raise source.fault("latencies", "must be whole numbers of nanoseconds")
    if not len(vectors) == len(labels) == len(quality) == len(latency):
        raise source.fault(
            "embeddings, labels, qualities, latencies", f"have {len(vectors)}, {len(labels)}, {len(quality)} and {len(latency)} rows"
        )
    models = list(dict.fromkeys(labels))
    place = {name: column for column, name in enumerate(models)}
    unique, group = _unique(vectors)
    label = np.asarray([place[name] for name in labels], dtype=np.int64)
    return KnnFile(models, unique, min(source.whole("k"), len(labels)), group, label, quality, np.asarray(latency, dtype=np.int64))


def _unique(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows in order of appearance, and for each row which it is."""
    seen: dict[bytes, int] = {}
    group = np.asarray([seen.setdefault(row.tobytes(), len(seen)) for row in rows], dtype=np.int64)
    first = np.full(len(seen), len(rows))
    np.minimum.at(first, group, np.arange(len(rows)))
    return rows[first], group


def _kmeans(source: _Source) -> KMeansFile:
    centroids = source.array("centroids", 2)
    value = source.get("cluster_models")
    if isinstance(value, dict):  # the old form: {"0": name}
        missing = [str(one) for one in range(len(centroids)) if str(one) not in value]
        if missing:
            raise source.fault("cluster_models", f"names no model for cluster {missing[0]}")
        source = _Source(source.value | {"cluster_models": [value[str(one)] for one in range(len(centroids))]}, source.where)
    names = source.names("cluster_models")
    if not len(names) == len(centroids) == source.whole("num_clusters"):
        raise source.fault("num_clusters", f"is {source.whole('num_clusters')} with {len(centroids)} centroids and {len(names)} models")
    models = sorted(set(names))
    return KMeansFile(models, centroids, np.asarray([models.index(one) for one in names]))


def _svm(source: _Source) -> SvmFile:
    names, kernel = source.names("model_names"), source.get("kernel_type")
    if kernel not in ("Rbf", "Linear"):
        raise source.fault("kernel_type", f"is {kernel!r:.20}, expected Rbf or Linear")
    key = "rbf_classifiers" if kernel == "Rbf" else "linear_classifiers"
    found = source.objects(key)
    given = [str(one.get("model_name")) for one in found]
    if not found or len(set(given)) != len(given) or set(given) - set(names):
        raise source.fault(key, f"is for {', '.join(given) or 'no model'}, expected each once of: {', '.join(names)}")
    rho = np.asarray([one.number("rho") for one in found])
    if kernel == "Linear":
        rows = [one.array("weights", 1) for one in found]
        _same_width(source, key, [len(row) for row in rows])
        return SvmFile(given, "Linear", np.stack(rows), rho, np.ones(len(found)))
    gamma = np.asarray([one.number("gamma", float(source.value.get("gamma") or 1.0)) for one in found])
    vectors = [one.array("support_vectors", 2) for one in found]
    _same_width(source, key, [one.shape[1] for one in vectors])
    unique, group = _unique(np.concatenate(vectors))
    alpha, start = np.zeros((len(found), len(unique))), 0
    for place, (one, rows) in enumerate(zip(found, vectors, strict=True)):
        np.add.at(alpha[place], group[start : start + len(rows)], one.array("alpha", 1, shape=(len(rows),)))
        start += len(rows)
    return SvmFile(given, "Rbf", alpha, rho, gamma, unique)


def _same_width(source: _Source, key: str, widths: list[int]) -> None:
    if len(set(widths)) != 1:
        raise source.fault(key, f"has vectors of {', '.join(map(str, sorted(set(widths))))} numbers")


def _mlp(source: _Source) -> MlpFile:
    names, layers = source.names("model_names"), []
    width: int | None = None
    for one in source.objects("layers"):
        kind = one.get("type")
        if kind == "linear":
            weight = one.array("weight", 2, np.float32)
            bias = one.array("bias", 1, np.float32, (len(weight),))
            if (one.whole("out_features"), one.whole("in_features")) != weight.shape or width not in (None, weight.shape[1]):
                raise one.fault("weight", f"has the shape {list(weight.shape)}, which does not fit its sizes or the layer before it")
            width = len(weight)
            layers.append(Layer("linear", {"weight": weight, "bias": bias}))
        elif kind == "batch_norm":
            keys = ("weight", "bias", "running_mean", "running_var")
            arrays = {key: one.array(key, 1, np.float32, (one.whole("num_features"),)) for key in keys}
            if width != len(arrays["weight"]):
                raise one.fault("num_features", f"is {len(arrays['weight'])}, but {width} come in")
            layers.append(Layer("batch_norm", arrays, one.number("eps")))
        elif kind == "dropout":
            layers.append(Layer("dropout", {}, one.number("p", 0.0)))
        elif kind == "relu":
            layers.append(Layer("relu", {}))
        else:
            raise one.fault("type", f"is {kind!r:.30}, expected linear, relu, batch_norm or dropout")
    if width != len(names):
        raise source.fault("layers", f"end in {width} outputs, but {len(names)} models are named")
    file = MlpFile(names, tuple(layers), source.number("dropout", 0.0))
    if source.value.get("feature_dim", file.width) != file.width:
        raise source.fault("feature_dim", f"is {source.value['feature_dim']!r:.20}, but the first layer reads {file.width}")
    return file
