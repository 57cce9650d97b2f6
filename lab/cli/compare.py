"""``compare A B``: who wins where, and is it more than chance."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.cli.common import Bar, percent, print_json, workbench
from lab.corpus.read import read_corpus
from lab.evaluation.compare import MODES


def add(commands) -> None:
    command = commands.add_parser(
        "compare",
        help="two routers on the same prompts",
        description="Wins, losses, McNemar and paired bootstrap of two routers on the same prompts.",
    )
    command.add_argument("a", metavar="A", help="the router to compare with: a shipped router's name or a folder")
    command.add_argument("b", metavar="B", help="the router that may be better")
    command.add_argument("--data", type=Path, required=True, metavar="PATH", help="labelled prompts (a file or a folder)")
    command.add_argument("--side", choices=("train", "valid", "test"), help="only rows on this side of the shipped corpus's split")
    command.add_argument(
        "--mode", choices=MODES, default="shared", help="shared: labels both have; mapped: labels mapped to their backend (default shared)"
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    bench = workbench()
    rows = bench.on_side(read_corpus(options.data).rows, options.side)
    report = bench.compare(options.a, options.b, rows, options.mode, Bar())
    if options.json:
        print_json(report)
        return 0
    print(
        f"a {report['a']['router']} {report['a']['router_sha256'][:12]}: {percent(report['top1_a'])}    b {report['b']['router']} {report['b']['router_sha256'][:12]}: {percent(report['top1_b'])}"
    )
    low, high = report["difference_low"], report["difference_high"]
    print(
        f"b − a {report['top1_b'] - report['top1_a']:+.1%} [{low:+.1%}, {high:+.1%}], fixed {report['fixed']}, broken {report['broken']}, McNemar p {report['mcnemar_p']:.2g}, n {report['n']}: {report['verdict']}"
    )
    if report["rows_from_training"]:
        print(f"warning: {report['rows_from_training']} of these prompts were in the training data of a or b")
    worst = sorted(report["per_domain"].items(), key=lambda item: item[1]["fixed"] - item[1]["broken"])
    for label, row in [*worst[:5], *worst[-5:]] if len(worst) > 10 else worst:
        print(
            f"  {label:<40} n {row['n']:>4}  {row['recall_a']:.0%} → {row['recall_b']:.0%}  +{row['fixed']} −{row['broken']}"
            + ("" if row["judged"] else "  cannot judge")
        )
    return 0
