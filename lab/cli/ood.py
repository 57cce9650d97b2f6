"""``ood``: how well out-of-domain scores tell strangers from the prompts a router is for."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.cli.common import Bar, percent, print_json, workbench
from lab.corpus.read import read_corpus
from lab.errors import InputError
from lab.evaluation.ood_report import read_prompts

PARTS = ("dev", "held")


def add(commands) -> None:
    command = commands.add_parser(
        "ood",
        help="measure out-of-domain scores",
        description="AUROC and FPR95 of every out-of-domain score, with intervals, bound to router, data and encoder.",
    )
    command.add_argument("--router", help="a shipped router's name or a router folder (default lab-47)")
    command.add_argument(
        "--in",
        dest="inside",
        type=Path,
        metavar="FILE",
        help="in-domain prompts, JSONL or a folder (default: the shipped corpus, side test)",
    )
    command.add_argument(
        "--side", choices=("train", "valid", "test"), help="only in-domain rows on this side of the shipped corpus's split"
    )
    command.add_argument(
        "--out", dest="outside", type=Path, metavar="FILE", help="out-of-domain prompts, JSONL (default: models/out_of_domain.jsonl)"
    )
    command.add_argument("--part", choices=PARTS, help="only out-of-domain rows with this split: choose a score on dev, report it on held")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    bench = workbench()
    reading = read_corpus(options.inside or bench.home.corpus)
    side = options.side or (None if options.inside else "test")
    inside = bench.on_side(reading.rows, side)
    prompts, refused = read_prompts(options.outside or bench.home.out_of_domain)
    outside = [one for one in prompts if options.part is None or one.split == options.part]
    if not inside or not outside:
        what, why = ("in-domain", f"--side {side}") if not inside else ("out-of-domain", f"--part {options.part}")
        raise InputError(f"No {what} prompt is left by {why}.", "Leave the option out, or give other data.")
    report = bench.ood_report(options.router, inside, outside, Bar())
    report |= {
        "side": side,
        "part": options.part,
        "refused": [{"where": one.where, "reason": one.reason} for one in (*reading.refused, *refused)],
    }
    if options.json:
        print_json(report)
        return 0
    print(f"{report['router']} {report['router_sha256'][:12]}, {report['n_in']} in-domain and {report['n_out']} out-of-domain prompts")
    for name, row in sorted(report["scores"].items(), key=lambda item: -item[1]["auroc"]):
        print(f"  {name:<22} AUROC {_number(row['auroc'], row['auroc_interval'])}  FPR95 {percent(row['fpr95'], row['fpr95_interval'])}")
    print(report["sentence"])
    if report["foreign_domains"]:
        print(f"left out, domain unknown to the router: {report['foreign_domains']}")
    if report["refused"]:
        print(f"refused: {len(report['refused'])} rows, first {report['refused'][0]}")
    return 0


def _number(value: float, interval: list[float]) -> str:
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"
