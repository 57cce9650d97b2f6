"""``evaluate router``."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.cli.common import Bar, percent, print_json, workbench
from lab.corpus.read import read_corpus
from lab.evaluation.write import write_report
from lab.files import check_output


def add(commands) -> None:
    group = commands.add_parser("evaluate", help="measure a router on labelled prompts", description="Measure a model.").add_subparsers(
        dest="what", required=True, metavar="WHAT"
    )
    command = group.add_parser(
        "router", help="figures with intervals, bound to weights and data", description="Figures with intervals, bound to weights and data."
    )
    command.add_argument("--router", help="a shipped router's name or a router folder (default lab-47)")
    command.add_argument("--data", type=Path, required=True, metavar="FILE.jsonl", help="labelled prompts (a file or a folder)")
    command.add_argument("--side", choices=("train", "valid", "test"), help="only rows on this side of the shipped corpus's split")
    command.add_argument("--report", type=Path, metavar="DIR", help="also write report.json, per_domain.csv and predictions.jsonl there")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.report:
        check_output(options.report, folder=True)
    bench = workbench()
    reading = read_corpus(options.data)
    rows = (
        reading.rows if not options.side else [row for row in reading.rows if (row.split or bench.frozen_split.get(row.id)) == options.side]
    )
    report = bench.evaluate(options.router, rows, Bar())
    report["refused"] = [{"where": one.where, "reason": one.reason} for one in reading.refused]
    if options.report:
        write_report(options.report, report, bench.predictions(options.router, rows))
    if options.json:
        print_json(report)
        return 0
    inside = report["intervals"]
    print(
        f"{report['bound_to']['router']} {report['bound_to']['router_sha256'][:12]} on {report['n']} prompts (data {report['bound_to']['data_sha256'][:12]})"
    )
    print(
        f"top-1 {percent(report['top1'], inside['top1'])}  top-3 {percent(report['top3'], inside['top3'])}  macro-F1 {percent(report['macro_f1'], inside['macro_f1'])}  ECE {report['ece']:.3f}"
    )
    for name, part in (("language", report["per_language"]), ("part", report["per_part"])):
        print(f"by {name}: " + ", ".join(f"{key} {percent(row['top1'], row['interval'])} n={row['n']}" for key, row in part.items()))
    if report["rows_from_training"]:
        print(f"warning: {report['rows_from_training']} of these rows were in the router's training data; the figures flatter it")
    if report["unknown_labels"]:
        print(f"not judged, label unknown to the router: {report['unknown_labels']}")
    if report["refused"]:
        print(f"refused: {len(report['refused'])} rows, first {report['refused'][0]}")
    return 0
