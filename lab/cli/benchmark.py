"""``benchmark run``, ``score``, ``import`` and ``check``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from lab.cli.common import Bar, print_json
from lab.errors import InputError
from lab.files import check_output
from lab.home import Home
from lab.settings import Settings

NICE = 10


def add(commands) -> None:
    group = commands.add_parser(
        "benchmark", help="ask real endpoints, score the answers", description="Outcomes from OpenAI-compatible endpoints, for selectors."
    ).add_subparsers(dest="what", required=True, metavar="WHAT")
    _add_run(group)
    _add_score(group)
    _add_import(group)
    check = group.add_parser("check", help="one small request to each model", description="One small request to each model.")
    _add_models(check)
    check.add_argument("--json", action="store_true", help="print JSON")
    check.set_defaults(run=run_check)
    learn = group.add_parser("learn")  # what the page starts; people use "train selectors"
    learn.add_argument("--folder", type=Path, required=True, help=argparse.SUPPRESS)
    learn.set_defaults(run=run_learn)


def _add_models(command) -> None:
    command.add_argument("--model-config", type=Path, metavar="FILE.yaml", help="models.yaml: name, endpoint, api_key: ${VARIABLE} …")
    command.add_argument("--models", metavar="A,B", help="names of models at one address, instead of --model-config")
    command.add_argument("--endpoint", default="http://localhost:8000/v1", help="the address for --models (default %(default)s)")
    command.add_argument("--api-key", default="", metavar="'${VARIABLE}'", help="the key for --models, as a variable of the environment")
    command.add_argument("--max-tokens", type=int, help="at most so many tokens an answer (default 1024, or models.yaml)")
    command.add_argument("--temperature", type=float, help="sampling temperature (default 0.0, or models.yaml)")


def _add_run(group) -> None:
    command = group.add_parser(
        "run", help="ask every model every query",
        description="Ask every model every query. Started again with the same output, it continues where it stopped.",
    )  # fmt: skip
    command.add_argument("--queries", type=Path, metavar="FILE.jsonl", help="query, and best also category, ground_truth, metric, choices")
    _add_models(command)
    command.add_argument("--output", type=Path, default=Path("benchmark_output.jsonl"), metavar="FILE.jsonl", help="rows (default %(default)s)")
    command.add_argument("--concurrency", type=int, default=4, help="at most so many calls at once (default %(default)s)")
    command.add_argument("--limit", type=int, help="only the first so many queries")
    command.add_argument("--concise", action="store_true", help="ask for short answers")
    command.add_argument("--max-calls", type=int, metavar="N", help="stop after so many requests, retries included")
    command.add_argument("--max-cost", type=float, metavar="USD", help="stop before this cost could be passed (needs prices in models.yaml)")
    command.add_argument("--retry-failed", action="store_true", help="ask again what failed in an earlier run")
    command.add_argument("--skip-unhealthy", action="store_true", help="leave out models that fail the health check")
    command.add_argument("--allow-code", action="store_true", help="run models' code for the metric code_eval, in a sandbox")
    command.add_argument("--dry-run", action="store_true", help="say what would be asked and what it could cost; ask nobody")
    command.add_argument("--seed", type=int, default=0, help="of the jitter between retries (default %(default)s)")
    command.add_argument("--folder", type=Path, help=argparse.SUPPRESS)  # a run that the page has prepared
    command.set_defaults(run=run_run)


def _add_score(group) -> None:
    command = group.add_parser("score", help="score stored answers again", description="Score stored answers again.")
    command.add_argument("--data", type=Path, required=True, metavar="FILE.jsonl", help="rows of a run")
    command.add_argument("--output", type=Path, required=True, metavar="FILE.jsonl", help="where the rows with new scores go")
    command.add_argument("--queries", type=Path, metavar="FILE.jsonl", help="newer ground truths, metrics and choices")
    command.add_argument("--allow-code", action="store_true", help="run models' code for the metric code_eval, in a sandbox")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run_score)


def _add_import(group) -> None:
    command = group.add_parser(
        "import", help="rows from outcome files of the semantic router", description="Rows from outcome files of the semantic router (JSONL, CSV, Parquet)."
    )
    command.add_argument("--data", type=Path, required=True, metavar="FILE", help="query, model_name, performance, response_time …")
    command.add_argument("--output", type=Path, required=True, metavar="FILE.jsonl", help="where the rows go")
    command.set_defaults(run=run_import)


def _models(options: argparse.Namespace):
    import dataclasses

    from lab.benchmark.endpoints import read_models, simple_models
    from lab.benchmark.expand import Expansion
    from lab.benchmark.rules import Rules

    if bool(options.models) == bool(options.model_config):
        raise InputError("Say which models to ask.", "Give either --model-config FILE.yaml or --models a,b.")
    environment = _environment()
    if options.models:
        names = [name.strip() for name in options.models.split(",") if name.strip()]
        models = simple_models(names, options.endpoint, Expansion(environment)(options.api_key, "--api-key"))
    else:
        models = read_models(_text(options.model_config), environment, Rules.own(), options.model_config.name)
    changes = {key: value for key in ("max_tokens", "temperature") if (value := getattr(options, key)) is not None}
    if changes.get("max_tokens", 1) < 1 or changes.get("temperature", 0) < 0:
        raise InputError("--max-tokens or --temperature is too small.", "Use at least 1, and at least 0.")
    return dataclasses.replace(models, endpoints=[dataclasses.replace(one, **changes) for one in models.endpoints])


def _environment() -> dict[str, str]:
    """What ${VARIABLE} can name, and the settings of a server."""
    return Settings.from_environment().environment(Home.from_environment().state)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({type(error).__name__}).", "Check the path; save it as UTF-8.") from None


def run_run(options: argparse.Namespace) -> int:
    from lab.benchmark.ledger import Place
    from lab.benchmark.plan import Plan
    from lab.benchmark.queries import read_queries
    from lab.benchmark.rules import Rules
    from lab.benchmark.runner import run

    if options.folder:
        return _run_folder(options.folder)
    if options.queries is None:
        raise InputError("Say what to ask.", "Give --queries FILE.jsonl.")
    check_output(options.output)
    models, queries = _models(options), read_queries(options.queries, options.limit)
    plan = Plan(
        options.concurrency, options.concise, options.max_calls, options.max_cost, options.retry_failed, options.allow_code,
        options.skip_unhealthy, seed=options.seed,
    )  # fmt: skip
    _tell_inputs(models, queries)
    if options.dry_run:
        return _dry(plan, models, queries)
    status = run(models, queries.rows, Place.of_output(options.output), plan, Rules.own(), _Progress())
    _tell_end(status, options.output)
    return 0 if status["phase"] == "done" else 130 if status["phase"] == "cancelled" else 3


def _run_folder(folder: Path) -> int:
    from lab.benchmark.folder import work

    os.nice(NICE)
    work(folder, _environment())
    return 0


def run_learn(options: argparse.Namespace) -> int:
    from lab.cli.common import workbench
    from lab.errors import LabError

    os.nice(NICE)
    bench = workbench()
    try:
        bench.learn_benchmark(options.folder)
    except LabError as error:
        bench.fail_learning(options.folder, str(error))
        raise
    return 0


def _dry(plan, models, queries) -> int:
    from lab.benchmark.plan import preview

    seen = preview(plan, models, queries.rows)
    cost = "unknown: some model has no price" if seen["cost_usd_at_most"] is None else f"at most ${seen['cost_usd_at_most']:.4f}, without retries"
    print(f"{seen['queries']} queries × {seen['models']} models = {seen['calls']} calls; cost {cost}. Nobody was asked.")
    print_json(seen["examples"])
    return 0


def _tell_inputs(models, queries) -> None:
    for note in models.notes:
        print(f"note: {note}", file=sys.stderr)
    if queries.refused:
        print(f"refused: {len(queries.refused)} lines, first {queries.refused[0][0]}: {queries.refused[0][1]}", file=sys.stderr)
    if queries.repeated:
        print(f"note: {queries.repeated} lines repeat a query, {queries.differing} of them with other fields; the first counts.", file=sys.stderr)
    if queries.without_truth:
        print(f"note: {queries.without_truth} of {len(queries.rows)} queries have no ground truth: their answers get no score.", file=sys.stderr)


class _Progress:
    """A line on stderr where a person can see it."""

    def __init__(self) -> None:
        self._bar = Bar()

    def __call__(self, status: dict[str, Any]) -> None:
        if not sys.stderr.isatty():
            return
        left, rate, cost = status["remaining_s"], status["rate_per_s"], status["cost_usd"]
        more = f"{rate:.1f}/s, {left:.0f} s left" if rate and left is not None else status["phase"]
        self._bar(f"{more}, ${cost:.4f}" if cost is not None else more, status["done"], status["total"])


def _tell_end(status: dict[str, Any], output: Path) -> None:
    print(f"{status['phase']}: {status['done']} of {status['total']} answers in {output}, {status['failed']} failed, {status['calls']} requests in all.")
    if status["interrupted"]:
        print(f"{status['interrupted']} requests were under way when an earlier process ended; they were asked again.")
    for name, one in status["models"].items():
        quality = "–" if one["quality"] is None else f"{one['quality']:.3f}"
        latency = "–" if one["latency_s"] is None else f"{one['latency_s']:.3f} s"
        cost = "unknown" if one["cost_usd"] is None else f"${one['cost_usd']:.4f}" + (f" without {one['cost_unknown']} answers" if one["cost_unknown"] else "")
        print(f"  {name}: quality {quality} (n={one['scored']}), latency {latency} (n={one['ok']}), cost {cost}, failed {one['failed']}, retries {one['retries']}")
    for cause, one in status["causes"].items():
        print(f"  failed, {cause}: {one['n']}, for example {one['example']}")
    for name, why in status["left_out"].items():
        print(f"  left out, {name}: {why}")


def run_score(options: argparse.Namespace) -> int:
    import dataclasses

    from lab.benchmark.importer import rescore
    from lab.benchmark.queries import read_queries

    queries = read_queries(options.queries).rows if options.queries else None
    result = rescore(options.data, options.output, options.allow_code, queries)
    if options.json:
        print_json(dataclasses.asdict(result))
        return 0
    print(f"{result.n} rows, {result.changed} scores changed, {result.unscored} without a score, {result.failed} failed calls, {result.broken} broken lines left out.")
    return 0


def run_import(options: argparse.Namespace) -> int:
    from lab.benchmark.importer import import_rows

    try:
        data = options.data.read_bytes()
    except OSError as error:
        raise InputError(f"{options.data} cannot be read: {error.strerror}.", "Check the path.") from None
    outcomes = import_rows(data, options.data.name, options.output)
    print(f"{len(outcomes.rows)} rows in {options.output}, {len(outcomes.refused)} refused, {outcomes.unscored} without a score left out.")
    for one in outcomes.refused[:5]:
        print(f"  {one.where}: {one.reason}")
    return 0


def run_check(options: argparse.Namespace) -> int:
    import asyncio
    import dataclasses

    from lab.benchmark.client import Asker
    from lab.benchmark.health import check
    from lab.benchmark.rules import Rules

    models = _models(options)

    async def go():
        async with Asker(Rules.own(), models.redact) as asker:
            return await check(asker, models.endpoints)

    found = asyncio.run(go())
    if options.json:
        print_json([dataclasses.asdict(one) for one in found])
    else:
        for one in found:
            told = f"answers in {one.latency_s:.3f} s, {one.mode}{'' if one.tokens else ', reports no tokens'}" if one.ok else f"{one.cause}: {one.message}"
            print(f"{one.name}: {told}")
    return 0 if all(one.ok for one in found) else 1
