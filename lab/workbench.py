"""The use cases: pages, CLI and workers call these. Opens everything once; no algorithm of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.corpus.read import read_corpus
from lab.corpus.rows import Reading, Row
from lab.curation.selections import Selections
from lab.errors import ArtefactError, EncoderError, InputError, SettingsError
from lab.evaluating import REFERENCE, Evaluating, Progress
from lab.evaluation.probing import Probing
from lab.files import check_output
from lab.home import Home
from lab.router.calibrate import DEFAULT_TARGET
from lab.router.explain import Piece, leave_one_out
from lab.router.folder import WEIGHTS, stamp
from lab.router.router import Decision, Router, Scored
from lab.settings import Settings
from lab.taxonomy import Backends, Taxonomy
from lab.text.encoder import Encoder
from lab.text.language import detect
from lab.text.neighbours import nearest
from lab.text.open_encoder import open_encoder
from lab.text.prepare import is_cut, prepare, text_id
from lab.text.vectors import VectorCache

if TYPE_CHECKING:
    from lab.evaluation.maps import Job, Maps
    from lab.evaluation.projection import Layout


@dataclass(frozen=True)
class Route:
    """One prompt's way through one router. ``domains``: the top k as (domain, score, probability or None), by logit."""

    router: str
    router_sha256: str
    encoder_id: str
    precision: str
    domains: list[tuple[str, float, float | None]]
    selections: list[tuple[str, float]]
    decision: Decision
    backend: str | None
    specialist: str | None
    would_be_backend: str | None
    margin: float
    language: str
    cut: bool
    timings_ms: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        return {
            "router": self.router, "router_sha256": self.router_sha256, "encoder": {"id": self.encoder_id, "precision": self.precision},
            "domains": [{"domain": d, "score": round(s, 6), "probability": None if p is None else round(p, 6)} for d, s, p in self.domains],
            "selections": [{"domain": d, "score": round(s, 6)} for d, s in self.selections],
            "decision": {"domain": self.decision.domain, "abstained": self.decision.abstained, "reason": self.decision.reason, "threshold": self.decision.threshold},
            "backend": self.backend, "specialist": self.specialist, "margin": round(self.margin, 6), "language": self.language,
            "timings_ms": {key: round(value, 3) for key, value in self.timings_ms.items()},
        }  # fmt: skip


@dataclass(frozen=True)
class Neighbour:
    row: Row
    split: str
    cosine: float


@dataclass(frozen=True)
class CorpusIndex:
    """The shipped corpus with its reference vectors (n, d) and split sides."""

    rows: list[Row]
    splits: list[str]
    vectors: np.ndarray
    by_id: dict[str, int]


