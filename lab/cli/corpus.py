"""``corpus health``."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.cli.common import print_json
from lab.corpus.read import read_corpus


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
