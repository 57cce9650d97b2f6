"""``corpus health``, ``corpus import``, ``corpus export``, ``corpus diff``."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.cli.common import print_json, workbench
from lab.corpus.read import read_corpus
from lab.files import check_output


def add(commands) -> None:
    group = commands.add_parser("corpus", help="look at a corpus", description="Look at a corpus.").add_subparsers(
        dest="what", required=True, metavar="WHAT"
    )
    command = group.add_parser(
        "health",
        help="mojibake, duplicates, refused rows …",
        description="What would mislead a router. Exit status 2 if there is an error-level finding.",
    )
    command.add_argument("path", type=Path, metavar="PATH", help="a JSONL file or a folder of them")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)
    take = group.add_parser("import", help="labelled prompts into the curation set", description="Labelled prompts into the curation set, as one batch.")
    take.add_argument("path", type=Path, metavar="PATH", help="JSONL, CSV, Parquet, Hugging Face folder or zip, Argilla or Label Studio JSON")
    take.add_argument("--dry-run", action="store_true", help="only say what would happen")
    take.add_argument("--keep-labels", action="store_true", help="only new prompts; labels of known ones stay")
    take.add_argument("--who", default="", metavar="NAME", help="your name (default: the account's), marked unverified")
    take.set_defaults(run=run_import)
    give = group.add_parser("export", help="the curation set as a file", description="The curation set as a file: the same labels give the same bytes.")
    give.add_argument("path", type=Path, metavar="PATH", help="the file to write; a folder for huggingface")
    give.add_argument("--format", default="jsonl", help="jsonl, csv, parquet, huggingface, argilla, label-studio (default jsonl)")
    give.add_argument("--changed", action="store_true", help="only prompts whose label has changed since the shipped corpus")
    give.set_defaults(run=run_export)
    diff = group.add_parser("diff", help="what has changed", description="Labels that differ from those after an event (default: the shipped corpus).")
    diff.add_argument("--since", type=int, metavar="EVENT", help="an event's number")
    diff.add_argument("--json", action="store_true", help="print JSON")
    diff.set_defaults(run=run_diff)


def run_import(options: argparse.Namespace) -> int:
    from lab.cli.curate import person

    bench = workbench()
    plan = bench.plan_import(options.path)
    print(plan.reading.summary)
    for one in plan.reading.refused[:20]:
        print(f"  refused {one.where}: {one.reason}")
    if len(plan.reading.refused) > 20:
        print(f"  … and {len(plan.reading.refused) - 20} more")
    print(f"{len(plan.new)} new, {len(plan.changed)} with another label, {plan.same} the same")
    if not options.dry_run:
        done = bench.apply_import(person(bench, options), plan, not options.keep_labels)
        print(f"batch {done.id}: {done.applied} stored, {done.conflicts} in conflict")
    return 0


def run_export(options: argparse.Namespace) -> int:
    from lab.curation.formats.export import save

    check_output(options.path, folder=options.format == "huggingface" and options.path.suffix != ".zip")
    bench = workbench()
    made = bench.export_set(options.format, [one.prompt.id for one in bench.changes()] if options.changed else None)
    save(made, options.path)
    print(f"{options.path}: {made.n} prompts, file sha256 {made.sha256}, labels sha256 {made.labels_sha256}")
    return 0


def run_diff(options: argparse.Namespace) -> int:
    found = workbench().diff(options.since)
    if options.json:
        print_json(found.to_json())
        return 0
    print(found.summary)
    for (before, after), n in list(found.moves.items())[:30]:
        print(f"{n:>6}  {before} → {after}")
    return 0


def run(options: argparse.Namespace) -> int:
    from lab.corpus.health import examine

    health = examine(read_corpus(options.path))
    if options.json:
        print_json(health.to_json())
    else:
        print(
            f"{options.path}: {health.rows} rows, {len(health.per_domain)} domains, sha256 {health.corpus_sha256}: {'healthy' if health.healthy else 'NOT healthy'}"
        )
        print("languages " + ", ".join(f"{key} {n}" for key, n in health.per_language.items()))
        print("characters " + ", ".join(f"{key} {n}" for key, n in health.length_characters.items()))
        for finding in health.findings:
            print(f"{finding.severity:>8} {finding.count:>6} {finding.kind}: {finding.meaning}")
            for example in finding.examples[: 3 if finding.severity != "info" else 0]:
                print(f"{'':>16}{example.get('where', '')} {example['what']}")
    return 0 if health.healthy else 2