class Workbench(Evaluating, Probing):
    """Safe to share between threads: what it caches is immutable, and each cache is filled under a lock."""

    def __init__(self, home: Home | None = None, settings: Settings | None = None, say: Callable[[str], None] = lambda line: None) -> None:
        self.home = home or Home.from_environment()
        self.settings = settings or Settings.from_environment()
        self.say = say
        self._lock = threading.RLock()
        self._routers: dict[tuple, Router] = {}
        self._encoders: dict[tuple[str, str], Encoder] = {}
        self._indexes: dict[str, CorpusIndex] = {}
        self._predictions = {}

    @cached_property
    def taxonomy(self) -> Taxonomy:
        return Taxonomy.load(self.home.taxonomy)

    @cached_property
    def backends(self) -> Backends:
        return Backends.load(self.home.backends)

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
    def selections(self) -> Selections:
        return Selections(self.home.selections)

    # routers and encoders

    def router_names(self) -> list[str]:
        """Shipped routers, the default first."""
        names = (
            sorted(path.name for path in self.home.routers.iterdir() if (path / WEIGHTS).is_file()) if self.home.routers.is_dir() else []
        )
        return sorted(names, key=lambda name: (name != self.settings.default_router, name))

    def router(self, name: str | Path | None = None) -> Router:
        """A shipped router by name, or any router folder by path."""
        given = str(name or self.settings.default_router)
        shipped = self.home.routers / given
        path = shipped if given in self.router_names() else Path(given).expanduser()
        if path is not shipped and not path.exists():
            raise InputError(
                f"There is no router '{given}'.",
                f"Shipped are: {', '.join(self.router_names()) or 'none'}; or give the path of a router folder.",
            )
        key = (path.resolve(), *stamp(path))
        with self._lock:
            if key not in self._routers:
                self._routers[key] = Router.load(path.resolve(), given if path is shipped else path.resolve().name)
            return self._routers[key]

    def encoder(self, name: str, precision: str) -> Encoder:
        """Opened once a process. ``Settings.encoder`` overrides the name (e.g. a local folder of the same model)."""
        name = self.settings.encoder or name
        with self._lock:
            if (name, precision) not in self._encoders:
                self._encoders[name, precision] = open_encoder(name, self.home.encoders, precision, self.say)
            return self._encoders[name, precision]

    def serving_encoder(self, router: Router) -> Encoder:
        encoder = self.encoder(router.encoder_name, self.settings.precision)
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

    # prompt → decision

    def route(self, text: str, router: str | Path | Router | None = None, top_k: int = 5, target: float = DEFAULT_TARGET) -> Route:
        """Prepare, encode, score, calibrate, decide. InputError for a text that cannot be routed."""
        router = router if isinstance(router, Router) else self.router(router)
        encoder = self.serving_encoder(router)
        start = time.perf_counter()
        prepared = prepare(text)
        ready = time.perf_counter()
        vector = encoder.encode([prepared])[0]
        encoded = time.perf_counter()
        scored = router.score(vector)
        decision = router.decide(scored, target)
        done = time.perf_counter()
        timings = {
            "prepare": (ready - start) * 1e3,
            "encode": (encoded - ready) * 1e3,
            "head": (done - encoded) * 1e3,
            "total": (done - start) * 1e3,
        }
        return self._route(router, encoder, scored, decision, text, top_k, timings)

    def route_many(
        self,
        texts: Sequence[str],
        router: str | Path | Router | None = None,
        top_k: int = 5,
        target: float = DEFAULT_TARGET,
        progress: Progress | None = None,
    ) -> list[Route]:
        """As :meth:`route` for many; the encoder's work is shared out over the cores."""
        router = router if isinstance(router, Router) else self.router(router)
        encoder = self.serving_encoder(router)
        start = time.perf_counter()
        vectors = encoder.encode(texts, (lambda done, of: progress("route", done, of)) if progress else None)
        each = {"total": (time.perf_counter() - start) * 1e3 / max(1, len(texts))}
        out = []
        for text, vector in zip(texts, vectors, strict=True):
            scored = router.score(vector)
            out.append(self._route(router, encoder, scored, router.decide(scored, target), text, top_k, each))
        return out

    def _route(
        self, router: Router, encoder: Encoder, scored: Scored, decision: Decision, text: str, top_k: int, timings: dict[str, float]
    ) -> Route:
        order = np.argsort(-scored.logits, kind="stable")[: max(1, top_k)]
        values = scored.scores if scored.probabilities is None else scored.probabilities
        two = np.argsort(-scored.logits, kind="stable")[:2]
        top = self.taxonomy.canonical(router.domains[int(order[0])])
        answered = decision.domain is not None
        return Route(
            router=router.name, router_sha256=router.sha256, encoder_id=encoder.id, precision=encoder.precision,
            domains=[(router.domains[i], float(scored.scores[i]), None if scored.probabilities is None else float(scored.probabilities[i])) for i in order],
            selections=router.selections(scored), decision=decision, backend=self.backends.backend.get(top) if answered else None,
            specialist=self.backends.specialist.get(top) if answered else None, would_be_backend=self.backends.backend.get(top),
            margin=float(values[two[0]] - values[two[1]]) if len(two) > 1 else 1.0, language=detect(text), cut=is_cut(text), timings_ms=timings,
        )  # fmt: skip

    def explain(self, text: str, router: str | Path | Router, domain: str) -> list[Piece]:
        """Words of the prepared text by their effect on ``domain``'s logit. One batched encode."""
        router = router if isinstance(router, Router) else self.router(router)
        if domain not in router.domains:
            raise InputError(f"Router {router.name} has no domain '{domain}'.", f"Use one of: {', '.join(router.domains)}.")
        encoder, place = self.serving_encoder(router), router.domains.index(domain)
        return leave_one_out(prepare(text), lambda texts: router.logits(encoder.encode(texts))[:, place])

    def neighbours(self, text: str, router: str | Path | Router, k: int = 5, progress: Progress | None = None) -> list[Neighbour]:
        """The labelled prompts of the shipped corpus nearest to ``text`` for this router's encoder, other than the text itself."""
        router = router if isinstance(router, Router) else self.router(router)
        index = self.corpus_index(router.encoder_name, progress)
        own = index.by_id.get(text_id(text))
        found = nearest(self.serving_encoder(router).encode([text])[0], index.vectors, k + 1)
        return [Neighbour(index.rows[row], index.splits[row], cosine) for row, cosine in found if row != own][:k]

    def in_corpus(self, text: str) -> Row | None:
        """The corpus row with the same prepared text, if there is one: the router may have been trained on it."""
        return self._corpus_by_id.get(text_id(text))

    @cached_property
    def _corpus_by_id(self) -> dict[str, Row]:
        return {row.id: row for row in self.corpus.rows}

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

    # train

    def train_router(
        self, corpus: Path, output: Path, *, recipe: str = "lab", encoder: str = "", v5: bool = False, changes: dict[str, Any] | None = None, progress: Progress = lambda stage, done, of: None,
    ) -> tuple[Router, dict[str, Any] | None, dict[str, Any]]:  # fmt: skip
        """Read ``corpus``, train, write ``output``. ``v5`` keeps the 32 domains of router v5 under v5's names.

        Returns the router, its test metrics (None without test rows) and what was refused, renamed or left out.
        """
        from lab.corpus.split import read_frozen
        from lab.router.build import build_router
        from lab.router.dataset import build_dataset
        from lab.text.encoder import MINILM

        if recipe not in self.recipes:
            raise SettingsError(f"There is no recipe '{recipe}'.", f"Known are: {', '.join(self.recipes)}.")
        if output.exists() and (not output.is_dir() or any(output.iterdir())) and not (output / WEIGHTS).is_file():
            raise ArtefactError(f"{output} exists and is no router folder.", "Name a new folder, so that nothing is overwritten.")
        check_output(output, folder=True)
        chosen = self.recipes[recipe].with_changes(**(changes or {}))
        reading = read_corpus(corpus)
        shipped = corpus.resolve() == self.home.corpus.resolve()
        frozen = read_frozen(corpus / "split.json") if corpus.is_dir() else {}
        dataset = build_dataset(reading.rows, self.taxonomy, frozen, self.taxonomy.v5_labels() if v5 else None)
        reference = self.encoder(encoder or MINILM, REFERENCE)
        check = self._serving_encoders(encoder or MINILM) if shipped else ()
        folder, metrics = build_router(
            dataset,
            reference,
            self.vectors,
            chosen,
            self.taxonomy,
            output,
            check=check,
            shipped_split=shipped and bool(frozen),
            progress=progress,
        )
        account = {
            "rows": {side: len(dataset.side(side)) for side in ("train", "valid", "test")}, "domains": len(dataset.domains),
            "refused": [{"where": one.where, "reason": one.reason} for one in reading.refused], "left_out": dataset.left_out, "renamed": dataset.renamed,
        }  # fmt: skip
        return Router(folder, output.name), metrics, account

    # map

    @cached_property
    def maps(self) -> Maps:
        from lab.evaluation.maps import Maps

        return Maps(self.home.projections, self.home.project / "models" / "map" / "layout.npz")

    def map_layout(self, router: Router, progress: Progress | None = None) -> Layout | Job:
        """Where the corpus lies for this router's encoder, or the background job that computes it."""
        index = self.corpus_index(router.encoder_name, progress)
        encoder_id, ids = self.serving_encoder(router).id, [row.id for row in index.rows]
        return self.maps.layout(encoder_id, ids, index.vectors) or self.maps.compute(router.encoder_name, encoder_id, ids)

    def pin(self, text: str, router: Router, layout: Layout) -> tuple[float, float]:
        """The place of a typed prompt among those of ``layout``. InputError for a text that cannot be routed."""
        from lab.evaluation.projection import place

        index = self.corpus_index(router.encoder_name)
        points = layout.xy[layout.find([row.id for row in index.rows])]
        x, y = place(self.serving_encoder(router).encode([text]), index.vectors, points)[0]
        return float(x), float(y)
