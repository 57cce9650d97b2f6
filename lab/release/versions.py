"""Immutable versions: a folder whose name is the hash of its manifest, and whose manifest holds the hash of every other file."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lab.errors import ArtefactError, InputError
from lab.files import canonical, make_folder, sha256_bytes, sha256_file
from lab.release.disk import alone, sync_folder, write_synced
from lab.release.snapshot import CORPUS, LABELS, Snapshot, read_snapshot
from lab.router.router import Router

MANIFEST, ABOUT = "manifest.json", "version.json"
SCRATCH, LOCK = ".publish-", ".lock"
FORMAT = 1
MANIFEST_KEYS = ("format", "kind", "files")

Progress = Callable[[str, int, int], None]


def silent(stage: str, done: int, of: int) -> None:
    """The progress that nobody watches."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a version folder; ``file`` is "" for the folder itself."""

    file: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}" if self.file else self.what


@dataclass(frozen=True)
class Version:
    """``files``: name → (sha256, size in bytes). ``about`` is version.json: kind, origin, parent and what else the publisher stated."""

    id: str
    path: Path
    kind: str
    files: dict[str, tuple[str, int]]
    about: dict[str, Any]

    @property
    def short(self) -> str:
        return self.id[:12]

    @cached_property
    def router(self) -> Router:
        """Read from the folder; its metrics.json and out-of-fold predictions are found beside it."""
        return Router.load(self.path, self.short)

    @cached_property
    def snapshot(self) -> Snapshot | None:
        """The corpus it was trained on, None for an imported version without one."""
        if CORPUS not in self.files or LABELS not in self.files:
            return None
        return read_snapshot({name: (self.path / name).read_bytes() for name in (CORPUS, LABELS)})


@dataclass(frozen=True)
class Broken:
    """A folder in the place of a version that cannot be used, and why."""

    id: str
    path: Path
    problems: list[Problem]


def publish(
    root: Path, source: Path, *, about: Mapping[str, Any] | bytes, extra: Mapping[str, bytes] | None = None, kind: str = "router",
    check: Callable[[Path], None] | None = None, progress: Progress = silent,
) -> Version:  # fmt: skip
    """Copy the files of ``source`` and ``extra`` (name → bytes) into a new version under ``root``: whole, checked, or not at all.

    Written aside, synced, hashed, read back by ``check`` (which raises if the copy does not answer like the source), renamed. The
    same content gives the same id and is kept once. ``about`` becomes version.json; bytes are taken as they are (a version that moves
    in from elsewhere). ``progress`` is told each step and may raise to cancel. What a killed publisher left behind is removed here.
    """
    chosen = {path.name: path for path in sorted(source.iterdir()) if path.is_file() and not path.name.startswith(".")}
    extra = dict(extra or {}) | {ABOUT: about if isinstance(about, bytes) else _pretty({"format": FORMAT, "kind": kind, **about})}
    make_folder(root)
    try:
        with alone(root / LOCK):
            sweep(root)
            aside = Path(tempfile.mkdtemp(dir=root, prefix=SCRATCH))
            try:
                return _publish(root, aside, chosen, extra, kind, check, progress)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise ArtefactError(
            f"The version could not be written under {root}: {error.strerror or error}.",
            "Nothing was left behind. Make room (ROUTER_LAB_HOME moves the state folder) and publish again.",
        ) from error


def _publish(
    root: Path, aside: Path, chosen: dict[str, Path], extra: dict[str, bytes], kind: str, check: Callable[[Path], None] | None, progress: Progress
) -> Version:  # fmt: skip
    names = sorted((set(chosen) | set(extra)) - {MANIFEST})
    for done, name in enumerate(names):
        progress("copy", done, len(names))
        write_synced(aside / name, extra[name] if name in extra else chosen[name].read_bytes())
    files = {name: {"sha256": sha256_file(aside / name), "size_bytes": (aside / name).stat().st_size} for name in names}
    manifest = canonical({"format": FORMAT, "kind": kind, "files": files})
    write_synced(aside / MANIFEST, manifest)
    progress("check", 0, 1)
    if check:
        check(aside)
    if kind == "router":
        _consistent(aside, files)
    sync_folder(aside)
    version_id = sha256_bytes(manifest)
    problems = verify(aside, version_id)
    if problems:
        raise ArtefactError(f"The version does not read back as it was written: {problems[0]}.", "Check the disk.")
    target = root / version_id
    progress("check", 1, 1)
    if target.exists() and verify(target):  # a damaged copy of what is at hand in a sound one
        shutil.rmtree(target)
    if not target.exists():
        aside.chmod(0o755)
        os.replace(aside, target)
        sync_folder(root)
    return read_version(target)


def sweep(root: Path) -> list[str]:
    """Remove what killed publishers left; call it with the lock held (:func:`publish` does)."""
    left = [path for path in root.glob(f"{SCRATCH}*") if path.is_dir()]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return [path.name for path in left]


def _consistent(folder: Path, files: Mapping[str, Any]) -> None:
    """ArtefactError if the parts of a router version contradict each other: weights, metrics, recorded corpus."""
    router = Router.load(folder)
    _ = router.metrics  # refused if made from other weights
    if CORPUS in files and LABELS in files:
        snapshot = read_snapshot({name: (folder / name).read_bytes() for name in (CORPUS, LABELS)})
        for key in ("corpus_sha256", "split_sha256"):
            trained = router.ours.get(key)
            if trained is not None and trained != getattr(snapshot, key):
                raise ArtefactError(
                    f"The router was trained on {key} {trained[:12]}, the snapshot is of {getattr(snapshot, key)[:12]}.",
                    "Publish the snapshot of the training run.",
                )


