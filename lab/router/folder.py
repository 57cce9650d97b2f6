"""A router as a folder: router.safetensors, meta.json, label_map.json (spec router.md §1), read with suspicion and written whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lab.errors import ArtefactError
from lab.files import folder_aside, read_json, sha256_bytes, sha256_file, write_json
from lab.router.head import Head
from lab.router.lexical import Lexical
from lab.router.lexical_file import LEXICAL, read_lexical, write_lexical

WEIGHTS, META, LABELS, METRICS = "router.safetensors", "meta.json", "label_map.json", "metrics.json"
OURS = "router_lab"
"""The one key of meta.json under which everything of ours lies."""
KEYS = ("0.weight", "0.bias", "3.weight", "3.bias")


@dataclass(frozen=True)
class RouterFolder:
    """What a folder says. ``meta`` is kept whole, unknown keys included; ``domains[i]`` is class i.

    ``weights_sha256`` is that of router.safetensors; with a lexical part, of the two files' hashes one after the other.
    """

    path: Path
    head: Head
    domains: list[str]
    meta: dict[str, Any]
    weights_sha256: str
    lexical: Lexical | None = None


def stamp(path: Path) -> tuple[tuple[int, int], ...]:
    """Time and size of each file of a router folder: other when one of them was changed."""
    stats = [one.stat() if (one := path / name).is_file() else None for name in (WEIGHTS, META, LABELS, METRICS, LEXICAL)]
    return tuple((stat.st_mtime_ns, stat.st_size) if stat else (0, 0) for stat in stats)


def read_router(path: Path) -> RouterFolder:
    """ArtefactError names the file, what was expected and what was found."""
    if not path.is_dir():
        raise ArtefactError(f"{path} is not a folder.", f"A router is a folder with {WEIGHTS}, {META} and {LABELS}.")
    missing = [name for name in (WEIGHTS, META, LABELS) if not (path / name).is_file()]
    if missing:
        found = ", ".join(sorted(p.name for p in path.iterdir())[:8]) or "nothing"
        raise ArtefactError(f"{path}: {', '.join(missing)} missing (found: {found}).", "Copy the complete folder.")
    meta, label_map = read_json(path / META), read_json(path / LABELS)
    for name, value in ((META, meta), (LABELS, label_map)):
        if not isinstance(value, dict):
            raise ArtefactError(f"{path / name}: expected an object, found {type(value).__name__}.", "Restore the file.")
    head = _read_head(path / WEIGHTS)
    domains = _domains(path, meta, label_map)
    for key, found in (("embedding_dim", head.dim), ("hidden_dim", head.hidden), ("num_domains", head.domains)):
        if key in meta and meta[key] != found:
            raise ArtefactError(
                f"{path / META}: {key} is {meta[key]!r}, but {WEIGHTS} has {found}.",
                "The two files are of different versions; restore both.",
            )
    if len(domains) != head.domains:
        raise ArtefactError(
            f"{path / META}: {len(domains)} domains are named, but {WEIGHTS} scores {head.domains}.",
            "The two files are of different versions; restore both.",
        )
    digest, lexical = sha256_file(path / WEIGHTS), _lexical(path, meta, head)
    if lexical is not None:
        digest = sha256_bytes(f"{digest}{sha256_file(path / LEXICAL)}".encode())
    return RouterFolder(path, head, domains, meta, digest, lexical)


def _lexical(path: Path, meta: dict[str, Any], head: Head) -> Lexical | None:
    """The lexical part that meta.json names, or None; ArtefactError if only one of the two is there or they differ."""
    ours = meta.get(OURS)
    named = ours.get("lexical") if isinstance(ours, dict) else None
    there = (path / LEXICAL).is_file()
    if not isinstance(named, dict | None) or there != bool(named):
        raise ArtefactError(
            f"{path}: {META} {'names a' if named else 'names no'} lexical part, {LEXICAL} is {'there' if there else 'missing'}.",
            "Copy the complete folder. (A plain gateway needs the other files alone.)",
        )
    if not named:
        return None
    found = sha256_file(path / LEXICAL)
    if named.get("sha256") != found:
        raise ArtefactError(
            f"{path / LEXICAL}: sha256 {found[:12]}, but {META} says {str(named.get('sha256'))[:12]}.", "The two are of different versions; restore both."
        )
    return read_lexical(path / LEXICAL, head.domains)


def _read_head(path: Path) -> Head:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            kinds = {key: _dtype(file.get_slice(key).get_dtype()) for key in file.keys()}  # noqa: SIM118
            tensors = {key: file.get_tensor(key) if kind == "float32" else None for key, kind in kinds.items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise ArtefactError(f"{path} is not a readable safetensors file ({error}).", "It may be truncated; copy it again.") from None
    kinds, tensors = ({key.removeprefix("net."): value for key, value in one.items()} for one in (kinds, tensors))
    if set(tensors) != set(KEYS):
        raise ArtefactError(
            f"{path}: expected the tensors {', '.join(KEYS)}, found {', '.join(sorted(tensors)) or 'none'}.",
            "Only a two-layer head can be loaded.",
        )
    for key, value in tensors.items():
        if value is None:
            raise ArtefactError(f"{path}: tensor {key} is {kinds[key]}, expected float32.", "Save the head in F32.")
        if not np.isfinite(value).all():
            raise ArtefactError(
                f"{path}: tensor {key} has {int((~np.isfinite(value)).sum())} values that are NaN or infinite.",
                "The training broke; use another version.",
            )
    w0, b0, w3, b3 = (tensors[key] for key in KEYS)
    if (w0.ndim, b0.ndim, w3.ndim, b3.ndim) != (2, 1, 2, 1) or w0.shape[0] != b0.shape[0] or w3.shape != (b3.shape[0], b0.shape[0]):
        shapes = ", ".join(f"{key} {list(tensors[key].shape)}" for key in KEYS)
        raise ArtefactError(f"{path}: shapes do not fit: {shapes}.", "Expected [H, D], [H], [N, H], [N].")
    return Head(w0, b0, w3, b3)


def _dtype(kind: str) -> str:
    """safetensors' name of a type as others know it: BF16 → bfloat16. Some (bfloat16, float8) numpy does not have."""
    letters = kind.rstrip("0123456789")
    return {"BF": "bfloat", "F": "float", "I": "int", "U": "uint"}.get(letters, letters) + kind[len(letters) :]


