"""``retrain``, ``jobs``, ``worker``, ``versions``, ``promote``, ``rollback``, ``preview``."""

from __future__ import annotations

import argparse
import os
import socket
import time
from pathlib import Path

from lab.cli.common import Bar, print_json, workbench
from lab.cli.curate import person
from lab.errors import InputError, LabError
from lab.router.adapt import Plan as Deep


def add(commands) -> None:
    preview = commands.add_parser("preview", help="what a retrain would change", description="Which held-out prompts a retrain would answer otherwise, in seconds.")
    preview.add_argument("--json", action="store_true", help="print JSON")
    preview.set_defaults(run=run_preview)
    _add_retrain(commands)
    listing = commands.add_parser("jobs", help="retrains", description="Retrains: queued, running, done, failed, cancelled, lost.")
    listing.add_argument("--cancel", metavar="JOB", help="ask one to stop")
    _who(listing)
    listing.set_defaults(run=run_jobs)
    worker = commands.add_parser("worker", help="run one queued job (started by retrain)", description="Run one queued job.")
    worker.add_argument("job", metavar="JOB")
    worker.set_defaults(run=run_worker)
    versions = commands.add_parser("versions", help="versions of routers", description="Every version, the champion marked.")
    versions.add_argument("--verify", action="store_true", help="compute every hash again")
    versions.add_argument("--json", action="store_true", help="print JSON")
    versions.set_defaults(run=run_versions)
    promote = commands.add_parser("promote", help="let a version serve", description="Let a version serve, if the gate has passed it.")
    promote.add_argument("version", metavar="VERSION", help="its name, or the beginning of its id")
    promote.add_argument("--reason", default="", help="why, if the gate refused it: recorded")
    _who(promote)
    promote.set_defaults(run=run_promote)
    rollback = commands.add_parser("rollback", help="let an earlier champion serve again", description="Let an earlier champion serve again.")
    rollback.add_argument("version", nargs="?", default="", metavar="VERSION", help="default: the one before the champion")
    rollback.add_argument("--reason", default="", help="why: recorded")
    _who(rollback)
    rollback.set_defaults(run=run_rollback)
    export = commands.add_parser("export-router", help="a version as a gateway's folder", description="router.safetensors, meta.json and label_map.json of a version.")
    export.add_argument("version", metavar="VERSION")
    export.add_argument("folder", type=Path, metavar="DIR")
    export.set_defaults(run=run_export)
    take = commands.add_parser("import-router", help="a router folder as a version", description="A router folder from elsewhere as a version; what it does not say is listed.")
    take.add_argument("folder", type=Path, metavar="DIR")
    take.add_argument("--name", default="")
    _who(take)
    take.set_defaults(run=run_import)


def _add_retrain(commands) -> None:
    retrain = commands.add_parser("retrain", help="train a candidate on the curation set", description="Train, evaluate, publish and judge a candidate, in a process of its own.")
    retrain.add_argument("--recipe", default="", help="a recipe of models/recipes.yaml (default: the champion's)")
    retrain.add_argument("--epochs", type=int, help="instead of the recipe's")
    retrain.add_argument("--learning-rate", type=float, help="instead of the recipe's")
    retrain.add_argument("--seed", type=int, help="instead of the recipe's")
    retrain.add_argument("--deep", action="store_true", help="adapt the encoder to the labels first: minutes to an hour")
    retrain.add_argument("--layers", type=int, help=f"with --deep: upper layers to train (default {Deep().layers})")
    retrain.add_argument("--encoder-epochs", type=int, help=f"with --deep: epochs of the encoder (default {Deep().epochs})")
    retrain.add_argument("--wait", action="store_true", help="show the progress and the verdict")
    retrain.add_argument("--anyway", action="store_true", help="even if no label has changed")
    _who(retrain)
    retrain.set_defaults(run=run_retrain)


def _who(command: argparse.ArgumentParser) -> None:
    command.add_argument("--who", default="", metavar="NAME", help="your name (default: the account's), marked unverified")


def run_preview(options: argparse.Namespace) -> int:
    found = workbench().preview(Bar())
    if options.json:
        print_json(found.to_json())
        return 0
    print(found.sentence)
    for flip in found.flips[:30]:
        print(f"  {flip.kind:<8} {flip.before} → {flip.after} (label {flip.label}): {flip.text[:80]!r}")
    return 0


