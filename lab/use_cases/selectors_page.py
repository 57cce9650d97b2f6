"""The workbench's use cases behind the page Selectors: the kept judgement of a set, its files and its card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.errors import InputError
from lab.selector.features import features
from lab.selector.options import Options
from lab.selector.store import CARD, SelectorSet
from lab.use_cases.opening import Progress
from lab.use_cases.outcomes import ids_of
from lab.use_cases.people import People
from lab.use_cases.selecting import Category, Selecting

if TYPE_CHECKING:
    from lab.curation.state import Actor
    from lab.selector.pick import Ballot, Pick

REPORT = "report.json"


class SelectorsPage(People, Selecting):
    """A part of :class:`lab.workbench.Workbench`."""

    # the judgement

    def _held_out(self, table: Any, x: np.ndarray, rows: np.ndarray, chosen: list, utility: Any, options: Options) -> dict[str, Any]:
        """Also the categories, and the table at every weight."""
        other = np.setdiff1d(np.arange(len(table)), rows)
        return super()._held_out(table, x, rows, chosen, utility, options) | _more(table, x, rows, other, chosen, utility)

    def judge_selectors(self, name: str, data: Path, options: Options | None = None, progress: Progress = lambda stage, done, of: None) -> dict[str, Any]:
        """A set as it is stored, on those queries of its data that it was not trained on, beside the forms of the router's own training.

        ``options.forms`` with "compatible" fits these on the training queries as the set keeps them. InputError if ``data`` is not the set's.
        """
        from lab.selector.choose import COMPATIBLE, Chosen, train
        from lab.selector.contract import LabSelector
        from lab.selector.held_out import Part, best_by_category, best_single, judge_parts, report

        options = options or Options(quality_weight=1.0)
        one = self.selector_set(name)
        table, account = self.outcome_table(data, replace(options, models=tuple(one.models)))
        seen = np.isin(ids_of(table.queries), one.query_ids)
        if not seen.any() or seen.all():
            raise InputError(f"This is not the data {one.name} was trained on and held out of.", "Use 'selectors evaluate --selector'.")
        rows, other = np.flatnonzero(seen), np.flatnonzero(~seen)
        vectors, table, found = self.outcome_features(table, replace(options, embedding_model=one.encoder_name), progress)
        x = features(vectors, self.conventions.places(table.categories), len(one.one_hot))
        chosen = [
            Chosen(one.meta["selectors"][key]["algorithm"], "lab", selector)
            for key in one.keys
            if isinstance(selector := one.selector(key), LabSelector)
        ]
        if "compatible" in options.forms:
            chosen += [train(kind, "compatible", one.x, one.cells, one.utility, len(one.one_hot), options.seed) for kind in COMPATIBLE]
        part = Part(rows, other, chosen, best_single(table, rows, one.utility), best_by_category(table, rows, one.utility))
        made = report(judge_parts(table, x, [part], one.utility), one.default) | _more(table, x, rows, other, chosen, one.utility)
        bound = {"data_sha256": table.sha256, "encoder_id": found["encoder"]["id"], "selectors": one.sha256, "seed": options.seed}
        return made | {"bound_to": bound, "account": account | found}

    def keep_judgement(self, name: str, made: dict[str, Any]) -> Path:
        """Beside the set, as ``report.json``."""
        from lab.files import write_json
        from lab.selector.by_weight import short

        path = self.selector_set(name).path / REPORT
        write_json(path, short(made))
        return path

    def judgement(self, name: str) -> dict[str, Any]:
        """What was kept: n, rows, verdict, waterfall, categories, by_weight, bound_to, note. Without rows for a set that nobody has judged.

        A report of other files than the set's is left aside, and ``note`` says so.
        """
        from lab.files import read_json

        one = self.selector_set(name)
        held, provenance, note = dict(one.meta.get("held_out") or {}), one.meta.get("provenance", {}), ""
        bound = {"data_sha256": provenance.get("data_sha256"), "encoder_id": one.meta["encoder"].get("id"), "selectors": one.sha256, "seed": provenance.get("seed")}  # fmt: skip
        if (one.path / REPORT).is_file():
            kept = read_json(one.path / REPORT)
            if kept.get("bound_to", {}).get("selectors") == one.sha256:
                held, bound = kept, kept["bound_to"]
            else:
                note = f"{REPORT} beside the set belongs to other files and is not shown."
        empty: dict[str, Any] = {"n": 0, "rows": [], "verdict": {}, "waterfall": [], "categories": [], "by_weight": [], "unanswered": 0, "best_single": []}
        return empty | held | {"bound_to": bound, "note": note}

    def category_decisions(self, name: str) -> str:
        """The judged table of one model per category as a configuration of the router (YAML). InputError where it says nothing."""
        from lab.selector.decisions.by_category import decisions_by_category

        made = self.judgement(name)
        table = {one["category"]: one["model"] for one in made["categories"] if one["category"] and "model" in one}
        if not made["best_single"]:
            raise InputError(f"Nobody has judged {name} by category.", "Judge it with 'selectors judge'.")
        return decisions_by_category(table, made["best_single"][0], self.conventions)

    # one query

    def query_ballot(
        self, text: str, reference: str, category: str | None = None, candidates: Sequence[str] = ()
    ) -> tuple[Category, list[Pick], Ballot]:
        """The category, every selector's pick among the candidates, and the ballot of the selector named ("set/selector"): one encoding."""
        from lab.selector.pick import ballot, check_candidates, pick

        one, key = self.selector(reference)
        check_candidates(candidates, one)
        found = self.category(text, category)
        x = self._query(one, text, found)
        return found, [pick(one, other, x, candidates) for other in one.keys], ballot(one, key, x, candidates)

    # files

    def selector_file(self, reference: str) -> bytes:
        """A selector ("set/selector") as the file of the semantic router."""
        from lab.selector.write_file import dump

        one, key = self.selector(reference)
        return dump(one.deployed(key), one.about(key))

    def selector_files(self, one: SelectorSet) -> dict[str, str]:
        """Selector → name of its file, of those that have a form there."""
        from lab.selector.write_file import FILES

        kinds = {key: entry["algorithm"] for key, entry in one.meta["selectors"].items()}
        return {key: FILES[kind] for key, kind in kinds.items() if kind in FILES}

    def selector_card(self, name: str) -> str:
        path = self.selector_set(name).path / CARD
        return path.read_text(encoding="utf-8") if path.is_file() else f"{name} has no card."

    def is_shipped(self, name: str) -> bool:
        return self.selector_set(name).path.parent == self._selector_places[0]

    def upload_selector(self, actor: Actor, data: bytes, filename: str, name: str, encoder: str = "") -> SelectorSet:
        """Keep an uploaded model file of the router under ``name``. AccessError unless a maintainer asks."""
        import tempfile

        self.require(actor, "maintainer")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / (Path(filename).name or "selector.json")
            path.write_bytes(data)
            return self.import_selector(path, name, encoder)


def _more(table: Any, x: np.ndarray, rows: np.ndarray, other: np.ndarray, chosen: list, utility: Any) -> dict[str, Any]:
    from lab.selector.by_weight import short, tables_by_weight
    from lab.selector.held_out import Part, best_by_category, best_single, judge_parts
    from lab.selector.judge import slices

    part = Part(rows, other, chosen, best_single(table, rows, utility), best_by_category(table, rows, utility))
    judged = judge_parts(table, x, [part], utility)
    found = slices(judged.table.cells, judged.table.categories, table.models, judged.strategies, judged.single)
    return {"categories": short(found), "by_weight": tables_by_weight(table, x, part, utility)}
