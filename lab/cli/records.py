"""``records``, ``hub``, ``gate``, ``doctor-taxonomy``, ``replay``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from lab.cli.common import Bar, print_json, workbench
from lab.cli.curate import person
from lab.errors import InputError, LabError
from lab.use_cases.examining import LEARNING

MAX_RECORD_BYTES = 20_000_000


def add(commands) -> None:
    records = commands.add_parser("records", help="transparency records of a version", description="Model card, Annex IV lineage, corpus record, training-data document.")
    records.add_argument("version", metavar="VERSION", help="its name, the beginning of its id, champion, or: diff")
    records.add_argument("more", nargs="*", metavar="FILE", help="after diff: a version, then earlier records")
    records.add_argument("--output", type=Path, metavar="DIR", help="a new folder for the records (default: list them)")
    records.add_argument("--json", action="store_true", help="print JSON")
    records.set_defaults(run=run_records)
    group = commands.add_parser("hub", help="push a version to the Hugging Face Hub, or pull one", description="The Hugging Face Hub; the token is that of hf auth login or HF_TOKEN.")
    ways = group.add_subparsers(dest="what", required=True, metavar="WHAT")
    push = ways.add_parser("push", help="a version with its records as one commit")
    push.add_argument("version", metavar="VERSION")
    push.add_argument("repository", metavar="OWNER/NAME")
    push.add_argument("--public", action="store_true", help="make a new repository public (default: private)")
    pull = ways.add_parser("pull", help="a repository as a version")
    pull.add_argument("repository", metavar="OWNER/NAME")
    pull.add_argument("--revision", metavar="REVISION", help="a branch, tag or commit (default: main)")
    for one, run in ((push, run_push), (pull, run_pull)):
        one.add_argument("--endpoint", metavar="URL", help="another hub")
        _who(one)
        one.set_defaults(run=run)
    gate = commands.add_parser("gate", help="hold a version against the champion", description="Hold a version against the champion on the frozen test side; needed before an imported one is promoted.")
    gate.add_argument("version", metavar="VERSION")
    _who(gate)
    gate.set_defaults(run=run_gate)
    doctor = commands.add_parser("doctor-taxonomy", help="which domains need prompts, which borders need care", description="Separability of the pairs most confused; learning curves; a merge or a split tried.")
    doctor.add_argument("--learning", action="store_true", help="fit learning curves of all domains (minutes)")
    doctor.add_argument("--target", type=float, default=0.85, metavar="F1", help="of the learning curves (default 0.85)")
    doctor.add_argument("--merge", nargs="+", metavar="DOMAIN", help="try these domains as one")
    doctor.add_argument("--split", metavar="DOMAIN", help="try this domain as two clusters of its vectors")
    doctor.add_argument("--pairs", type=int, default=10, metavar="N", help="how many of the most confused pairs (default 10)")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    _who(doctor)
    doctor.set_defaults(run=run_doctor)
    replay = commands.add_parser("replay", help="traffic prompts through two versions", description="The last traffic prompts through two versions: which answers change. Nothing is served.")
    replay.add_argument("a", metavar="A")
    replay.add_argument("b", metavar="B")
    replay.add_argument("--last", type=int, default=1_000, metavar="N", help="how many prompts (default 1000)")
    replay.add_argument("--json", action="store_true", help="print JSON")
    replay.set_defaults(run=run_replay)


def _who(command: argparse.ArgumentParser) -> None:
    command.add_argument("--who", default="", metavar="NAME", help="your name (default: the account's), marked unverified")


def run_records(options: argparse.Namespace) -> int:
    bench = workbench()
    if options.version == "diff":
        return _diff(bench, options)
    if options.more:
        raise InputError(f"{options.more[0]} is one argument too many.", "Write: records VERSION --output DIR, or records diff VERSION FILE …")
    if options.output:
        for path in bench.export_version_records(options.version, options.output):
            print(path)
        return 0
    made = bench.version_records(options.version)
    if options.json:
        print_json(made)
        return 0
    for name, text in made.items():
        print(f"{name:<20} {len(text.encode()):>8,} bytes")
    print("Every figure in them is the computed one. Write them with --output DIR.")
    return 0


def _diff(bench, options: argparse.Namespace) -> int:
    """Exit status 3 if an earlier record contradicts the version or itself."""
    if len(options.more) < 2:
        raise InputError("There is nothing to compare.", "Write: records diff VERSION FILE …")
    found = bench.diff_version_records(options.more[0], {Path(one).name: _text(Path(one)) for one in options.more[1:]})
    if options.json:
        print_json([{"name": one.name, "stated": list(one.stated), "computed": one.computed, "where": list(one.where), "sentence": one.sentence} for one in found])
    else:
        for one in found:
            print(f"  {one.sentence}")
        print(f"{len(found)} contradictions")
    return 3 if found else 0


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_RECORD_BYTES:
            raise InputError(f"{path} has over {MAX_RECORD_BYTES:,} bytes.", "A record is a text.")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as text ({error}).", "Name a Markdown or JSON file.") from None


def run_push(options: argparse.Namespace) -> int:
    bench = workbench()
    done = bench.push_version(person(bench, options), options.version, options.repository, not options.public, options.endpoint)
    print(f"{done.repository}: commit {done.commit}\n{done.url}")
    return 0


def run_pull(options: argparse.Namespace) -> int:
    bench = workbench()
    version = bench.pull_version(person(bench, options), options.repository, options.revision, options.endpoint)
    print(f"{version.short} {version.about.get('name', '')}".rstrip())
    for clause in version.about.get("unknown", []):
        print(f"  not known: {clause}")
    return 0


def run_gate(options: argparse.Namespace) -> int:
    bench = workbench()
    job = _finished(bench, bench.start_gate(person(bench, options), options.version))
    verdict = job.result["verdict"]
    for check in verdict["checks"]:
        print(f"  {'passed ' if check['passed'] else 'REFUSED'} {check['name']}: {check['sentence']}")
    return 0 if verdict["passed"] else 3


def _finished(bench, job):
    bar = Bar()
    while job.open:
        time.sleep(0.3)
        bench.open_jobs()
        job = bench.job(job.id)
        bar(job.stage, job.done, job.total)
    if job.status != "done":
        raise LabError(f"The job is {job.status}. {job.error}", "See python -m lab jobs.")
    return job


def run_doctor(options: argparse.Namespace) -> int:
    bench, bar = workbench(), Bar()
    if options.learning:
        job = _finished(bench, bench.start_learning(person(bench, options), options.target))
        found, sentences = job.result["curves"], [one["sentence"] for one in job.result["curves"]]
    elif options.merge or options.split:
        tried = bench.try_merge(options.merge, bar) if options.merge else bench.try_split(options.split, progress=bar)
        found, sentences = tried.to_json(), [tried.sentence, *(f"  {name}: recall {a:.1%} → {b:.1%}" for name, a, b in tried.neighbours)]
    else:
        pairs = bench.confused_pairs(options.pairs)
        apart = bench.pair_separability([(a, b) for a, b, _ in pairs], bar)
        found = [vars(one) for one in apart]
        sentences = [f"{one.a} and {one.b}: AUC {one.auc:.3f} [{one.interval[0]:.3f}, {one.interval[1]:.3f}], n {one.n_a} and {one.n_b}. {one.verdict}" for one in apart]
    if options.json:
        print_json(found)
        return 0
    print("\n".join(sentences) or "The champion confuses no pair with enough prompts on the validation side.")
    known = bench.learning_curves() if not options.learning else None
    if known:
        print(f"Learning curves of {known[0].finished_at_utc[:16]} UTC are kept: --learning fits them anew ({LEARNING}).")
    return 0


def run_replay(options: argparse.Namespace) -> int:
    found = workbench().replay(options.a, options.b, options.last, Bar())
    if options.json:
        print_json(found.to_json())
        return 0
    print(found.sentence)
    for one in found.changed[:30]:
        print(f"  {one.count:>5} × {one.before} → {one.after}{' (other backend)' if one.costly else ''}: {one.text[:80]!r}")
    return 0
