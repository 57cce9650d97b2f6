"""``models list``, ``doctor`` and ``prepare``: what is here, what is missing, and making it ready."""

from __future__ import annotations

import argparse

from lab.cli.common import Bar, percent, print_json, workbench
from lab.errors import LabError


def add(commands) -> None:
    group = commands.add_parser("models", help="list routers", description="What can route.").add_subparsers(
        dest="what", required=True, metavar="WHAT"
    )
    listing = group.add_parser("list", help="the routers at hand", description="Each router with its size, hashes and test figures.")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=list_models)
    doctor = commands.add_parser(
        "doctor",
        help="what is installed, what is missing and the fix",
        description="Check this installation. Exit status 2 if something must be mended.",
    )
    doctor.add_argument("--json", action="store_true", help="print JSON")
    doctor.set_defaults(run=run_doctor)
    prepare = commands.add_parser(
        "prepare",
        help="export the encoder and encode the corpus (once)",
        description="Make the first page quick: export, check, encode the corpus.",
    )
    prepare.set_defaults(run=run_prepare)


def list_models(options: argparse.Namespace) -> int:
    bench = workbench()
    rows = []
    for name in bench.router_names():
        try:
            router = bench.router(name)
            metrics = router.metrics or {}
        except LabError as error:
            rows.append({"name": name, "error": str(error)})
            continue
        rows.append({
            "name": name, "path": str(router.folder.path), "router_sha256": router.sha256, "domains": router.head.domains, "parameters": router.parameters,
            "encoder": router.encoder_name, "recipe": (router.ours.get("recipe") or {}).get("name"), "calibration": router.calibration.kind,
            "corpus_sha256": router.ours.get("corpus_sha256"), "split_sha256": router.ours.get("split_sha256"),
            "test": {key: metrics.get(key) for key in ("n", "top1", "top3", "macro_f1", "ece", "intervals")} if metrics else None,
        })  # fmt: skip
    if options.json:
        print_json(rows)
        return 0
    for row in rows:
        if "error" in row:
            print(f"{row['name']:<10} unusable: {row['error']}")
        else:
            test = row["test"]
            figures = (
                f"test n={test['n']} top-1 {percent(test['top1'], test['intervals']['top1'])} macro-F1 {percent(test['macro_f1'], test['intervals']['macro_f1'])}"
                if test
                else "no figures"
            )
            print(
                f"{row['name']:<10} {row['domains']:>3} domains {row['parameters']:>7} parameters  recipe {row['recipe']}  {row['router_sha256'][:12]}  {figures}"
            )
    return 0


def run_doctor(options: argparse.Namespace) -> int:
    from lab.doctor import examine

    checks = examine(workbench())
    if options.json:
        print_json([vars(check) for check in checks])
    else:
        for check in checks:
            print(f"{check.state:>8}  {check.name}: {check.found}" + (f"  → {check.fix}" if check.fix else ""))
    return 2 if any(check.state == "missing" for check in checks) else 0


def run_prepare(options: argparse.Namespace) -> int:
    bench = workbench()
    router = bench.router()
    bench.route("Bonjour", router)
    index = bench.corpus_index(router.encoder_name, Bar())
    print(f"ready: encoder {bench.serving_encoder(router).id}, {len(index.rows)} corpus vectors")
    return 0