def run_retrain(options: argparse.Namespace) -> int:
    bench = workbench()
    given = (("epochs", options.epochs), ("learning_rate", options.learning_rate), ("seed", options.seed))
    changes = {name: value for name, value in given if value is not None}
    job = bench.start_retrain(person(bench, options), options.recipe, changes, options.anyway, _deep(options))
    print(f"job {job.id} is {job.status}")
    bar, shown = Bar(), 0
    while options.wait and job.open:
        time.sleep(0.3)
        bench.open_jobs()
        job = bench.job(job.id)
        bar(job.stage, job.done, job.total)
        lines = bench.job_log(job.id, "line")
        for _, _, line in lines[shown:]:
            print(line)
        shown = len(lines)
    if not options.wait:
        return 0
    for _, _, line in bench.job_log(job.id, "line")[shown:]:
        print(line)
    if job.status != "done":
        raise LabError(f"The job is {job.status}. {job.error}", "See python -m lab jobs.")
    print(f"{job.result['name']} {job.result['version'][:12]} after {job.result['seconds']:.1f} s; stages in s: {job.result['stages']}")
    verdict = job.result["verdict"]
    for check in verdict["checks"]:
        print(f"  {'passed ' if check['passed'] else 'REFUSED'} {check['name']}: {check['sentence']}")
    return 0 if verdict["passed"] else 3


def _deep(options: argparse.Namespace) -> dict[str, int] | None:
    given = {name: value for name, value in (("layers", options.layers), ("epochs", options.encoder_epochs)) if value is not None}
    if given and not options.deep:
        raise InputError("--layers and --encoder-epochs are of the encoder, which a quick retrain does not touch.", "Add --deep.")
    return given if options.deep else None


def run_jobs(options: argparse.Namespace) -> int:
    bench = workbench()
    if options.cancel:
        found = [job for job in bench.recent_jobs() if job.id.startswith(options.cancel)]
        if len(found) != 1:
            raise InputError(f"{len(found)} jobs begin with '{options.cancel}'.", "Give more of its id.")
        print(f"{found[0].id[:12]}: {bench.cancel_job(person(bench, options), found[0].id).status}, asked to stop")
        return 0
    bench.open_jobs()
    for job in bench.recent_jobs():
        print(f"{job.id[:12]}  {job.created_at_utc[:19]}  {job.status:<9} {job.stage} {job.done}/{job.total}  {job.who}  {job.error}".rstrip())
    return 0


def run_worker(options: argparse.Namespace) -> int:
    from lab.use_cases.retraining import NICE

    os.setpriority(os.PRIO_PROCESS, 0, NICE)
    status = workbench().run_job(options.job, f"{socket.gethostname()}:{os.getpid()}")
    return 0 if status == "done" else 1


def run_versions(options: argparse.Namespace) -> int:
    bench = workbench()
    infos, bad = bench.version_list(), 0
    if options.json:
        print_json([
            {"id": one.id, "name": one.name, "champion": one.champion, "passed": one.verdict.passed if one.verdict else None, "problems": [str(p) for p in one.problems]}
            for one in infos
        ])  # fmt: skip
        return 0
    for one in infos:
        problems = one.problems or (tuple(bench.verify_version(one.id)) if options.verify else ())
        verdict = "" if one.verdict is None else "gate passed" if one.verdict.passed else "gate refused"
        print(f"{'*' if one.champion else ' '} {one.id[:12]}  {one.name:<16} {verdict:<12} {'; '.join(map(str, problems)) or ('sound' if options.verify else '')}".rstrip())
        bad += bool(problems)
    return 2 if bad else 0


def run_promote(options: argparse.Namespace) -> int:
    bench = workbench()
    done = bench.promote(person(bench, options), options.version, bench.champion().id, options.reason)
    print(f"{done.version[:12]} serves since {done.at_utc[:19]} UTC; it replaced {done.replaced[:12]}")
    print(bench.plain_loss(done.version) or "A plain gateway loads all of it.")
    return 0


def run_rollback(options: argparse.Namespace) -> int:
    bench = workbench()
    champion = bench.champion().id
    target = options.version or next((one.version for one in bench.promotion_history() if one.version != champion), "")
    if not target:
        raise InputError("No other version has served before.", "Promote one first.")
    version = bench.version(target)
    if version.id not in {one.version for one in bench.promotion_history()}:
        raise InputError(f"{target} has never served.", "Promote it: the gate looks at it then.")
    done = bench.promote(person(bench, options), version.id, champion, options.reason)
    print(f"rolled back to {done.version[:12]}")
    return 0


def run_export(options: argparse.Namespace) -> int:
    bench = workbench()
    print(bench.export_version(options.version, options.folder))
    print(bench.plain_loss(options.version) or "A plain gateway loads all of it.")
    return 0


def run_import(options: argparse.Namespace) -> int:
    bench = workbench()
    version = bench.import_version(person(bench, options), options.folder, options.name)
    print(f"{version.short} {version.about.get('name')}")
    for clause in version.about.get("unknown", []):
        print(f"  not known: {clause}")
    return 0


