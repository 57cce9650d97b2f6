"""Versions as others receive them: transparency records, zips for a gateway, the Hugging Face Hub."""

from __future__ import annotations

import io
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lab.curation.state import Actor
from lab.database.connect import now
from lab.errors import EncoderError, InputError
from lab.files import write_bytes
from lab.release import gateway, hub
from lab.release.claims import Contradiction
from lab.release.facts import Facts, count_parameters, facts_of
from lab.release.lineage import Deployment
from lab.release.provider import read_provider
from lab.release.records import check_records, diff_records, export_records, records
from lab.release.versions import Broken, Version
from lab.router.folder import METRICS
from lab.router.lexical_file import LEXICAL
from lab.use_cases.examining import Examining
from lab.use_cases.opening import Progress

TAKEN = (*gateway.GATEWAY_FILES, LEXICAL, METRICS)
"""What is read of an uploaded router."""
MAX_UPLOAD_BYTES = 200_000_000
STAMP = (2020, 1, 1, 0, 0, 0)
"""Time of each file in a zip, so that the same version gives the same bytes."""


@dataclass(frozen=True)
class Measured:
    """The figures of a version's own test report, with what they are bound to."""

    n: int
    top1: float
    low: float
    high: float
    macro_f1: float
    data_sha256: str


class Recording(Examining):
    """A part of :class:`lab.workbench.Workbench`."""

    @cached_property
    def _measured(self) -> dict[str, Measured | None]:
        return {}

    def measured(self, version: Version | Broken) -> Measured | None:
        """None where nothing was measured. Versions never change, so it is read once."""
        if isinstance(version, Broken):
            return None
        if version.id not in self._measured:
            self._measured[version.id] = _measured(version.router.metrics or {})
        return self._measured[version.id]

    def lineage_of(self, given: str) -> list[Version | str]:
        """The version, its parent, and so on; a parent that is not here any more is its id alone."""
        chain: list[Version | str] = [self.version(given)]
        known = {one.id: one for one in self._sound_now()}
        while isinstance(chain[-1], Version) and (parent := chain[-1].about.get("parent")) and parent not in {getattr(one, "id", one) for one in chain}:
            chain.append(known.get(parent, str(parent)))
        return chain

    # records

    def version_facts(self, given: str) -> Facts:
        version = self.version(given)
        try:
            parameters = count_parameters(self.encoder_source(version.router.encoder_name).weights)
        except EncoderError:
            parameters = None  # the records say that it is not known
        return facts_of(version, parameters)

    def _deployment(self, version: Version) -> Deployment:
        last = next((one for one in self.promotion_history() if one.version == version.id), None)
        return Deployment(last.at_utc, last.replaced or None) if last else Deployment()

    def version_records(self, given: str) -> dict[str, str]:
        """File name → text. ArtefactError if a figure in them, or in the provider's words, is not the computed one."""
        facts = self.version_facts(given)
        made = records(facts, read_provider(self.home.provider), self._deployment(facts.version))
        check_records(facts, made)
        return made

    def export_version_records(self, given: str, folder: Path, edited: Mapping[str, str] | None = None) -> list[Path]:
        facts = self.version_facts(given)
        return export_records(facts, read_provider(self.home.provider), folder, self._deployment(facts.version), edited)

    def diff_version_records(self, given: str, earlier: Mapping[str, str]) -> list[Contradiction]:
        """Earlier records (file name → text): each figure that they state twice differently, or that is not so of this version."""
        return diff_records(earlier, self.version_facts(given))

    # the hub

    def push_version(self, actor: Actor, given: str, repository: str, private: bool = True, endpoint: str | None = None) -> hub.Pushed:
        """Every file of the version with its records beside it. The token is the one that huggingface_hub knows."""
        self.require(actor, "maintainer")
        return hub.push(self.version(given), repository, self.version_records(given), private=private, endpoint=endpoint)

    def pull_version(self, actor: Actor, repository: str, revision: str | None = None, endpoint: str | None = None) -> Version:
        self.require(actor, "maintainer")
        about = {"name": repository.rpartition("/")[2], "made_at_utc": now(), "who": actor.name, "verified": actor.verified}
        return hub.pull(self._registry, repository, revision, endpoint=endpoint, about=about)

    # zips

    def gateway_zip(self, given: str) -> bytes:
        """What a gateway reads of a version (lab.release.gateway); the same version gives the same bytes."""
        return _zip(gateway.gateway_bytes(self.version(given)))

    def records_zip(self, given: str) -> bytes:
        return _zip({name: text.encode() for name, text in self.version_records(given).items()})

    def import_upload(self, actor: Actor, files: Mapping[str, bytes], name: str = "", progress: Progress | None = None) -> Version:
        """A router as uploaded: its three files, or one zip of them. What else is in it is left out and named in the version."""
        self.require(actor, "maintainer")
        if len(files) == 1 and next(iter(files)).lower().endswith(".zip"):
            files = _unzipped(*next(iter(files.items())))
        missing = [one for one in gateway.GATEWAY_FILES if one not in files]
        if missing:
            raise InputError(f"{', '.join(missing)} is missing among {', '.join(sorted(files)) or 'no files'}.", "Give the three files of a router, or one zip of them.")
        with tempfile.TemporaryDirectory(prefix="router-lab-") as scratch:
            folder = Path(scratch) / "router"
            for one, content in files.items():
                if one in TAKEN:
                    write_bytes(folder / one, content)
            about: dict[str, Any] = {"name": name.strip() or f"imported {now()[:16].replace('T', ' ')}", "made_at_utc": now(), "who": actor.name, "verified": actor.verified}
            about |= {"not_read": sorted(set(files) - set(TAKEN))} if set(files) - set(TAKEN) else {}
            return gateway.import_folder(self._registry, folder, about=about)


def _measured(metrics: Mapping[str, Any]) -> Measured | None:
    try:
        low, high = metrics["intervals"]["top1"]
        return Measured(int(metrics["n"]), float(metrics["top1"]), float(low), float(high), float(metrics["macro_f1"]), str(metrics["bound_to"]["data_sha256"]))
    except (KeyError, TypeError, ValueError):  # an imported report may lack them
        return None


def _zip(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name, STAMP), content, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _unzipped(name: str, data: bytes) -> dict[str, bytes]:
    """File name without folders → bytes. InputError for what is no zip, is too large unpacked, or names a file twice."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            inside = [one for one in archive.infolist() if not one.is_dir()]
            total = sum(one.file_size for one in inside)
            names = [Path(one.filename).name for one in inside]
            if total > MAX_UPLOAD_BYTES:
                raise InputError(f"{name} holds {total:,} bytes unpacked.", f"At most {MAX_UPLOAD_BYTES:,} are read.")
            if len(set(names)) < len(names):
                raise InputError(f"{name} names a file twice.", "Zip one router folder alone.")
            return {Path(one.filename).name: archive.read(one) for one in inside}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise InputError(f"{name} cannot be read as a zip ({error}).", "Zip the three files of a router.") from None
