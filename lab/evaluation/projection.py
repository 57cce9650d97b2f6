"""Where each prompt lies on the map: UMAP to two dimensions, kept by content, and placement of what came later.

UMAP keeps neighbours together (McInnes et al. 2018). Distances between clusters and sizes of clusters mean little.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lab.errors import ArtefactError, InputError
from lab.files import canonical, sha256_bytes, write_bytes

FORMAT = 1
PARAMETERS: dict[str, Any] = {"method": "umap", "n_neighbors": 15, "min_dist": 0.1, "metric": "cosine", "seed": 42}
GRID = 1024
"""Coordinates are rounded to 1/GRID: a thousandth of a cluster, and the shipped file is a fifth smaller."""
ANCHORS = 15
SHARPNESS = 0.05
"""Cosine difference at which an anchor's weight falls to 1/e: a near-duplicate decides alone, ties are shared."""
FEWEST = 20
"""Below this many rows there are no neighbourhoods to keep; the rows are laid on a circle."""
BLOCK = 512

Progress = Callable[[str, int, int], None]


def short_ids(text_ids: Sequence[str]) -> np.ndarray:
    """(n,) uint64: the first 64 bits of each text id. Two of a million prompts share them with a chance of 3 in 10⁸."""
    return np.array([int(one[:16], 16) for one in text_ids], dtype=np.uint64)


def ids_sha256(text_ids: Sequence[str]) -> str:
    """Hash of which prompts there are, in any order."""
    return sha256_bytes("\n".join(sorted(set(text_ids))).encode())


def layout_key(encoder_id: str, text_ids: Sequence[str], parameters: dict[str, Any] = PARAMETERS) -> dict[str, Any]:
    """All that decides a layout: whose vectors, of which prompts, projected how."""
    return {"format": FORMAT, "encoder_id": encoder_id, "ids_sha256": ids_sha256(text_ids), "parameters": dict(parameters)}


def key_sha256(key: dict[str, Any]) -> str:
    return sha256_bytes(canonical(key))