def same_scores(source: Path, scores: Callable[[Router], Any]) -> Callable[[Path], None]:
    """A ``check`` for :func:`publish`: ``scores(router)`` of the copy must equal, bit for bit, those of ``source``.

    ``scores`` maps a router to its (n, N) logits on prompts of the caller's choice.
    """
    import numpy as np

    expected = scores(Router.load(source))

    def check(copy: Path) -> None:
        if not np.array_equal(expected, scores(Router.load(copy))):
            raise ArtefactError("The published copy does not give the scores of the trained router.", "Check the disk and publish again.")

    return check


def read_version(path: Path) -> Version:
    """Names and sizes are compared, hashes are not (:func:`verify` does). ArtefactError says what is wrong."""
    manifest, problems = _manifest(path)
    if not problems:
        problems = _listing(path, manifest)
    try:
        about = json.loads((path / ABOUT).read_bytes()) if not problems else {}
        if not isinstance(about, dict):
            problems = [Problem(ABOUT, "is no object")]
    except (OSError, ValueError) as error:
        problems = [Problem(ABOUT, f"cannot be read ({error})")]
    if problems:
        raise ArtefactError(f"Version {path.name[:12]} is damaged: {problems[0]}.", "Verify it; restore the folder from a copy or the hub.")
    files = {name: (one["sha256"], one["size_bytes"]) for name, one in manifest["files"].items()}
    return Version(path.name, path, manifest["kind"], files, about)


def verify(path: Path, version_id: str | None = None) -> list[Problem]:
    """Every hash anew: the manifest against the folder's name (or ``version_id``), each file against the manifest. Empty: sound."""
    manifest, problems = _manifest(path, version_id)
    if problems:
        return problems
    problems = _listing(path, manifest)
    listed = {problem.file for problem in problems}
    for name, stated in manifest["files"].items():
        if name in listed:
            continue
        try:
            found = sha256_file(path / name)
        except OSError as error:
            problems.append(Problem(name, f"cannot be read ({error.strerror})"))
            continue
        if found != stated["sha256"]:
            problems.append(Problem(name, f"sha256 is {found[:12]}, the manifest states {stated['sha256'][:12]}"))
    return problems


def _manifest(path: Path, version_id: str | None = None) -> tuple[dict[str, Any], list[Problem]]:
    try:
        data = (path / MANIFEST).read_bytes()
    except OSError as error:
        return {}, [Problem(MANIFEST, f"cannot be read ({error.strerror})")]
    wanted = version_id or path.name
    if sha256_bytes(data) != wanted:
        return {}, [Problem(MANIFEST, f"its sha256 is {sha256_bytes(data)[:12]}, the version is called {wanted[:12]}")]
    try:
        manifest = json.loads(data)
        fits = (
            isinstance(manifest, dict)
            and set(manifest) == set(MANIFEST_KEYS)
            and manifest["format"] == FORMAT
            and all(isinstance(one["sha256"], str) and isinstance(one["size_bytes"], int) for one in manifest["files"].values())
            and all(name == Path(name).name and not name.startswith(".") for name in manifest["files"])
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        fits = False
    return (manifest, []) if fits else ({}, [Problem(MANIFEST, f"is no manifest of format {FORMAT}")])


def _listing(path: Path, manifest: Mapping[str, Any]) -> list[Problem]:
    there = {one.name: one for one in path.iterdir()} if path.is_dir() else {}
    stated = set(manifest["files"]) | {MANIFEST}
    problems = [Problem(name, "is missing") for name in sorted(stated - set(there))]
    problems += [Problem(name, "does not belong to the version") for name in sorted(set(there) - stated)]
    for name, one in manifest["files"].items():
        if name in there and (there[name].is_symlink() or not there[name].is_file()):
            problems.append(Problem(name, "is no plain file"))
        elif name in there and there[name].stat().st_size != one["size_bytes"]:
            problems.append(Problem(name, f"has {there[name].stat().st_size} bytes, the manifest states {one['size_bytes']}"))
    return problems


def list_versions(root: Path) -> list[Version | Broken]:
    """Every folder under ``root`` that is a version or claims to be one, by id. Hashes are not computed here."""
    out: list[Version | Broken] = []
    for path in sorted(root.iterdir()) if root.is_dir() else []:
        if path.name.startswith(".") or not path.is_dir():
            continue
        try:
            out.append(read_version(path))
        except ArtefactError as error:
            out.append(Broken(path.name, path, verify(path) or [Problem("", error.what)]))
    return out


def find_version(root: Path, given: str) -> Version:
    """By id or by a prefix of at least 6 characters. InputError if there is none or more than one."""
    names = (
        [path.name for path in root.iterdir() if path.is_dir() and path.name.startswith(given)] if root.is_dir() and len(given) >= 6 else []
    )
    if len(names) != 1 or given.startswith("."):
        found = f"{len(names)} versions begin with it" if names else "none begins with it"
        raise InputError(f"There is no version '{given[:64]}': {found}.", "Name a listed version by 6 or more characters of its id.")
    return read_version(root / names[0])


def _pretty(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True, allow_nan=False) + "\n").encode()
