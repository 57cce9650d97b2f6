"""The workbench's use cases on outcome records: train selectors, judge them, train the category router."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from lab.errors import InputError
from lab.selector.conventions import Conventions, plain
from lab.selector.options import Options
from lab.selector.records import Outcomes as Read
from lab.selector.records import read_outcomes
from lab.selector.table import OutcomeTable, build_table
from lab.text.encoder import MINILM
from lab.text.prepare import text_id
from lab.use_cases.opening import CATEGORIES, REFERENCE, Opening, Progress

LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "safetensors")


def _quiet(stage: str, done: int, of: int) -> None:
    return None


class Outcomes(Opening):
    """A part of :class:`lab.workbench.Workbench`."""

    @cached_property
    def conventions(self) -> Conventions:
        return Conventions.load(self.home.project / "models" / "selectors")

    def outcome_table(self, data: Path, options: Options) -> tuple[OutcomeTable, dict[str, Any]]:
        """The table, and an account of what was read, averaged, left out."""
        read = read_outcomes(data, options.keep_failed, options.limit)
        table = build_table(read.rows)
        if options.models:
            table = table.only(options.models)
        return table, _account(read, table)

    def outcome_features(
        self, table: OutcomeTable, options: Options, progress: Progress = _quiet
    ) -> tuple[np.ndarray, OutcomeTable, dict[str, Any]]:
        """(n, D) reference vectors, the table with a category for every query, and an account of encoder and categories.

        A query without a category gets the category router's; ``options.detected``: every query does.
        """
        from lab.text.vectors import VectorCache

        name = self.conventions.encoder(options.embedding_model or MINILM)
        reference = self.encoder(name, REFERENCE)
        cache = VectorCache(options.cache_dir / "vectors.sqlite") if options.cache_dir else self.vectors
        vectors = cache.encode(reference, table.queries, lambda done, of: progress("encode", done, of))
        categories = [None if options.detected else one for one in table.categories]
        missing = [row for row, one in enumerate(categories) if not one]
        if missing:
            router = self.router(self.conventions.category_router)
            texts = [table.queries[row] for row in missing]
            own = self.encoder(router.encoder_name, REFERENCE)
            found = vectors[missing] if own.id == reference.id else cache.encode(own, texts)
            for row, top in zip(missing, router.logits(found).argmax(1), strict=True):
                categories[row] = router.domains[top]
        unknown: dict[str, int] = {}
        for one in categories:
            if one and plain(one) not in self.conventions.known:
                unknown[one] = unknown.get(one, 0) + 1
        account = {
            "encoder": {"name": name, "id": reference.id, "dim": reference.dim}, "detected_categories": len(missing),
            "unknown_categories": [
                {"category": one, "queries": n, "used_as": self.conventions.fallback, "hint": self.conventions.suggest(one).strip()}
                for one, n in sorted(unknown.items())
            ],
        }  # fmt: skip
        return vectors, replace(table, categories=categories), account

    def train_selectors(self, data: Path, output: Path, options: Options, progress: Progress = _quiet) -> dict[str, Any]:
        """Train on the data's train side (all queries without one), judge on its other side, write ``output``/name and the router's files."""
        from lab.files import check_output
        from lab.selector.card import card, utility_words
        from lab.selector.choose import GUARDED, check_signal
        from lab.selector.contract import check_training
        from lab.selector.features import features
        from lab.selector.store import stored, write_set

        check_output(output, folder=True)
        table, account = self.outcome_table(data, options)
        sides = np.asarray(table.splits)
        whole = not ((sides == "train").any() and (sides == "test").any())
        rows = np.arange(len(table)) if whole else np.flatnonzero(sides == "train")
        check_training(rows, table.cells[rows])
        utility = options.utility.for_cells(table.cells[rows])
        check_signal(table.cells[rows], utility)
        vectors, table, found = self.outcome_features(table, options, progress)
        kept, cells = stored(vectors[rows], table.cells[rows])
        places = self.conventions.places(table.categories)
        x = features(kept, places[rows], len(self.conventions.one_hot))
        chosen = self._chosen(x, cells, utility, options, progress)
        held = (
            {} if whole else self._held_out(table, features(vectors, places, len(self.conventions.one_hot)), rows, chosen, utility, options)
        )
        extra = {"provenance": _provenance(table, rows, whole, account, options), "held_out": held}
        about = extra | {"encoder": found["encoder"], "utility_words": utility_words(utility)}
        text = card(options.name, about, held.get("rows", []), held.get("verdict", {}).get("sentence", ""))
        made = write_set(
            output / options.name, chosen, models=table.models, one_hot=self.conventions.one_hot, encoder=found["encoder"], utility=utility,
            vectors=kept, places=places[rows], ids=ids_of([table.queries[row] for row in rows]), cells=cells, default=GUARDED, extra=extra, card=text,
        )  # fmt: skip
        return {
            "output": str(output), "set": str(made.path), "files": self._router_files(made, chosen, output) if options.files else {}, "n": len(rows),
            "models": table.models, "utility": utility.to_json(), "selectors": made.meta["selectors"], "account": account | found, "held_out": held,
        }  # fmt: skip

    def _chosen(self, x: np.ndarray, cells: Any, utility: Any, options: Options, progress: Progress) -> list:
        from lab.selector.choose import each, train

        wanted, out = each(options.algorithms, options.forms), []
        for step, (algorithm, form) in enumerate(wanted):
            progress("train", step, len(wanted))
            fixed = options.fixed.get(algorithm)
            out.append(train(algorithm, form, x, cells, utility, len(self.conventions.one_hot), options.seed, fixed))
        progress("train", len(wanted), len(wanted))
        return out

    def _router_files(self, made: Any, chosen: list, output: Path) -> dict[str, str]:
        """Write the router's file of each algorithm that has one, of the lab's form if both were trained. File → form."""
        from lab.files import write_bytes
        from lab.selector.write_file import FILES, dump

        files: dict[str, str] = {}
        for one in chosen:
            if one.algorithm in FILES and FILES[one.algorithm] not in files:
                key = one.algorithm if one.form == "lab" else f"{one.algorithm}-compatible"
                write_bytes(output / FILES[one.algorithm], dump(made.deployed(key), made.about(key)))
                files[FILES[one.algorithm]] = one.form
        return files

    def _held_out(
        self, table: OutcomeTable, x: np.ndarray, rows: np.ndarray, chosen: list, utility: Any, options: Options
    ) -> dict[str, Any]:
        from lab.selector.choose import GUARDED
        from lab.selector.held_out import Part, best_by_category, best_single, judge_parts, report

        other = np.setdiff1d(np.arange(len(table)), rows)
        part = Part(rows, other, chosen, best_single(table, rows, utility), best_by_category(table, rows, utility))
        found = report(judge_parts(table, x, [part], utility), GUARDED)
        return {key: found[key] for key in ("n", "unanswered", "best_single", "rows", "verdict", "waterfall")}

    def evaluate_selectors(self, data: Path, options: Options, progress: Progress = _quiet) -> dict[str, Any]:
        """The honest table on the outcomes in ``data``: algorithms fitted on its train side or in folds, or the selectors named.

        Keys n, rows, verdict, waterfall, categories, sweep, split, account, bound_to, published.
        """
        from lab.selector.choose import GUARDED
        from lab.selector.features import features
        from lab.selector.held_out import fit_parts, judge_parts, report, sweep

        table, account = self.outcome_table(data, options)
        if options.selectors:
            return self._evaluate_given(table, account, options, progress)
        vectors, table, found = self.outcome_features(table, options, progress)
        x = features(vectors, self.conventions.places(table.categories), len(self.conventions.one_hot))
        how, parts, notes = fit_parts(
            table,
            x,
            options.utility,
            len(self.conventions.one_hot),
            options.algorithms,
            options.forms,
            options.seed,
            options.fixed,
            progress,
        )
        judged = judge_parts(table, x, parts, options.utility)
        out = report(judged, GUARDED)
        chosen = [{"strategy": one.name, "params": _params(one.selector), "validation": one.validation} for one in parts[0].chosen]
        return out | {
            "split": how, "notes": notes, "sweep": sweep(table, x, parts, options.utility), "chosen": chosen, "account": account | found,
            "bound_to": {"data_sha256": table.sha256, "encoder_id": found["encoder"]["id"], "seed": options.seed, "utility": options.utility.for_cells(table.cells).to_json()},
            "published": self.conventions.published,
        }  # fmt: skip

    def _evaluate_given(self, table: OutcomeTable, account: dict[str, Any], options: Options, progress: Progress) -> dict[str, Any]:
        from lab.selector.features import features
        from lab.selector.given import part_of_sets
        from lab.selector.held_out import judge_parts, report, sweep

        sets = [self.selector(one) for one in options.selectors]
        names = [model for model in sets[0][0].models if model in table.models]
        for one, _ in sets[1:]:
            if set(one.models) != set(sets[0][0].models):
                raise InputError(f"{one.name} and {sets[0][0].name} choose among different models.", "Judge them one at a time.")
        if not names:
            raise InputError(
                f"The data has no records of {sets[0][0].name}'s models ({', '.join(sets[0][0].models)}).",
                f"It has: {', '.join(table.models)}.",
            )
        table = table.only(names)
        seen = np.isin(ids_of(table.queries), np.concatenate([one.query_ids for one, _ in sets]))
        if seen.all():
            raise InputError("Every query of the data was in the selector's training.", "Judge it on queries it has not seen.")
        table = table.rows(np.flatnonzero(~seen))
        encoder = self.conventions.encoder(options.embedding_model) if options.embedding_model else sets[0][0].encoder_name
        vectors, table, found = self.outcome_features(table, replace(options, embedding_model=encoder), progress)
        x = features(vectors, self.conventions.places(table.categories), len(self.conventions.one_hot))
        parts, notes = part_of_sets(table, sets, options.utility)
        out = report(judge_parts(table, x, parts, options.utility), parts[0].chosen[0].algorithm)
        return out | {
            "split": f"queries that the selectors have not seen ({int(seen.sum())} were left out)", "notes": notes, "chosen": [],
            "sweep": sweep(table, x, parts, options.utility), "account": account | found | {"seen_in_training": int(seen.sum())},
            "bound_to": {"data_sha256": table.sha256, "encoder_id": found["encoder"]["id"], "selectors": {one.name: one.sha256 for one, _ in sets}},
            "published": self.conventions.published,
        }  # fmt: skip

    def train_category_router(self, data: Path, output: Path, name: str = "", progress: Progress = _quiet) -> dict[str, Any]:
        """A domain router over the categories of outcome records: the lab's recipe, the data's own split. Marked as of kind "categories"."""
        from lab.corpus.rows import Row
        from lab.files import check_output, read_json, write_json
        from lab.router.build import build_router
        from lab.router.dataset import build_dataset
        from lab.router.folder import META, OURS

        check_output(output, folder=True)
        table = build_table(read_outcomes(data).rows)
        rows = [
            Row(query, plain(category), split=split)
            for query, category, split in zip(table.queries, table.categories, table.splits, strict=True)
            if category
        ]
        dataset = build_dataset(rows, self.taxonomy, {}, {self.taxonomy.canonical(one): one for one in self.conventions.known})
        encoder = self.encoder(MINILM, REFERENCE)
        folder, metrics = build_router(
            dataset,
            encoder,
            self.vectors,
            self.recipes["lab"],
            self.taxonomy,
            output,
            check=self._serving_encoders(MINILM),
            progress=progress,
        )
        meta = read_json(output / META)
        meta[OURS] |= {"kind": CATEGORIES, "source": name, "data_sha256": table.sha256}
        write_json(output / META, meta)
        return {"output": str(output), "n": len(rows), "domains": folder.domains, "test": metrics}


def ids_of(queries: list[str]) -> np.ndarray:
    """(n,) uint64: the first 16 hex digits of each text id."""
    return np.asarray([int(text_id(query)[:16], 16) for query in queries], dtype=np.uint64)


def _account(read: Read, table: OutcomeTable) -> dict[str, Any]:
    return table.account | {
        "failed_calls_left_out": read.failed, "without_score": read.unscored, "refused_records": len(read.refused),
        "refused": [{"where": one.where, "reason": one.reason} for one in read.refused[:100]],
    }  # fmt: skip


def _provenance(table: OutcomeTable, rows: np.ndarray, whole: bool, account: dict[str, Any], options: Options) -> dict[str, Any]:
    return {
        "source": options.source, "licence": options.licence, "data_sha256": table.sha256, "seed": options.seed, "models": table.models,
        "train_queries": len(rows), "split": "none: trained on all queries" if whole else "the data's own split",
        **{key: account[key] for key in ("records", "gaps", "duplicates")}, "libraries": {one: version(one) for one in LIBRARIES},
    }  # fmt: skip


def _params(selector: Any) -> dict[str, Any]:
    return {key: value for key, value in selector.get_params().items() if key not in ("utility", "categories")}
