"""The workbench's use cases that choose a model for a query: pick, exchange files, decide."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.errors import ArtefactError, InputError
from lab.selector.features import features
from lab.selector.store import META, SelectorSet, read_set
from lab.use_cases.outcomes import Outcomes

if TYPE_CHECKING:
    from lab.selector.pick import Ballot, Pick


@dataclass(frozen=True)
class Category:
    """``source``: given, or the category router that found it. ``probability`` is None where nothing was claimed."""

    name: str
    probability: float | None
    source: str


class Selecting(Outcomes):
    """A part of :class:`lab.workbench.Workbench`."""

    @property
    def _selector_places(self) -> tuple[Path, Path]:
        return self.home.project / "models" / "selectors", self.home.state / "selectors"

    @cached_property
    def _selector_sets(self) -> dict[tuple, SelectorSet]:
        return {}

    def selector_names(self) -> list[str]:
        """Sets of selectors, shipped and own; the default first."""
        names = {one.name for place in self._selector_places if place.is_dir() for one in place.iterdir() if (one / META).is_file()}
        return sorted(names, key=lambda name: (name != self.conventions.default, name))

    def selector_set(self, name: str | Path = "") -> SelectorSet:
        """By name, by the path of a folder, or by the path of a model file of the router (.json)."""
        given = str(name or self.conventions.default)
        path = next((place / given for place in self._selector_places if (place / given / META).is_file()), Path(given).expanduser())
        if path.suffix == ".json" and path.is_file():
            return self._opened(path, lambda: self._from_file(path, path.stem))
        if not (path / META).is_file():
            known = ", ".join(self.selector_names()) or "none"
            raise InputError(
                f"There are no selectors '{given}'.", f"Installed are: {known}; or give a folder of selectors, or a model file."
            )
        return self._opened(path / META, lambda: read_set(path))

    def _opened(self, path: Path, read) -> SelectorSet:
        stat = path.stat()
        key = (path.resolve(), stat.st_mtime_ns, stat.st_size)
        with self._lock:
            if key not in self._selector_sets:
                self._selector_sets[key] = read()
            return self._selector_sets[key]

    def selector(self, reference: str | Path = "") -> tuple[SelectorSet, str]:
        """ "set", "set/selector", a folder or a file → the set and the name of one of its selectors."""
        given = str(reference)
        if given and not (Path(given).expanduser() / META).is_file() and "/" in given and not given.endswith(".json"):
            head, key = given.rsplit("/", 1)
            if head in self.selector_names() or (Path(head).expanduser() / META).is_file():
                one = self.selector_set(head)
                one.selector(key)
                return one, key
        one = self.selector_set(given)
        return one, one.default

    # a query

    def category(self, text: str, given: str | None = None) -> Category:
        """The given category, checked; else what the category router finds."""
        if given:
            return Category(self.conventions.check(given), None, "given")
        router = self.router(self.conventions.category_router)
        scored = router.score(self.serving_encoder(router).encode([text])[0])
        top = int(scored.logits.argmax())
        probability = None if scored.probabilities is None else float(scored.probabilities[top])
        return Category(router.domains[top], probability, router.name)

    def _query(self, one: SelectorSet, text: str, category: Category) -> np.ndarray:
        """(1, D + K) raw features by the serving encoder."""
        encoder = self.encoder(one.encoder_name, self.precision())
        if encoder.dim != one.dim:
            raise ArtefactError(
                f"{one.name} reads embeddings of {one.dim} numbers, its encoder {encoder.name} gives {encoder.dim}.",
                "Name the encoder it was trained on with --embedding-model when importing, and unset ROUTER_LAB_ENCODER if it is another.",
            )
        place = self._place(one, category.name)
        return features(encoder.encode([text]), np.asarray([place]), len(one.one_hot))

    def _place(self, one: SelectorSet, category: str) -> int:
        order = one.one_hot
        return order.index(category) if category in order else order.index(self.conventions.fallback)

    def pick(
        self, text: str, selector: str | Path = "", category: str | None = None, candidates: Sequence[str] = ()
    ) -> tuple[Pick, dict[str, Any]]:
        """The model for one query, and about it: category, encoder, precision, milliseconds beyond the embedding."""
        from lab.selector.pick import check_candidates, pick, predicted

        one, key = self.selector(selector)
        check_candidates(candidates, one)
        found = self.category(text, category)
        x = self._query(one, text, found)
        pick(one, key, x, candidates)  # the first one loads what it needs
        start = time.perf_counter()
        made = pick(one, key, x, candidates)
        pick_ms = (time.perf_counter() - start) * 1e3
        made = replace(made, predicted=predicted(one, key, x))
        encoder = self.encoder(one.encoder_name, self.precision())
        about = {
            "category": asdict(found),
            "encoder_id": encoder.id,
            "precision": encoder.precision,
            "pick_ms": pick_ms,
            "sha256": one.sha256,
        }
        return made, about

    def picks(self, text: str, name: str = "", category: str | None = None) -> tuple[Category, list[Pick]]:
        """The pick of every selector of a set, for one query, with predictions per model."""
        from lab.selector.pick import pick, predicted

        one, found = self.selector_set(name), self.category(text, category)
        x = self._query(one, text, found)
        return found, [replace(pick(one, key, x), predicted=predicted(one, key, x)) for key in one.keys]

    def ballot(self, text: str, selector: str | Path = "", category: str | None = None, candidates: Sequence[str] = ()) -> Ballot:
        """One query's pick with neighbours, scores per model, and what would change it."""
        from lab.selector.pick import ballot

        one, key = self.selector(selector)
        return ballot(one, key, self._query(one, text, self.category(text, category)), candidates)

    # files

    def export_selector(self, reference: str, output: Path) -> list[Path]:
        """Write model files of the router into ``output``: of one selector ("knn", "set/knn"), or all that have a form there ("set")."""
        from lab.files import check_output, write_bytes
        from lab.selector.deployed import ALGORITHMS
        from lab.selector.write_file import FILES, dump

        check_output(output, folder=True)
        if reference in (*ALGORITHMS, *self.selector_set().keys):
            reference = f"{self.conventions.default}/{reference}"
        one, key = self.selector(reference)
        named = reference.endswith(f"/{key}")
        keys = [key] if named else [other for other in one.keys if one.selector(other).exportable and other in FILES] or [key]
        out = []
        for each in keys:
            file = one.deployed(each)
            out.append(output / FILES[file.algorithm])
            write_bytes(out[-1], dump(file, one.about(each)))
        return out

    def import_selector(self, path: Path, name: str, encoder: str = "") -> SelectorSet:
        """Keep a model file of the router under ``name`` among the own selectors."""
        if not name or name.startswith(".") or "/" in name or "\\" in name:
            raise InputError(f"'{name}' is no name for selectors.", "Use letters, digits, '-' and '_'.")
        if name in self.selector_names():
            raise InputError(f"There are selectors '{name}' already.", "Choose another name.")
        return self._from_file(path, name, encoder, self._selector_places[1] / name)

    def _from_file(self, path: Path, name: str, encoder: str = "", target: Path | None = None) -> SelectorSet:
        import tempfile

        from lab.selector.exchange import import_file

        if target is not None:
            return import_file(path, target, name, self.conventions, encoder)
        with tempfile.TemporaryDirectory() as scratch:
            one = replace(import_file(path, Path(scratch) / "set", name, self.conventions, encoder), name=name)
            one.read_all()  # the folder goes, what was read stays
            return one

    def decide(self, text: str, config: Path | str) -> dict[str, Any]:
        """A configuration of the router (a path, or its YAML text) applied to one query: which decision, which model, and why."""
        from lab.selector.decisions.config import parse_config, read_config
        from lab.selector.decisions.engine import choose
        from lab.use_cases.deciding import model_of

        made = (
            read_config(config, self.conventions)
            if isinstance(config, Path)
            else parse_config(config, "the configuration", self.conventions)
        )
        found = self.category(text)
        choice = choose(made, found.name, found.probability)
        return choice.to_json() | {"category": asdict(found)} | model_of(self, made, choice, text, found)
