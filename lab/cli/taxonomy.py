"""``taxonomy show``, ``add``, ``rename``, ``merge``, ``split``, ``revert``."""

from __future__ import annotations

import argparse

from lab.cli.common import print_json, workbench
from lab.curation.taxonomy_draft import Draft
from lab.errors import InputError
from lab.taxonomy import Domain
from lab.use_cases.taxonomies import TaxonomyPlan

SHOWN = 20


def add(commands) -> None:
    group = commands.add_parser("taxonomy", help="the domains, and changes of them", description="The domains, and changes of them.").add_subparsers(
        dest="what", required=True, metavar="WHAT"
    )
    show = group.add_parser("show", help="every domain with its prompts", description="Every domain with its prompts.")
    show.add_argument("--json", action="store_true", help="print JSON")
    show.set_defaults(run=run_show)
    new = group.add_parser("add", help="a new domain", description="A new domain.")
    new.add_argument("name", metavar="NAME")
    _texts(new)
    new.add_argument("--backend", metavar="MODEL", help="the model that answers it")
    rename = group.add_parser("rename", help="another name for a domain", description="Another name for a domain; the old one becomes an alias.")
    rename.add_argument("old", metavar="OLD")
    rename.add_argument("name", metavar="NEW")
    _texts(rename)
    merge = group.add_parser("merge", help="several domains into one", description="Several domains into one of them, or into a new one.")
    merge.add_argument("names", nargs="+", metavar="DOMAIN")
    merge.add_argument("--into", required=True, metavar="DOMAIN")
    _texts(merge)
    merge.add_argument("--backend", metavar="MODEL", help="the model that answers it")
    split = group.add_parser(
        "split", help="a domain into parts", description="A domain into parts: each prompt goes to the part whose example prompts are nearest to it."
    )
    split.add_argument("name", metavar="DOMAIN")
    split.add_argument(
        "--part", action="append", nargs=4, required=True, metavar=("NAME", "WORDS", "DEFINITION", "BORDER"),
        help="once a part; WORDS: commas between them, prompts with one of them are its examples",
    )  # fmt: skip
    split.add_argument("--heir", default="", metavar="NAME", help="the part that takes over the old name (default: the first, or the one of that name)")
    revert = group.add_parser("revert", help="take back the newest change", description="Take back the newest change, with its labels.")
    for command, run in ((new, run_add), (rename, run_rename), (merge, run_merge), (split, run_split), (revert, run_revert)):
        command.add_argument("--dry-run", action="store_true", help="only say what would happen")
        command.add_argument("--who", default="", metavar="NAME", help="your name (default: the account's), marked unverified")
        command.set_defaults(run=run)


def _texts(command: argparse.ArgumentParser) -> None:
    command.add_argument("--definition", default="", help="what belongs here")
    command.add_argument("--border", default="", help="where the neighbours begin")


def run_show(options: argparse.Namespace) -> int:
    bench = workbench()
    counts, _ = bench.standing()
    if options.json:
        print_json(bench.taxonomy.to_json() | {"prompts": {one.name: counts.get(one.name, 0) for one in bench.taxonomy.domains}})
        return 0
    print(f"version {bench.taxonomy.version}, {len(bench.taxonomy.domains)} domains")
    for one in bench.taxonomy.domains:
        print(f"{one.name:<24} {counts.get(one.name, 0):>6}  {bench.backends.backend.get(one.name, '(no backend)')}")
    return 0


def run_add(options: argparse.Namespace) -> int:
    return _change(options, "add", (), (_domain(options, options.name),), backend=options.backend)


def run_rename(options: argparse.Namespace) -> int:
    return _change(options, "rename", (options.old,), (_domain(options, options.name),))


def run_merge(options: argparse.Namespace) -> int:
    return _change(options, "merge", tuple(options.names), (_domain(options, options.into),), backend=options.backend)


def run_split(options: argparse.Namespace) -> int:
    bench = workbench()
    parts = tuple(Domain(name, definition, border, None, ()) for name, _, definition, border in options.part)
    words = {name: [word.strip().casefold() for word in given.split(",") if word.strip()] for name, given, _, _ in options.part}
    heir = options.heir or (options.name if options.name in words else parts[0].name)
    if options.name not in bench.taxonomy.by_name:
        raise InputError(f"There is no domain '{options.name}'.", "See python -m lab taxonomy show.")
    found = bench.propose_split(options.name, bench.prompts_with(options.name, words))
    return _change(options, "split", (options.name,), parts, bench, assigned=found.part, heir=heir, rest=heir)


def _domain(options: argparse.Namespace, name: str) -> Domain:
    return Domain(name, options.definition, options.border, None, ())


def _change(options: argparse.Namespace, kind: str, names: tuple[str, ...], domains: tuple[Domain, ...], bench=None, **more) -> int:
    from lab.cli.curate import person

    bench = bench or workbench()
    draft = Draft(kind, bench.taxonomy.version, names, domains, **more)
    _say(bench.plan_taxonomy(draft))
    if not options.dry_run:
        done = bench.apply_taxonomy(person(bench, options), draft)
        print(f"{done.title}: version {done.version}, {done.moved} labels moved")
    return 0


def run_revert(options: argparse.Namespace) -> int:
    from lab.cli.curate import person

    bench = workbench()
    plan = bench.plan_taxonomy_revert()
    _say(plan)
    if not options.dry_run:
        done = bench.revert_taxonomy(person(bench, options), plan.change.before.version)
        print(f"{done.title}: version {done.version}, {done.moved} labels moved back")
    return 0


def _say(plan: TaxonomyPlan) -> None:
    print(f"{plan.change.title}: {len(plan.change.migrations)} labels would move, version {plan.change.before.version} → {plan.change.after.version}")
    for name, (now, then) in list(plan.preview.counts.items())[:SHOWN]:
        print(f"  {name:<24} {now:>6} → {then}")
    test = plan.preview.per_split.get("test", 0)
    if test:
        print(f"  {test} of them on the test side: the evaluation set gets a new version")
    for line in (*plan.change.consequences, *plan.change.warnings):
        print(f"  {line}")