@dataclass(frozen=True)
class Layout:
    """``ids`` (n,) uint64 ascending (:func:`short_ids`), ``xy`` (n, 2) float32. ``key`` says what it was made from."""

    key: dict[str, Any]
    ids: np.ndarray
    xy: np.ndarray

    def __post_init__(self) -> None:
        if self.ids.ndim != 1 or self.ids.dtype != np.uint64 or self.xy.shape != (len(self.ids), 2) or self.xy.dtype != np.float32:
            raise ArtefactError(
                f"A layout has ids {self.ids.dtype}{self.ids.shape} and points {self.xy.dtype}{self.xy.shape}.",
                "Expected are uint64 (n,) and float32 (n, 2): delete the file, it is computed again.",
            )
        if not np.isfinite(self.xy).all() or (len(self.ids) > 1 and not (self.ids[1:] > self.ids[:-1]).all()):
            raise ArtefactError("A layout has points that are no numbers, or ids out of order.", "Delete the file, it is computed again.")

    @property
    def sha256(self) -> str:
        """Hash of the content, for the caches that depend on where points lie."""
        return sha256_bytes(canonical(self.key) + self.ids.tobytes() + self.xy.tobytes())

    def find(self, text_ids: Sequence[str]) -> np.ndarray:
        """(m,) int64: the row of each prompt in ``xy``, −1 where it has no place yet."""
        wanted = short_ids(text_ids)
        if not len(self.ids):
            return np.full(len(wanted), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        return np.where(self.ids[at] == wanted, at, -1).astype(np.int64)


def make_layout(key: dict[str, Any], text_ids: Sequence[str], xy: np.ndarray) -> Layout:
    """A Layout from points in the rows' order; of doubled prompts the first is kept."""
    ids, first = np.unique(short_ids(text_ids), return_index=True)
    return Layout(key, ids, np.ascontiguousarray(xy[first], dtype=np.float32))


def project(vectors: np.ndarray, parameters: dict[str, Any] = PARAMETERS, progress: Progress = lambda stage, done, of: None) -> np.ndarray:
    """(n, 2) float32 from unit vectors (n, d): UMAP, seeded, centred, turned so that the widest spread lies along x.

    Slow: numba compiles for tens of seconds in each process. Run it where nobody waits (lab.evaluation.maps).
    """
    n = len(vectors)
    if n < FEWEST:
        turn = 2 * np.pi * np.arange(n) / max(1, n)
        return np.stack([np.cos(turn), np.sin(turn)], axis=1).astype(np.float32)
    progress("load and compile", 0, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # umap: a seed means one thread
        import umap

        said = _Said(progress)
        reducer = umap.UMAP(
            n_neighbors=min(parameters["n_neighbors"], n - 1), min_dist=parameters["min_dist"], metric=parameters["metric"],
            random_state=parameters["seed"], verbose=True, tqdm_kwds={"file": said, "bar_format": "epoch {n_fmt}/{total_fmt}", "mininterval": 0.2},
        )  # fmt: skip
        with contextlib.redirect_stdout(said):
            found = reducer.fit_transform(vectors).astype(np.float64)
    found -= found.mean(axis=0)
    _, _, axes = np.linalg.svd(found, full_matrices=False)
    return (np.round(found @ axes.T * GRID) / GRID).astype(np.float32)


class _Said(io.TextIOBase):
    """Turns what umap says while it works into progress."""

    STAGES = (("simplicial set", "find neighbours"), ("Finding Nearest", "find neighbours"), ("Construct embedding", "lay out"))

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def write(self, text: str) -> int:
        epoch = re.search(r"epoch\s+(\d+)/(\d+)", text)
        if epoch:
            self._progress("lay out", int(epoch[1]), int(epoch[2]))
        for mark, stage in self.STAGES:
            if mark in text:
                self._progress(stage, 0, 1)
        return len(text)


def place(new: np.ndarray, known: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """(m, 2) float32: a place for each of ``new`` (m, d) among points ``xy`` (n, 2) of ``known`` (n, d), unit vectors.

    Anchored: the mean of the ANCHORS nearest known points by cosine, weighted by exp(cosine / SHARPNESS). Known points
    are read and never moved, so a map that grows stays the map that people remember; nothing is fitted or compiled.
    The price: new points describe no cluster of their own. Rebuild the layout when many rows are new.
    """
    if not len(known):
        raise InputError("There is no placed prompt to lean on.", "Compute a layout first: python -m lab map.")
    k = min(ANCHORS, len(known))
    out = np.empty((len(new), 2), dtype=np.float32)
    for start in range(0, len(new), BLOCK):
        cosine = new[start : start + BLOCK] @ known.T
        near = np.argpartition(-cosine, k - 1, axis=1)[:, :k]
        found = np.take_along_axis(cosine, near, axis=1).astype(np.float64)
        weight = np.exp((found - found.max(axis=1, keepdims=True)) / SHARPNESS)
        weight /= weight.sum(axis=1, keepdims=True)
        out[start : start + BLOCK] = (weight[:, :, None] * xy[near].astype(np.float64)).sum(axis=1)
    return out


def extend(layout: Layout, key: dict[str, Any], text_ids: Sequence[str], vectors: np.ndarray) -> Layout:
    """A layout of all of ``text_ids`` with ``vectors`` (n, d): known prompts keep their points to the bit, new ones are placed."""
    at = layout.find(text_ids)
    known = at >= 0
    xy = np.empty((len(text_ids), 2), dtype=np.float32)
    xy[known] = layout.xy[at[known]]
    if not known.all():
        xy[~known] = place(vectors[~known], vectors[known], xy[known])
    return make_layout(key, text_ids, xy)


def write_layout(path: Path, layout: Layout) -> None:
    """One npz without pickle, whole or absent."""
    buffer = io.BytesIO()
    key = np.frombuffer(canonical(layout.key), dtype=np.uint8)
    np.savez_compressed(buffer, key=key, ids=layout.ids, xy=layout.xy)
    write_bytes(path, buffer.getvalue())


def read_layout(path: Path) -> Layout:
    """ArtefactError if ``path`` is missing, cut short, or no layout."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return Layout(json.loads(file["key"].tobytes()), file["ids"], file["xy"])
    except FileNotFoundError:
        raise ArtefactError(f"{path} is missing.", "Make it: python -m lab map.") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, json.JSONDecodeError) as error:
        raise ArtefactError(f"{path} is no layout: {str(error)[:120]}.", "Delete it, it is computed again: python -m lab map.") from None
