"""The plain folder that an existing gateway loads (router.safetensors, meta.json, label_map.json): out of a version, and into one."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lab.errors import ArtefactError
from lab.files import folder_aside, make_folder, read_json, sha256_bytes, sha256_file, write_bytes, write_json
from lab.release.disk import alone, sync_folder
from lab.release.versions import ABOUT, MANIFEST, Progress, Version, publish, read_version, silent, verify
from lab.router.folder import LABELS, META, METRICS, OURS, WEIGHTS, read_router
from lab.router.lexical_file import LEXICAL
from lab.text.adapted import NAME

GATEWAY_FILES = (WEIGHTS, META, LABELS)
GATEWAY_KEYS = {"0.weight", "0.bias", "3.weight", "3.bias"}
"""The tensors of the artefact (spec router.md §1); with another set an existing gateway cannot load the file."""
SOURCE = "source.json"
"""Beside the three files: which version they are of, and their hashes. A gateway does not read it."""


def gateway_bytes(version: Version) -> dict[str, bytes]:
    """The three files, read once and held to the manifest. ArtefactError for a damaged version or one that a gateway cannot load.

    The lexical part of a hybrid router comes along for readers that know it; a plain gateway loads the embedding head alone.
    """
    missing = [name for name in GATEWAY_FILES if name not in version.files]
    if missing:
        raise ArtefactError(f"Version {version.short} has no {', '.join(missing)}.", "Only a router can be exported for a gateway.")
    out = {}
    for name in (*GATEWAY_FILES, *([LEXICAL] if LEXICAL in version.files else [])):
        out[name] = (version.path / name).read_bytes()
        if sha256_bytes(out[name]) != version.files[name][0]:
            raise ArtefactError(
                f"Version {version.short} is damaged: {name} is not what was published.", "Promote another version, or restore this one."
            )
    found = _tensors(out[WEIGHTS])
    if found != GATEWAY_KEYS:
        raise ArtefactError(
            f"Version {version.short} holds the tensors {', '.join(sorted(found))[:120]}, a gateway reads {', '.join(sorted(GATEWAY_KEYS))}.",
            "Export a version with a plain two-layer head; this one can be served by the lab alone.",
        )
    return out


def plain_loss(version: Version) -> str:
    """What a gateway that loads router.safetensors alone loses of a router with a lexical part, in a sentence; "" where it loses nothing."""
    return " ".join(one for one in (_without_ngrams(version), _with_encoder(version)) if one)


def _with_encoder(version: Version) -> str:
    name = version.router.encoder_name
    return f"It reads the adapted encoder {name}, whose folder the serving folder and export-router have beside the files, a zip and a push have not." if NAME.fullmatch(name) else ""


def _without_ngrams(version: Version) -> str:
    if LEXICAL not in version.files:
        return ""
    alone = (version.router.metrics or {}).get("head_alone")
    if not alone:
        return "A gateway that loads router.safetensors alone answers without the n-grams; what it loses by that was not measured."
    first, second = (f"{one['top1']:.1%} [{one['intervals']['top1'][0]:.1%}, {one['intervals']['top1'][1]:.1%}]" for one in (alone, alone["whole"]))
    return f"A gateway that loads router.safetensors alone answers without the n-grams: top-1 {first} instead of {second} on the same {alone['n']:,} test prompts."


def _tensors(data: bytes) -> set[str]:
    import json

    size = int.from_bytes(data[:8], "little")
    return {key.removeprefix("net.") for key in json.loads(data[8 : 8 + size]) if key != "__metadata__"}


def export(version: Version, folder: Path, encoder: Path | None = None) -> Path:
    """A new plain folder with the three files, and the adapted ``encoder`` that they name. ArtefactError if ``folder`` holds something else."""
    data = gateway_bytes(version)
    if folder.is_symlink() or (
        folder.exists() and (not folder.is_dir() or {one.name for one in folder.iterdir()} - {*GATEWAY_FILES, LEXICAL, SOURCE, *([encoder.name] if encoder else [])})
    ):
        raise ArtefactError(f"{folder} exists and is no exported router.", "Name a new folder, so that nothing is overwritten.")
    with folder_aside(folder) as aside:
        _fill(aside, version, data, encoder)
    return folder


def _fill(folder: Path, version: Version, data: Mapping[str, bytes], encoder: Path | None) -> None:
    if encoder is not None:
        shutil.copytree(encoder, folder / encoder.name)
    for name, content in data.items():
        write_bytes(folder / name, content)
    loss = plain_loss(version)
    said = {"version": version.id, "files": {name: sha256_bytes(content) for name, content in data.items()}}
    write_json(folder / SOURCE, said | ({"plain_gateway": loss} if loss else {}))


def mirror(path: Path, champion: Callable[[], Version], encoder_of: Callable[[Version], Path | None] = lambda version: None) -> Version:
    """Make ``path`` show the champion: a symbolic link, moved in one step from one complete folder to another.

    ``encoder_of`` says where the adapted encoder of a version is. ``champion`` is asked while other mirrors wait, so that after two promotions at once the folder shows what the last row says. A
    reader that resolves the link once (``os.path.realpath``) and then opens its files never reads a mix: the folder it entered stays,
    whole, until the promotion after the next. Nothing changes if the version is damaged.
    """
    make_folder(path.parent)
    if path.exists() and not path.is_symlink():
        raise ArtefactError(f"{path} is a folder of its own, not a mirror.", "Move it away; the mirror puts a link there.")
    store = path.with_name(f".{path.name}-versions")
    with alone(path.with_name(f".{path.name}.lock")):
        version = champion()
        data = gateway_bytes(version)
        shown = mirrored(path)
        if shown == version.id and not _differs(store / version.id, data):
            return version
        with folder_aside(store / version.id) as aside:
            _fill(aside, version, data, encoder_of(version))
        link = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
        link.symlink_to(os.path.join(store.name, version.id), target_is_directory=True)
        try:
            os.replace(link, path)
            sync_folder(path.parent)
        finally:
            link.unlink(missing_ok=True)
        for old in store.iterdir():
            if old.name not in (version.id, shown):
                shutil.rmtree(old, ignore_errors=True)
    return version


def _differs(folder: Path, data: Mapping[str, bytes]) -> bool:
    return any(not (folder / name).is_file() or sha256_file(folder / name) != sha256_bytes(content) for name, content in data.items())


def mirrored(path: Path) -> str | None:
    """The id of the version that the mirror shows, None if there is no mirror."""
    return Path(os.readlink(path)).name if path.is_symlink() else None


def read_mirror(path: Path) -> dict[str, bytes]:
    """The files as a gateway should read them: resolve the link once, read, compare with the hashes beside them."""
    folder = Path(os.path.realpath(path))
    stated = read_json(folder / SOURCE)["files"]
    out = {name: (folder / name).read_bytes() for name in {*GATEWAY_FILES, *stated}}
    wrong = [name for name, content in out.items() if sha256_bytes(content) != stated.get(name)]
    if wrong:
        raise ArtefactError(f"{path}: {', '.join(wrong)} does not have the hash that {SOURCE} states.", "Mirror the champion again.")
    return out


def import_folder(root: Path, folder: Path, *, about: Mapping[str, Any] | None = None, progress: Progress = silent) -> Version:
    """A router folder from elsewhere as a version of ``root``. A folder that is a sound version of this lab keeps its id.

    Any other is checked as an artefact, and what it cannot prove is listed under ``unknown`` in its version.json. Files that are
    neither the three of the format nor a metrics.json bound to these weights are left out and named under ``files_left_out``.
    """
    if (folder / MANIFEST).is_file() and not verify(folder, sha256_file(folder / MANIFEST)):
        return publish(root, folder, about=(folder / ABOUT).read_bytes(), kind=read_json(folder / MANIFEST)["kind"], progress=progress)
    router = read_router(folder)
    metrics, unbound = _metrics(folder, router.weights_sha256)
    own = (*GATEWAY_FILES, *([LEXICAL] if router.lexical else []))
    kept = {name: (folder / name).read_bytes() for name in own} | ({METRICS: metrics} if metrics else {})
    left_out = sorted(one.name + ("/" if one.is_dir() else "") for one in folder.iterdir() if one.name not in kept)
    stated = {
        **(about or {}),
        "origin": "imported",
        "unknown": [*unknown(router.meta, metrics is not None), *unbound],
        "files_left_out": left_out,
    }
    with tempfile.TemporaryDirectory() as scratch:
        for name, content in kept.items():
            (Path(scratch) / name).write_bytes(content)
        return publish(root, Path(scratch), about=stated, progress=progress)


def _metrics(folder: Path, weights_sha256: str) -> tuple[bytes | None, list[str]]:
    if not (folder / METRICS).is_file():
        return None, []
    bound = read_json(folder / METRICS)
    bound = bound.get("bound_to", {}).get("router_sha256") if isinstance(bound, dict) and isinstance(bound.get("bound_to"), dict) else None
    if bound == weights_sha256:
        return (folder / METRICS).read_bytes(), []
    return None, [f"the measurements: {METRICS} was made from other weights ({str(bound)[:12]}) and is left out"]


def unknown(meta: Mapping[str, Any], measured: bool) -> list[str]:
    """What a folder of this meta.json does not say or cannot prove, one clause each."""
    ours = meta.get(OURS) if isinstance(meta.get(OURS), dict) else {}
    asked = {
        "recipe": "how it was trained: no recipe", "corpus_sha256": "what it was trained on: no corpus hash, so test prompts may be among it",
        "split_sha256": "the split: no hash", "encoder_id": f"the exact encoder: only the name {meta.get('embedding_model') or '(none)'!s:.80} is given",
        "libraries": "the library versions", "calibration": "a calibration: raw scores only, no abstain threshold",
    }  # fmt: skip
    out = [clause for key, clause in asked.items() if not ours.get(key)]
    stated = [f"{key} {meta[key]:.4g}" for key in ("top1_acc", "top3_acc", "macro_f1") if isinstance(meta.get(key), int | float)]
    if not measured:
        out.append("its quality: nothing was measured here" + (f"; it states {', '.join(stated)}" if stated else ""))
    out.append("the labels it was trained on: no corpus snapshot")
    return out


def reread(root: Path, version: Version) -> Version:
    """The version with every hash checked again: what a promotion calls first. ArtefactError lists what is wrong."""
    problems = verify(root / version.id)
    if problems:
        raise ArtefactError(
            f"Version {version.short} is damaged: {'; '.join(map(str, problems[:3]))}.",
            "The champion keeps serving. Restore the version, or promote another.",
        )
    return read_version(root / version.id)
