"""``behave``: does a router give the same answer when only the manner of asking changes?"""

from __future__ import annotations

import argparse

from lab.cli.common import Bar, percent, print_json, workbench


def add(commands) -> None:
    command = commands.add_parser(
        "behave",
        help="flip rates under typos, casing, greetings, length, language",
        description="Behavioural suites: how often the answer flips when only the manner of asking changes.",
    )
    command.add_argument("--router", help="a shipped router's name or a router folder (default lab-47)")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    report = workbench().behaviour(options.router, Bar())
    if options.json:
        print_json(report)
        return 0
    bound, multi = report["bound_to"], report["multi_topic"]
    print(f"{bound['router']} {bound['router_sha256'][:12]}, suites {bound['suites_sha256'][:12]}, {report['base_prompts']} base prompts")
    print(f"{'suite':<17}{'n':>5}  {'flips':<23}{'to another backend':<23}{'right before':>13}{'after':>8}  flips by language")
    for name, row in report["suites"].items():
        print(
            f"{name:<17}{row['n']:>5}  {percent(row['flip_rate'], row['interval']):<23}{percent(row['cost_flip_rate'], row['cost_interval']):<23}"
            f"{percent(row['accuracy_before']):>13}{percent(row['accuracy_after']):>8}  "
            + ", ".join(f"{lang} {percent(part['flip_rate'])}" for lang, part in row["per_language"].items())
        )
    print(
        f"two topics, n={multi['n']}: both in the top 2 {percent(multi['both_in_top2'], multi['interval'])}, "
        f"recall at 3 {percent(multi['recall_at_3'], multi['recall_interval'])}"
    )
    if report["left_out"]:
        print(f"left out, domain unknown to the router: {report['left_out']}")
    return 0
