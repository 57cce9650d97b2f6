"""``route``: one prompt, or a file of them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lab.cli.common import Bar, print_json, workbench
from lab.corpus.read import text_of
from lab.errors import InputError
from lab.files import check_output, jsonl_dump, jsonl_lines, write_bytes
from lab.router.calibrate import DEFAULT_TARGET, TARGETS
from lab.text.prepare import fault


def add(commands) -> None:
    command = commands.add_parser(
        "route", help="route a prompt, or a JSONL file of prompts", description="Say where a prompt goes and why."
    )
    command.add_argument("text", nargs="?", metavar="TEXT", help="the prompt; '-' reads it from standard input")
    command.add_argument("--router", help="a shipped router's name or a router folder (default lab-47)")
    command.add_argument("--top-k", type=int, default=5, metavar="K", help="domains to list (default 5)")
    command.add_argument(
        "--target",
        type=float,
        default=DEFAULT_TARGET,
        choices=TARGETS,
        help=f"precision below which the router abstains (default {DEFAULT_TARGET})",
    )
    command.add_argument("--guard", action="store_true", help="also abstain on prompts unlike the training prompts")
    command.add_argument("--file", type=Path, metavar="IN.jsonl", help="route every row (field prompt or text); other fields are kept")
    command.add_argument("--output", type=Path, metavar="OUT.jsonl", help="where the routed rows go; a field 'route' is added")
    command.add_argument(
        "--skip-bad", action="store_true", help="leave rows that cannot be routed out of the output (they are listed) instead of stopping"
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.top_k < 1:
        raise InputError(f"--top-k is {options.top_k}.", "Use 1 or more.")
    if options.file:
        return _file(options)
    if options.output or options.text is None:
        raise InputError(
            "Nothing to route." if options.text is None else "--output goes with --file.",
            "Give a TEXT, or --file IN.jsonl --output OUT.jsonl.",
        )
    text = _standard_input() if options.text == "-" else options.text
    route = workbench().route(text, options.router, options.top_k, options.target, options.guard)
    if options.json:
        print_json(route.to_json())
        return 0
    print(f"{'abstains' if route.decision.abstained else route.decision.domain}  ({route.decision.reason})")
    if route.backend:
        print(f"backend {route.backend}" + (f", specialist {route.specialist}" if route.specialist else ""))
    for domain, score, probability in route.domains:
        print(f"  {domain:<22} score {score:.3f}" + ("" if probability is None else f"  probability {probability:.3f}"))
    print(f"router {route.router} {route.router_sha256[:12]}, {route.precision}, {route.timings_ms['total']:.1f} ms")
    return 0


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise InputError(f"Standard input is not UTF-8 (byte {error.start + 1}).", "Save or convert it as UTF-8.") from None


def _file(options: argparse.Namespace) -> int:
    if options.text is not None or not options.output:
        raise InputError("--file needs --output and no TEXT.", "Use: route --file IN.jsonl --output OUT.jsonl")
    check_output(options.output)
    good: list[dict] = []
    texts: list[str] = []
    bad: list[str] = []
    for number, value in jsonl_lines(options.file):
        text = value if isinstance(value, str) else text_of(value)
        problem = value if isinstance(value, str) else "no prompt: expected a field prompt or text" if text is None else fault(text)
        if problem:
            bad.append(f"{options.file}:{number}: {problem}")
        else:
            good.append(value)
            texts.append(text)
    if bad and not options.skip_bad:
        more = f" … and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise InputError(
            f"{len(bad)} of {len(bad) + len(good)} rows cannot be routed; nothing was written. {'; '.join(bad[:5])}{more}.",
            "Mend them, or use --skip-bad.",
        )
    routes = workbench().route_many(texts, options.router, options.top_k, options.target, Bar(), options.guard)
    rows = []
    for value, route in zip(good, routes, strict=True):
        answer = route.to_json()
        del answer["timings_ms"]
        rows.append(value | {"route": answer})
    write_bytes(options.output, jsonl_dump(rows))
    summary = {
        "routed": len(rows),
        "abstained": sum(route.decision.abstained for route in routes),
        "bad": bad,
        "output": str(options.output),
    }
    if options.json:
        print_json(summary)
    else:
        print(f"{summary['routed']} routed, {summary['abstained']} of them abstained, {len(bad)} left out → {options.output}")
        for line in bad:
            print(f"  left out: {line}", file=sys.stderr)
    return 0