def _domains(path: Path, meta: dict[str, Any], label_map: dict[str, Any]) -> list[str]:
    places = sorted(label_map.values(), key=str)
    if not all(isinstance(place, int) and not isinstance(place, bool) for place in places) or sorted(places) != list(range(len(label_map))):
        raise ArtefactError(f"{path / LABELS}: the indices are not 0 to {len(label_map) - 1}, each once.", "Restore the file.")
    from_map = [name for name, _ in sorted(label_map.items(), key=lambda item: item[1])]
    domains = meta.get("domains", from_map)
    if not isinstance(domains, list) or domains != from_map:
        differing = next(
            (f"position {i}: {a!r} and {b!r}" for i, (a, b) in enumerate(zip(domains, from_map, strict=False)) if a != b),
            f"{len(domains)} and {len(from_map)} names",
        )
        raise ArtefactError(
            f"{path}: {META} and {LABELS} name different domains ({differing}).", "The two files are of different versions; restore both."
        )
    if meta.get("label_map", label_map) != label_map:
        raise ArtefactError(f"{path}: label_map in {META} is not {LABELS}.", "The two files are of different versions; restore both.")
    return from_map


def write_router(
    path: Path, head: Head, domains: list[str], meta: dict[str, Any], metrics: dict[str, Any] | None = None, lexical: Lexical | None = None
) -> RouterFolder:
    """Write aside, read back, compare, rename. ``path`` is replaced whole or left as it was."""
    from safetensors.numpy import save_file

    label_map = {domain: place for place, domain in enumerate(domains)}
    full = {
        "embedding_dim": head.dim,
        "hidden_dim": head.hidden,
        "num_domains": head.domains,
        "domains": domains,
        "label_map": label_map,
    } | meta
    with folder_aside(path) as aside:
        tensors = dict(zip(KEYS, (head.w0, head.b0, head.w3, head.b3), strict=True))
        save_file({key: np.ascontiguousarray(value, dtype=np.float32) for key, value in tensors.items()}, aside / WEIGHTS)
        (aside / WEIGHTS).chmod(0o644)  # safetensors writes it readable by its owner alone; a gateway runs as somebody else
        if lexical is not None:
            write_lexical(aside / LEXICAL, lexical)
            named = {"file": LEXICAL, "sha256": sha256_file(aside / LEXICAL), "parameters": lexical.parameters, "ngrams": len(lexical.keys)}
            full = full | {OURS: full.get(OURS, {}) | {"lexical": full.get(OURS, {}).get("lexical", {}) | named}}
        write_json(aside / META, full)
        write_json(aside / LABELS, label_map)
        if metrics is not None:
            write_json(aside / METRICS, metrics)
        back = read_router(aside)
        if back.domains != domains or not all(
            np.array_equal(a, b)
            for a, b in zip((head.w0, head.b0, head.w3, head.b3), (back.head.w0, back.head.b0, back.head.w3, back.head.b3), strict=True)
        ):
            raise ArtefactError(f"{path}: what was written does not read back the same.", "Check the disk.")
    return read_router(path)
