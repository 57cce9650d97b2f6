"""``traffic import``."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.cli.common import Bar, print_json, workbench
from lab.curation.masks import documented
from lab.curation.traffic import ALIASES
from lab.errors import InputError


def add(commands) -> None:
    group = commands.add_parser("traffic", help="gateway logs", description="Gateway logs.").add_subparsers(dest="what", required=True, metavar="WHAT")
    take = group.add_parser(
        "import",
        help="prompts of a gateway's log into the curation set, masked",
        description="Prompts of a gateway's log into the curation set: deduplicated, secrets and personal data masked, scored, queued.",
        epilog="Fields: " + ", ".join(ALIASES) + ".",
    )
    take.add_argument("path", type=Path, metavar="FILE", help="JSONL, CSV, Parquet, JSON, or a zip of such files")
    take.add_argument("--map", action="append", default=[], metavar="FIELD=COLUMN", help="where the log calls a field otherwise; a dot goes into an object")
    take.add_argument("--dry-run", action="store_true", help="only say what would happen")
    take.add_argument("--who", default="", metavar="NAME", help="your name (default: the account's), marked unverified")
    take.set_defaults(run=run_import)
    masks = group.add_parser("masks", help="what is masked", description="The patterns that are masked on the way in.")
    masks.add_argument("--json", action="store_true", help="print JSON")
    masks.set_defaults(run=run_masks)


def run_import(options: argparse.Namespace) -> int:
    from lab.cli.curate import person

    bench = workbench()
    plan = bench.plan_traffic(options.path, "", _columns(options.map))
    print(plan.reading.summary)
    for one in plan.reading.refused[:20]:
        print(f"  refused {one.where}: {one.reason}")
    if len(plan.reading.refused) > 20:
        print(f"  … and {len(plan.reading.refused) - 20} more")
    print("read from " + "; ".join(f"{field}: {', '.join(names)}" for field, names in plan.reading.columns.items()))
    print(f"{len(plan.new)} new, {plan.known} in the curation set already")
    if not options.dry_run:
        done = bench.apply_traffic(person(bench, options), plan, Bar())
        print(f"batch {done.batch_id}: {done.new} stored. {done.router} abstains on {done.unsure}; {done.outside} are unlike what it was trained on.")
        print(f"{done.queued} wait in the queue from-traffic")
    return 0


def _columns(given: list[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in given]
    odd = [one for one, (field, mark, column) in zip(given, pairs, strict=True) if not (field and mark and column)]
    if odd:
        raise InputError(f"--map {odd[0]} is not understood.", "Write --map time=ts.")
    return {field: column for field, _, column in pairs}


def run_masks(options: argparse.Namespace) -> int:
    listed = documented()
    if options.json:
        print_json(listed)
        return 0
    for one in listed:
        print(f"{one['name']:<20} {one['mark']:<14} {one['meaning']}")
    return 0
