"""The workbench's use cases that ask real endpoints. A run is a process of its own; its folder is all that is known of it here."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.benchmark import folder as runs
from lab.benchmark.endpoints import Models, read_models
from lab.benchmark.folder import RunInfo
from lab.benchmark.importer import import_rows, training_rows
from lab.benchmark.ledger import Place, hold, is_held, read_rows
from lab.benchmark.plan import Plan, check_budget, preview
from lab.benchmark.queries import Queries, parse_queries
from lab.benchmark.results import summary
from lab.benchmark.rules import Rules
from lab.benchmark.tally import OVER
from lab.benchmark.templates import MODELS, QUERIES
from lab.curation.state import Actor
from lab.errors import InputError
from lab.files import check_output, jsonl_dump, make_folder, read_json, sha256_file, write_bytes, write_json
from lab.use_cases.people import People
from lab.use_cases.selecting import Selecting

if TYPE_CHECKING:
    from lab.benchmark.health import Health

TRAINING, OUTCOMES, TRAINER = "training.json", "outcomes.jsonl", "training.lock"
MOST_AT_ONCE = 2
"""Runs under way at the same time on one server."""
ENDING_S = 10.0
"""How long a process may take to end after it has said that it is over."""


class Benchmarking(People, Selecting):
    """A part of :class:`lab.workbench.Workbench`."""

    @cached_property
    def _children(self) -> dict[str, subprocess.Popen]:
        return {}

    @property
    def benchmarks(self) -> Path:
        return self.home.state / "benchmarks"

    @property
    def _environment(self) -> dict[str, str]:
        return self.settings.environment(self.home.state)

    @property
    def benchmark_rules(self) -> Rules:
        """What pages may reach and use, read anew: the keeper's file may have changed."""
        return Rules.shared(self._environment)

    # the two files

    def benchmark_templates(self) -> tuple[str, str]:
        """(models.yaml, queries JSONL) to start from: the server's own endpoints if there are any, else examples."""
        rules = self.benchmark_rules
        if rules.configured:
            read_models(rules.configured, self._environment, rules, "ROUTER_LAB_ENDPOINTS")  # a written-out key would be shown
        return rules.configured or MODELS, QUERIES

    def benchmark_models(self, text: str) -> Models:
        return read_models(text, self._environment, self.benchmark_rules)

    def benchmark_queries(self, data: bytes) -> Queries:
        return parse_queries(data)

    def benchmark_preview(self, models: str, queries: bytes, plan: Plan) -> dict[str, Any]:
        """A dry run: calls, cost at most, one request a model. Nobody is asked."""
        return preview(plan, self.benchmark_models(models), parse_queries(queries).rows)

    def benchmark_health(self, actor: Actor, text: str) -> list[Health]:
        """One small request to each model. AccessError unless a maintainer asks."""
        from lab.benchmark.client import Asker
        from lab.benchmark.health import check

        self.require(actor, "maintainer")
        models, rules = self.benchmark_models(text), self.benchmark_rules

        async def go() -> list[Health]:
            async with Asker(rules, models.redact) as asker:
                return await check(asker, models.endpoints)

        return asyncio.run(go())

    # runs

    def start_benchmark(self, actor: Actor, models: str, queries: bytes, plan: Plan) -> str:
        """Check the files, keep them, start the process. Returns the run's id."""
        self.require(actor, "maintainer")
        if plan.code and not self.benchmark_rules.code:
            raise InputError("Running models' code is not enabled here.", "Whoever runs the server can: ROUTER_LAB_CODE_EVAL=1.")
        endpoints, rows = self.benchmark_models(models).endpoints, parse_queries(queries).rows
        check_budget(plan, endpoints)
        self._room()
        name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        runs.make(self.benchmarks / name, models, queries, plan, actor.name, f"{len(rows):,} queries × {len(endpoints)} model{'s' * (len(endpoints) != 1)}")
        self._spawn(name)
        return name

    def resume_benchmark(self, actor: Actor, name: str, most_calls: int | None = None, most_usd: float | None = None) -> None:
        """Continue a run that was interrupted, cancelled, stopped or failed. A budget given here replaces its own; it holds over the whole run."""
        self.require(actor, "maintainer")
        if self.benchmark_run(name).phase not in (*OVER, "interrupted"):
            raise InputError("This run is under way.", "Wait for it, or cancel it first.")
        self._room()
        if most_calls is not None or most_usd is not None:
            runs.keep_plan(self._folder(name), replace(self.benchmark_plan(name), most_calls=most_calls, most_usd=most_usd))
        self._spawn(name)

    def benchmark_plan(self, name: str) -> Plan:
        return runs.plan_of(self._folder(name))

    def _room(self) -> None:
        busy = [one for one in self.benchmark_runs() if one.phase not in (*OVER, "interrupted", "imported")]
        if len(busy) >= MOST_AT_ONCE:
            raise InputError(f"{len(busy)} runs are under way.", "Wait for one of them, or cancel it.")

    def _spawn(self, name: str) -> None:
        folder = self._folder(name)
        with hold(folder / runs.PROCESS, ENDING_S) as lock:
            runs.mark(folder, "starting", left_out={})  # who is left out is found anew
            with contextlib.suppress(FileNotFoundError):
                Place.of_folder(folder).control.unlink()
            self._child(folder, "run", lock)

    def _child(self, folder: Path, what: str, lock: int) -> None:
        """A process that holds ``lock`` for as long as it lives: no clock and no process number says whether it is at work."""
        with (folder / runs.LOG).open("ab") as log:
            self._children[f"{what} {folder.name}"] = subprocess.Popen(
                [sys.executable, "-m", "lab", "benchmark", what, "--folder", str(folder)], cwd=self.home.project, env=self._environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True, pass_fds=(lock,),
            )  # fmt: skip

    def control_benchmark(self, actor: Actor, name: str, wish: str) -> None:
        """``wish``: "pause", "go on" or "cancel"; obeyed within a second."""
        self.require(actor, "maintainer")
        wishes = {"pause": b"pause", "go on": b"", "cancel": b"cancel"}
        if wish not in wishes:
            raise InputError(f"A run cannot {wish}.", f"Use one of: {', '.join(wishes)}.")
        write_bytes(Place.of_folder(self._folder(name)).control, wishes[wish])

    def benchmark_runs(self) -> list[RunInfo]:
        """Newest first."""
        for child in self._children.values():
            child.poll()  # a finished child that nobody asks after would stay in the process table
        names = [path.name for path in self.benchmarks.iterdir() if runs.NAME.fullmatch(path.name)] if self.benchmarks.is_dir() else []
        return [runs.info(self.benchmarks / name) for name in sorted(names, reverse=True)]

    def benchmark_run(self, name: str) -> RunInfo:
        return runs.info(self._folder(name))

    def _folder(self, name: str) -> Path:
        folder = self.benchmarks / name
        if not runs.NAME.fullmatch(name) or not folder.is_dir():
            raise InputError(f"There is no run '{name[:40]}'.", "Choose one of the list.")
        return folder

    def benchmark_log(self, name: str) -> str:
        return runs.log_tail(self._folder(name))

    def benchmark_files(self, name: str) -> tuple[str, bytes]:
        """(models.yaml, queries) of a run."""
        folder = self._folder(name)
        read = [path.read_bytes() if path.is_file() else b"" for path in (folder / runs.MODELS, folder / runs.QUERIES)]
        return read[0].decode(), read[1]

    # results

    def benchmark_stamp(self, name: str) -> tuple[int, int]:
        """Changes whenever the rows do."""
        path = Place.of_folder(self._folder(name)).rows
        stat = os.stat(path) if path.exists() else None
        return (stat.st_mtime_ns, stat.st_size) if stat else (0, 0)

    def benchmark_results(self, name: str) -> dict[str, Any]:
        """by_model, by_category, shared (see lab.benchmark.results), and sha256 of the rows they are of."""
        path = Place.of_folder(self._folder(name)).rows
        return summary(read_rows(path)) | {"sha256": sha256_file(path) if path.is_file() else ""}

    def benchmark_last_rows(self, name: str, most: int = 200, failed: bool = False) -> list[dict[str, Any]]:
        return runs.first_rows(Place.of_folder(self._folder(name)).rows, most, failed)

    def benchmark_export(self, name: str, training: bool = False) -> bytes:
        """All rows, or only what selectors learn from (loads in the source system too)."""
        path = Place.of_folder(self._folder(name)).rows
        return jsonl_dump(training_rows(path) if training else read_rows(path))

    def import_benchmark(self, actor: Actor, data: bytes, filename: str) -> tuple[str, Any]:
        """An outcome file of the source system becomes a run to look at and to train on. Returns its id and what was read."""
        self.require(actor, "maintainer")
        name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        folder = self.benchmarks / name
        read = import_rows(data, filename, Place.of_folder(folder).rows)
        write_json(folder / runs.PLAN, {"version": 1, "by": actor.name, "about": f"imported: {filename[:60]}", "created_at": runs.now(), "plan": Plan().to_json()})
        return name, read

    # selectors from them

    def train_on_benchmark(self, actor: Actor, name: str, selectors: str) -> None:
        """Train a set of selectors on a run's outcomes, in a process of its own; :meth:`benchmark_training` tells how it goes."""
        self.require(actor, "maintainer")
        folder = self._folder(name)
        if not selectors or not all(sign.isalnum() or sign in "-_" for sign in selectors) or selectors[0] in "-_":
            raise InputError(f"'{selectors[:40]}' is no name for selectors.", "Use letters, digits, '-' and '_'.")
        if selectors in self.selector_names():
            raise InputError(f"There are selectors '{selectors}' already.", "Choose another name.")
        if self.benchmark_training(name)["phase"] in ("starting", "running"):
            raise InputError("Selectors are being trained on this run.", "Wait for them.")
        rows = jsonl_dump(training_rows(Place.of_folder(folder).rows))
        if not rows:
            raise InputError("This run has no scored answer to learn from.", "Give the queries a ground_truth.")
        with hold(folder / TRAINER, ENDING_S) as lock:
            write_bytes(folder / OUTCOMES, rows)
            write_json(folder / TRAINING, {"phase": "starting", "name": selectors, "stage": "starting", "done": 0, "of": 0})
            self._child(folder, "learn", lock)

    def benchmark_training(self, name: str) -> dict[str, Any]:
        """phase ("", starting, running, done, failed), name, stage, done, of; when done also n and the verdict's sentence."""
        folder = self._folder(name)
        alive = is_held(folder / TRAINER)
        told = dict(read_json(folder / TRAINING)) if (folder / TRAINING).is_file() else {"phase": ""}
        if told["phase"] in ("starting", "running") and not alive:
            told |= {"phase": "failed", "message": "The process ended before it was done."}
        return told

    def learn_benchmark(self, folder: Path) -> dict[str, Any]:
        """The training itself; called in its process."""
        from lab.selector.options import Options

        told = dict(read_json(folder / TRAINING)) | {"phase": "running"}

        def tell(stage: str, done: int, of: int) -> None:
            write_json(folder / TRAINING, told | {"stage": stage, "done": done, "of": of})

        tell("read", 0, 0)
        target = self.home.state / "selectors"
        make_folder(target)
        check_output(target, folder=True)
        options = Options(name=told["name"], files=False, source=f"benchmark run {folder.name}", licence="own data")
        made = self.train_selectors(folder / OUTCOMES, target, options, tell)
        sentence = (made["held_out"].get("verdict") or {}).get("sentence", "") if made["held_out"] else ""
        told |= {"phase": "done", "n": made["n"], "models": made["models"], "sentence": sentence, "held_out_n": made["held_out"].get("n") if made["held_out"] else None}
        write_json(folder / TRAINING, told)
        return told

    def fail_learning(self, folder: Path, message: str) -> None:
        write_json(folder / TRAINING, dict(read_json(folder / TRAINING)) | {"phase": "failed", "message": message})
