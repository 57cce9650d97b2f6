"""What every use case needs open: paths, settings, taxonomy, routers, encoders, the corpus with its vectors."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lab.corpus.read import read_corpus
from lab.corpus.rows import Reading, Row
from lab.curation.intake import import_shipped
from lab.curation.taxonomy_store import mirror
from lab.database.connect import Database
from lab.errors import ArtefactError, EncoderError, InputError
from lab.files import read_json, sha256_file
from lab.home import Home
from lab.release.gateway import mirrored
from lab.release.versions import Version, list_versions
from lab.router.folder import META, OURS, WEIGHTS, stamp
from lab.router.router import Router
from lab.settings import Settings
from lab.taxonomy import Backends, Taxonomy
from lab.text.adapted import Learnt, kept, learnt
from lab.text.encoder import AUTO, Encoder, Source, find_source
from lab.text.open_encoder import as_named, open_encoder
from lab.text.vectors import VectorCache

Progress = Callable[[str, int, int], None]
REFERENCE = "fp32"
"""Corpus vectors, training and evaluation use this precision; ``Settings.precision`` answers typed prompts."""

DOMAINS, CATEGORIES = "domains", "categories"
"""Kinds of routers: the product's own, and those that tell a selector's categories apart."""


@dataclass(frozen=True)
class CorpusIndex:
    """The shipped corpus with its reference vectors (n, d) and split sides."""

    rows: list[Row]
    splits: list[str]
    vectors: np.ndarray
    by_id: dict[str, int]

    @cached_property
    def texts(self) -> list[str]:
        return [row.text for row in self.rows]


@dataclass(frozen=True)
class Named:
    """A version as it is called here. ``shipped``: it is read from models/routers, under that name. ``former``: it was shipped once."""

    name: str
    path: Path
    shipped: bool
    former: bool


def _called(version: Version) -> str:
    return str(version.about.get("name") or version.short)


class Opening:
    """Opens each thing once, under a lock; what it hands out is immutable."""

    def __init__(self, home: Home | None = None, settings: Settings | None = None, say: Callable[[str], None] = lambda line: None) -> None:
        self.home = home or Home.from_environment()
        self.settings = settings or Settings.from_environment()
        self.say = say
        self._lock = threading.RLock()
        self._routers: dict[tuple, Router] = {}
        self._encoders: dict[tuple[str, str], Encoder] = {}
        self._indexes: dict[str, CorpusIndex] = {}
        self._predictions = {}
        self._kinds: dict[tuple, str] = {}
        self._live: dict[str, Any] = {}
        self._known_logits: dict[str, dict[str, Any]] = {}
        self._version_names: tuple[int, dict[str, Named]] | None = None
        self._files: dict[Path, tuple[Any, Any]] = {}

    @property
    def taxonomy(self) -> Taxonomy:
        """The shipped one, or the newest that a maintainer has made of it."""
        return self._newest(self.home.live_taxonomy, self.home.taxonomy, Taxonomy.load)

    @property
    def backends(self) -> Backends:
        return self._newest(self.home.live_backends, self.home.backends, Backends.load)

    def _newest(self, live: Path, shipped: Path, load: Callable[[Path], Any]) -> Any:
        """What is in ``live``, else in ``shipped``; read again when the file changes."""
        try:
            path, read = live, os.stat(live)
        except (FileNotFoundError, NotADirectoryError):
            path, read = shipped, None
        key = (path, read and (read.st_mtime_ns, read.st_size, read.st_ino))
        known = self._files.get(shipped)
        if known is None or known[0] != key:
            known = self._files[shipped] = (key, load(path))
        return known[1]

    @cached_property
    def vectors(self) -> VectorCache:
        return VectorCache(self.home.vectors)

    @cached_property
    def recipes(self):
        from lab.router.recipe import read_recipes

        return read_recipes(self.home.project / "models" / "recipes.yaml")

    @cached_property
    def corpus(self) -> Reading:
        return read_corpus(self.home.corpus)

    @cached_property
    def frozen_split(self) -> dict[str, str]:
        from lab.corpus.split import read_frozen

        return read_frozen(self.home.corpus / "split.json")

    @cached_property
    def database(self) -> Database:
        """What people write. At the first start the shipped corpus is brought in."""
        with self._lock:
            database = Database(self.settings.database_url or self.home.database)
            import_shipped(database, self.corpus.rows, self.frozen_split, Taxonomy.load(self.home.taxonomy))
            with database.read() as connection:
                mirror(connection, self.home.live_taxonomy, self.home.live_backends)
            return database

    # routers and encoders

    def shipped_names(self, kind: str = DOMAINS) -> list[str]:
        """Shipped routers, the default first. ``kind``: what they tell apart, as the lab's key of meta.json says; domains if it does not."""
        folders = [path for path in self.home.routers.iterdir() if (path / WEIGHTS).is_file()] if self.home.routers.is_dir() else []
        names = [path.name for path in folders if self._kind(path) == kind]
        return sorted(names, key=lambda name: (name != self.settings.default_router, name))

    def _kind(self, path: Path) -> str:
        key = (path, *stamp(path))
        if key not in self._kinds:
            try:
                ours = read_json(path / META).get(OURS) or {}
                self._kinds[key] = str(ours.get("kind") or DOMAINS)
            except (ArtefactError, AttributeError):  # a damaged folder is listed; opening it says what is wrong
                self._kinds[key] = DOMAINS
        return self._kinds[key]

    def router_names(self) -> list[str]:
        """What can be looked at: the one that serves first, then the shipped routers, then versions, newest first."""
        serving = self.serving_name()
        former = {one.name for one in self._known_versions().values() if one.former} - {serving}
        names = [*self.shipped_names(), *(name for name in self._version_paths() if name not in former)]
        return sorted(names, key=lambda name: name != serving)

    def _known_versions(self) -> dict[str, Named]:
        """Id → version with the one name it has everywhere: where several share one, all but the router that is shipped now get their id's beginning."""
        root = self.home.versions
        try:
            key = os.stat(root).st_mtime_ns
        except (FileNotFoundError, NotADirectoryError):
            return {}
        if self._version_names is None or self._version_names[0] != key:
            found = [one for one in list_versions(root) if isinstance(one, Version)]
            found.sort(key=lambda one: str(one.about.get("made_at_utc", "")), reverse=True)
            taken = Counter([*(_called(one) for one in found if not self._is_shipped_now(one)), *self.shipped_names()])
            self._version_names = (key, {one.id: self._named(one, taken) for one in found})
        return self._version_names[1]

    def _named(self, version: Version, taken: Counter[str]) -> Named:
        name, shipped = _called(version), self._is_shipped_now(version)
        return Named(name if shipped or taken[name] == 1 else f"{name} {version.short}", version.path, shipped, not shipped and version.about.get("origin") == "shipped")

    def _is_shipped_now(self, version: Version) -> bool:
        """Whether the project ships just this router; after an upgrade a version that it shipped before is one of its own."""
        folder = self.home.routers / _called(version)
        if version.about.get("origin") != "shipped" or not (folder / WEIGHTS).is_file():
            return False
        return all(sha256_file(folder / name) == version.files[name][0] for name in (WEIGHTS, META))

    def _version_paths(self) -> dict[str, Path]:
        """Name → folder of the versions that are not shipped, newest first."""
        return {one.name: one.path for one in self._known_versions().values() if not one.shipped}

    def serving_name(self) -> str:
        """The name of the router that answers when none is named: the champion, or before any promotion the default one."""
        named = self._known_versions().get(mirrored(self.home.serving) or "")
        return named.name if named else self.settings.default_router

    def router(self, name: str | Path | None = None) -> Router:
        """A shipped router or a version by name, or any router folder by path; the one that serves if none is named."""
        given = str(name or self.serving_name())
        shipped = (*self.shipped_names(), *self.shipped_names(CATEGORIES))
        known = {one: self.home.routers / one for one in shipped} | self._version_paths()
        path = known.get(given, Path(given).expanduser())
        if given not in known and not path.exists():
            raise InputError(f"There is no router '{given}'.", f"Known are: {', '.join(self.router_names()) or 'none'}; or give the path of a router folder.")
        try:
            return self._loaded(path.resolve(), given if given in known else path.resolve().name)
        except ArtefactError:
            if name is not None or given in self.shipped_names():
                raise
            return self._loaded(self.home.serving.resolve(), given)  # the version's folder is damaged: its copy for the gateway keeps serving

    def _loaded(self, path: Path, name: str) -> Router:
        key = (path, *stamp(path))
        with self._lock:
            if key not in self._routers:
                self._routers[key] = Router.load(path, name)
            return self._routers[key]

    def encoder(self, name: str, precision: str) -> Encoder:
        """Opened once a process. ``Settings.encoder`` overrides the name (e.g. a local folder of the same model)."""
        name = self.settings.encoder or name
        with self._lock:
            if (name, precision) not in self._encoders:
                self._encoders[name, precision] = as_named(name, open_encoder(name, self.home.encoders, precision, self.say, self.home.adapted))
            return self._encoders[name, precision]

    def encoder_source(self, name: str) -> Source:
        """The files of what :meth:`encoder` opens."""
        return find_source(self.settings.encoder or name, self.home.adapted)

    def learnt(self, encoder_name: str) -> Learnt | None:
        """What the encoder learnt from labels, None if nothing: only then a head that has not seen a prompt makes a router that has not."""
        name = self.settings.encoder or encoder_name
        return learnt(kept(name, self.home.adapted) or Path(name).expanduser())  # one from a package or a hub is no folder here, and has read no label of ours

    def precision(self, router: Router | None = None) -> str:
        """What serves: ``Settings.precision``; where that is left to the lab, int8-fast for a router that it is faithful to, int8 otherwise."""
        if self.settings.precision != AUTO:
            return self.settings.precision
        if router is not None and router.faithful("int8-fast") and self._is_its_own(router, "int8-fast"):
            return "int8-fast"
        return "int8"

    def _is_its_own(self, router: Router, precision: str) -> bool:
        """Whether the encoder is here at that precision, and is the one that the router's report was made with (ROUTER_LAB_ENCODER may name another)."""
        try:
            return self.encoder(router.encoder_name, precision).id == (router.metrics or {})["bound_to"].get("encoder_id")
        except EncoderError:
            return False

    def serving_encoder(self, router: Router) -> Encoder:
        encoder = self.encoder(router.encoder_name, self.precision(router))
        if encoder.dim != router.head.dim:
            raise EncoderError(
                f"Router {router.name} reads vectors of {router.head.dim} numbers, its encoder {encoder.name} gives {encoder.dim}.",
                "Set embedding_model in meta.json to the encoder it was trained on, and unset ROUTER_LAB_ENCODER if it is another.",
            )
        return encoder

    def _serving_encoders(self, name: str) -> tuple[Encoder, ...]:
        """The quantised encoders that passed their check on this machine."""
        out = []
        for precision in ("int8", "int8-fast"):
            try:
                out.append(self.encoder(name, precision))
            except EncoderError as error:
                self.say(f"Drift of {precision} is not measured: {error.what}")
        return tuple(out)

    def corpus_index(self, encoder_name: str, progress: Progress | None = None) -> CorpusIndex:
        encoder = self.encoder(encoder_name, REFERENCE if self.settings.precision != "torch" else "torch")
        with self._lock:
            if encoder.id not in self._indexes:
                rows = self.corpus.rows
                vectors = self.vectors.encode(
                    encoder, [row.text for row in rows], (lambda done, of: progress("encode the corpus", done, of)) if progress else None
                )
                splits = [self.frozen_split.get(row.id, "") for row in rows]
                self._indexes[encoder.id] = CorpusIndex(rows, splits, vectors, {row.id: n for n, row in enumerate(rows)})
            return self._indexes[encoder.id]
