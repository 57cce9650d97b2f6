"""``queue``, ``label``, ``batch``."""

from __future__ import annotations

import argparse
import getpass
import json
import uuid
from pathlib import Path

from lab.cli.common import Bar, print_json, workbench
from lab.curation.state import Actor, State, Write
from lab.errors import InputError
from lab.files import check_output, jsonl_dump, write_bytes


def add(commands) -> None:
    group = commands.add_parser("queue", help="queues of prompts that wait for a curator", description="Queues.").add_subparsers(
        dest="what", required=True, metavar="WHAT"
    )
    listing = group.add_parser("list", help="every queue with its counts", description="Every queue, built or not.")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=run_list)
    build = group.add_parser("build", help="make a queue anew", description="Make a queue anew from the labels as they are now.")
    build.add_argument("name", metavar="NAME")
    _who(build)
    build.set_defaults(run=run_build)
    export = group.add_parser("export", help="a queue as JSONL", description="The undecided items of a queue, in order, as JSONL.")
    export.add_argument("name", metavar="NAME")
    export.add_argument("--out", type=Path, metavar="FILE", help="instead of the screen")
    export.set_defaults(run=run_export)
    label = commands.add_parser("label", help="relabel one prompt", description="Relabel one prompt, if its label is still the one you have seen.")
    label.add_argument("id", metavar="ID", help="the prompt's id, or its first characters")
    label.add_argument("--to", required=True, metavar="DOMAIN")
    label.add_argument("--seen", required=True, metavar="DOMAIN", help="the label it has now; '' for none")
    label.add_argument("--reason", default="", help="why")
    _who(label)
    label.set_defaults(run=run_label)
    revert = commands.add_parser("revert", help="take back a batch", description="Take back a batch where nobody has changed it since.")
    revert.add_argument("batch", metavar="BATCH")
    _who(revert)
    revert.set_defaults(run=run_revert)


def _who(command: argparse.ArgumentParser) -> None:
    command.add_argument("--who", default="", metavar="NAME", help="your name (default: the account's), marked unverified")


def person(bench, options: argparse.Namespace) -> Actor:
    return bench.actor(options.who or getpass.getuser())


def run_list(options: argparse.Namespace) -> int:
    queues = workbench().queues()
    if options.json:
        print_json([{name: value for name, value in vars(one).items()} for one in queues])
        return 0
    for one in queues:
        built = f"built {one.built_at_utc[:16]}, {one.stale} labels changed since" if one.built_at_utc else "not built"
        print(f"{one.name:<20} {one.left:>6} of {one.count:<6} {built}")
    return 0


def run_build(options: argparse.Namespace) -> int:
    bench = workbench()
    made = bench.build_queue(person(bench, options), options.name, progress=Bar())
    print(f"{made.name}: {made.count} items. {made.note}".rstrip())
    return 0


def run_export(options: argparse.Namespace) -> int:
    if options.out:
        check_output(options.out)
    rows = [
        {"id": prompt.id, "text": prompt.text, "label": state.domain, "also": list(state.also), "split": prompt.split, "score": round(item.score, 6), "reason": item.reason, "suggestion": item.suggestion, "detail": dict(item.detail)}
        for prompt, state, item in workbench().peek(options.name)
    ]  # fmt: skip
    if options.out:
        write_bytes(options.out, jsonl_dump(rows))
        print(f"{options.out}: {len(rows)} items")
    else:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
    return 0


def run_label(options: argparse.Namespace) -> int:
    bench = workbench()
    prompt, state = bench.find(options.id)
    seen = State(options.seen or None, state.also, state.routable, state.flagged)
    after = State(bench.taxonomy.canonical(options.to), state.also, True, state.flagged)
    write = Write(f"cli-{uuid.uuid4().hex}", 0, prompt.id, "label", seen, after, reason=options.reason)
    outcome = bench.write(person(bench, options), [write])[0]
    if outcome.status != "stored":
        raise InputError(outcome.message, "See python -m lab queue export, or the Curation set.")
    print(f"{prompt.id[:12]}: {seen} → {outcome.state} (event {outcome.event_id})")
    return 0


def run_revert(options: argparse.Namespace) -> int:
    bench = workbench()
    found = [one for one in bench.batches() if one.id.startswith(options.batch)]
    if len(found) != 1:
        raise InputError(f"{len(found)} batches begin with '{options.batch}'.", "Give more of its id.")
    done = bench.revert_batch(person(bench, options), found[0].id)
    print(f"batch {done.id[:12]}: {done.applied} labels taken back, {done.conflicts} changed since and left")
    return 0
