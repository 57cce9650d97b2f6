"""Selectors on disk: one folder per training run, safetensors and JSON, tensors read (memory-mapped) when first needed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lab.errors import ArtefactError, InputError, LabError
from lab.files import folder_aside, read_json, sha256_file, write_bytes, write_json
from lab.selector.choose import LAB, Chosen
from lab.selector.compatible import CompatibleSelector
from lab.selector.contract import LabSelector
from lab.selector.deployed import Deployed, winner
from lab.selector.features import features
from lab.selector.packing import pack, unpack
from lab.selector.table import Cells
from lab.selector.utility import Utility

META, VECTORS, LEARNT, CARD = "meta.json", "vectors.safetensors", "selectors.safetensors", "CARD.md"
FORMAT = 1


def stored(vectors: np.ndarray, cells: Cells) -> tuple[np.ndarray, Cells]:
    """Vectors in half and outcomes in single precision, as the folder keeps them: train on these, and a loaded selector is the trained one."""
    exact = (one.astype(np.float32).astype(np.float64) for one in (cells.quality, cells.latency_s, cells.cost_usd))
    return vectors.astype(np.float16).astype(np.float32), Cells(*exact)


class FileSelector:
    """A model file as a selector: the compatible forms, and what was imported."""

    exportable = True

    def __init__(self, file: Deployed) -> None:
        self.file = file

    def scores(self, x: np.ndarray, utility: Utility | None = None) -> np.ndarray:
        return self.file.scores(x)

    def pick(self, x: np.ndarray, allowed: np.ndarray | None) -> int:
        return int(winner(self.file, x, allowed)[0])


@dataclass(frozen=True)
class SelectorSet:
    """Selectors trained together on one pool of models. ``meta`` is kept whole. Safe to share between threads."""

    path: Path
    name: str
    meta: dict[str, Any]

    @cached_property
    def _lock(self) -> threading.RLock:
        return threading.RLock()

    @cached_property
    def _open(self) -> dict[str, Any]:
        return {}

    @property
    def models(self) -> list[str]:
        return list(self.meta["models"])

    @property
    def one_hot(self) -> list[str]:
        return list(self.meta["one_hot"])

    @property
    def encoder_name(self) -> str:
        return str(self.meta["encoder"]["name"])

    @property
    def dim(self) -> int:
        return int(self.meta["encoder"]["dim"])

    @cached_property
    def utility(self) -> Utility:
        return Utility.from_json(self.meta["utility"])

    @property
    def keys(self) -> list[str]:
        """Names of its selectors: "knn", "knn-compatible", …"""
        return list(self.meta["selectors"])

    @property
    def default(self) -> str:
        return str(self.meta["default"])

    @cached_property
    def sha256(self) -> dict[str, str]:
        return {one.name: sha256_file(one) for one in sorted(self.path.iterdir()) if one.suffix == ".safetensors"}

    def selector(self, key: str = "") -> LabSelector | FileSelector:
        """InputError if there is none of that name. Built on first use."""
        key = key or self.default
        if key not in self.meta["selectors"]:
            raise InputError(f"{self.name} has no selector '{key}'.", f"It has: {', '.join(self.keys)}.")
        with self._lock:
            if key not in self._open:
                self._open[key] = self._restore(key, self.meta["selectors"][key])
            return self._open[key]

    def deployed(self, key: str) -> Deployed:
        """In the router's form; InputError for one that has none."""
        selector = self.selector(key)
        if isinstance(selector, FileSelector):
            return selector.file
        if not selector.exportable:
            raise InputError(
                f"{key} has no form in the router's files: they cannot say 'only on significant evidence'.",
                "Export knn, kmeans, svm or mlp.",
            )
        return selector.deployed(self.models)

    def about(self, key: str) -> dict[str, Any]:
        """What an exported file says under our own key."""
        form = self.meta["selectors"][key]["form"]
        return {
            "selector": f"{self.name}/{key}",
            "form": form,
            "encoder": self.meta["encoder"],
            "one_hot": self.one_hot,
            "utility": self.meta["utility"],
        }

    @cached_property
    def x(self) -> np.ndarray:
        """(N, D + K) raw features of the training queries; (0, D + K) if the set keeps none."""
        with self._lock:
            if not (self.path / VECTORS).is_file():
                return np.zeros((0, self.dim + len(self.one_hot)), dtype=np.float32)
            tensors = _tensors(self.path / VECTORS)
            return features(tensors["vectors"].astype(np.float32), tensors["place"], len(self.one_hot))

    @cached_property
    def query_ids(self) -> np.ndarray:
        """(N,) uint64: the first 16 hex digits of the training queries' text ids. Says which queries were seen; holds no text."""
        return _tensors(self.path / VECTORS, ("ids",))["ids"] if (self.path / VECTORS).is_file() else np.zeros(0, dtype=np.uint64)

    @cached_property
    def cells(self) -> Cells:
        """Outcomes of the training queries."""
        tensors = _tensors(self.path / LEARNT, ("quality", "latency_s", "cost_usd"))
        return Cells(*(tensors[name].astype(np.float64) for name in ("quality", "latency_s", "cost_usd")))

    def read_all(self) -> None:
        for key in self.keys:
            self.selector(key)
        for name in ("x", "query_ids", "cells", "sha256"):
            getattr(self, name)

    def _restore(self, key: str, entry: dict[str, Any]) -> LabSelector | FileSelector:
        try:
            if entry["form"] == "lab":
                return self._lab(key, entry)
            return FileSelector(unpack(entry, _of(self.path / LEARNT, key), self.models, lambda: self.x))
        except (KeyError, TypeError, ValueError, LabError) as error:
            raise ArtefactError(
                f"{self.path}: selector {key} cannot be restored ({type(error).__name__}: {error}).", "Restore the folder."
            ) from None

    def _lab(self, key: str, entry: dict[str, Any]) -> LabSelector:
        params = {name: tuple(value) if isinstance(value, list) else value for name, value in entry["params"].items()}
        selector = LAB[entry["algorithm"]](**params, utility=self.utility, categories=len(self.one_hot))
        if entry["algorithm"] in ("knn", "guarded-knn"):
            return selector.fit(self.x, self.cells)  # everything it learns is in the outcomes
        tensors = _of(self.path / LEARNT, key)
        if "landmark_rows" in tensors:
            tensors["landmarks"] = self.x[tensors.pop("landmark_rows")]
        return selector.restore(tensors)


