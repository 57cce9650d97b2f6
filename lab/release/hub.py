"""Versions on the Hugging Face Hub, through huggingface_hub: push one as a model repository, pull one into the registry."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import ArtefactError, InputError
from lab.release.gateway import import_folder
from lab.release.versions import MANIFEST, Progress, Version, silent, verify


@dataclass(frozen=True)
class Pushed:
    """``commit`` is the hub's id of the revision that holds the version."""

    repository: str
    commit: str
    url: str


@contextmanager
def _told(repository: str, endpoint: str | None) -> Iterator[None]:
    """The hub's errors, and those of the HTTP client below it, as one sentence; none of them quotes the token."""
    from httpx2 import HTTPError

    try:
        yield
    except (OSError, ValueError, RuntimeError, HTTPError) as error:
        reason = next(iter(str(error).strip().splitlines()), "")[:200]
        raise ArtefactError(
            f"{repository} on {endpoint or 'the hub'}: {type(error).__name__}: {reason}",
            "Check the name, the network and the token (hf auth login, or HF_TOKEN); HF_HUB_OFFLINE must not be set.",
        ) from None


def _checked(repository: str) -> str:
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repository)
    except ValueError as error:
        raise InputError(f"'{repository[:96]}' is no repository: {error}", "Write owner/name.") from None
    return repository


def push(
    version: Version, repository: str, records: Mapping[str, str] | None = None, *, endpoint: str | None = None, token: str | bool | None = None,
    private: bool = True, progress: Progress = silent,
) -> Pushed:  # fmt: skip
    """Every file of a sound version, with ``records`` (file name → text, README.md among them) beside it, as one commit.

    A repository that does not exist is made, private unless told otherwise. The files of the version are uploaded as they are: a pull
    gives the same id. ``token`` None takes the one huggingface_hub knows.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    problems = verify(version.path)
    if problems:
        raise ArtefactError(f"Version {version.short} is damaged: {problems[0]}.", "It was not pushed. Restore the version.")
    taken = sorted(set(records or {}) & (set(version.files) | {MANIFEST}))
    if taken:
        raise InputError(f"{', '.join(taken)} is a file of the version and no record.", "Name the record otherwise.")
    api = HfApi(endpoint=endpoint, token=token)
    content: dict[str, bytes] = {name: (version.path / name).read_bytes() for name in (*version.files, MANIFEST)}
    content |= {name: text.encode() for name, text in (records or {}).items()}
    progress("push", 0, 1)
    with _told(_checked(repository), endpoint):
        api.create_repo(repository, private=private, exist_ok=True)
        done = api.create_commit(
            repository, [CommitOperationAdd(path_in_repo=name, path_or_fileobj=data) for name, data in sorted(content.items())],
            commit_message=f"Router version {version.id}",
        )  # fmt: skip
    progress("push", 1, 1)
    return Pushed(repository, str(done.oid), str(done.commit_url))


def pull(
    root: Path,
    repository: str,
    revision: str | None = None,
    *,
    endpoint: str | None = None,
    token: str | bool | None = None,
    about: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> Version:
    """A repository as a version under ``root``: under its own id if it holds a sound version of this lab, else imported with what is
    unknown about it (lab.release.gateway.import_folder). Files with code or pickles are not fetched."""
    from huggingface_hub import snapshot_download

    with tempfile.TemporaryDirectory() as scratch:
        progress("pull", 0, 1)
        with _told(_checked(repository), endpoint):
            snapshot_download(
                repository, revision=revision, local_dir=scratch, endpoint=endpoint, token=token, allow_patterns=["*.safetensors", "*.json", "*.jsonl", "*.npz", "*.md"],
            )  # fmt: skip
        progress("pull", 1, 1)
        folder = _without_records(Path(scratch))
        return import_folder(root, folder, about={**(about or {}), "pulled_from": repository, "revision": revision or "main"}, progress=progress)


def _without_records(folder: Path) -> Path:
    """If the folder is a version of this lab with records beside it, only what its manifest names is kept."""
    manifest = folder / MANIFEST
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # huggingface_hub's own notes
    try:
        named = set(json.loads(manifest.read_bytes())["files"]) | {MANIFEST}
    except (OSError, ValueError, KeyError, TypeError):
        return folder
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in named:
            path.unlink()
    return folder