def _tensors(path: Path, names: Sequence[str] = (), prefix: str = "") -> dict[str, np.ndarray]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            wanted = names or [name for name in list(file.keys()) if name.startswith(prefix)]
            return {name: file.get_tensor(name) for name in wanted}
    except (SafetensorError, OSError, ValueError) as error:
        raise ArtefactError(f"{path} is not a readable safetensors file ({error}).", "It may be truncated; copy it again.") from None


def _of(path: Path, key: str) -> dict[str, np.ndarray]:
    """The tensors of one selector, without its prefix."""
    return {name.removeprefix(f"{key}/"): value for name, value in _tensors(path, prefix=f"{key}/").items()}


def read_set(path: Path, name: str | None = None) -> SelectorSet:
    """ArtefactError for a folder that is no set of selectors."""
    if not (path / META).is_file():
        raise ArtefactError(f"{path} is no selector folder: {META} is missing.", "Copy the complete folder.")
    meta = read_json(path / META)
    needed = ("format", "models", "one_hot", "encoder", "utility", "selectors", "default")
    missing = [key for key in needed if not isinstance(meta, dict) or key not in meta]
    if missing:
        raise ArtefactError(f"{path / META}: {', '.join(missing)} missing.", "Restore the file.")
    if meta["format"] != FORMAT:
        raise ArtefactError(
            f"{path / META}: format {meta['format']!r} is not {FORMAT}.", "Use a version of the lab that reads it, or train again."
        )
    if meta["default"] not in meta["selectors"] or not isinstance(meta["models"], list):
        raise ArtefactError(f"{path / META}: default or models do not fit.", "Restore the file.")
    return SelectorSet(path, name or path.name, meta)


def write_set(
    path: Path, chosen: Sequence[Chosen], *, models: Sequence[str], one_hot: Sequence[str], encoder: dict[str, Any], utility: Utility,
    vectors: np.ndarray, places: np.ndarray, ids: np.ndarray, cells: Cells, default: str, extra: dict[str, Any], card: str,
) -> SelectorSet:  # fmt: skip
    """Written aside, read back, then in place. vectors (N, D) and cells as :func:`stored` gave them; ids (N,) uint64."""
    from safetensors.numpy import save_file

    x = features(vectors, places, len(one_hot))
    learnt: dict[str, np.ndarray] = {
        "quality": cells.quality.astype(np.float32), "latency_s": cells.latency_s.astype(np.float32), "cost_usd": cells.cost_usd.astype(np.float32),
    }  # fmt: skip
    entries: dict[str, Any] = {}
    for one in chosen:
        key = f"{one.algorithm}-compatible" if one.form == "compatible" else one.algorithm
        entries[key], tensors = _entry(one, models, x)
        learnt |= {f"{key}/{name}": value for name, value in tensors.items()}
    meta = {
        "format": FORMAT, "models": list(models), "one_hot": list(one_hot), "encoder": encoder, "utility": utility.to_json(),
        "default": default if default in entries else next(iter(entries)), "selectors": entries, **extra,
    }  # fmt: skip
    with folder_aside(path) as aside:
        if len(vectors):
            save_file(
                {"vectors": vectors.astype(np.float16), "place": places.astype(np.uint8), "ids": ids.astype(np.uint64)}, aside / VECTORS
            )
        save_file({name: np.ascontiguousarray(value) for name, value in learnt.items()}, aside / LEARNT)
        for one in aside.iterdir():
            one.chmod(0o644)
        write_json(aside / META, meta)
        write_bytes(aside / CARD, card.encode())
        back = read_set(aside)
        for one, key in zip(chosen, entries, strict=True):
            _check(one, back.selector(key), x[:64])
    return read_set(path)


def _check(made: Chosen, back: LabSelector | FileSelector, x: np.ndarray) -> None:
    if not len(x):
        x = np.random.default_rng(0).normal(size=(64, back.file.width)).astype(np.float32)
    again = back.scores(x).argmax(1) if isinstance(back, LabSelector) else winner(back.file, x)
    if not np.array_equal(made.selector.predict(x), again):
        raise ArtefactError(f"{made.name}: what was written does not pick as what was trained.", "Check the disk.")


def _entry(one: Chosen, models: Sequence[str], x: np.ndarray) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What meta.json says of a selector, and its tensors."""
    entry: dict[str, Any] = {"algorithm": one.algorithm, "form": one.form, "validation": one.validation}
    if isinstance(one.selector, CompatibleSelector | FileSelector):
        file = one.selector.deployed(list(models)) if isinstance(one.selector, CompatibleSelector) else one.selector.file
        if isinstance(one.selector, CompatibleSelector):
            entry["params"] = one.selector.get_params()
        description, tensors = pack(file, x)
        return entry | description, tensors
    entry["params"] = {name: value for name, value in one.selector.get_params().items() if name not in ("utility", "categories")}
    tensors = dict(one.selector.tensors())
    if one.algorithm in ("knn", "guarded-knn"):
        return entry, {}
    if one.algorithm == "svm" and len(tensors["landmarks"]):
        seen = {row.tobytes(): place for place, row in enumerate(x)}
        tensors["landmark_rows"] = np.asarray([seen[row.tobytes()] for row in tensors.pop("landmarks")], dtype=np.int64)
    return entry, tensors
