"""``train router``."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.cli.common import Bar, percent, print_json, workbench
from lab.text.encoder import MINILM


def add(commands) -> None:
    group = commands.add_parser("train", help="train a router", description="Train a model.").add_subparsers(
        dest="what", required=True, metavar="WHAT"
    )
    command = group.add_parser(
        "router",
        help="train a domain router on a corpus",
        description="Encode, train, calibrate, evaluate on the test side, write a router folder.",
    )
    command.add_argument(
        "--corpus",
        type=Path,
        required=True,
        metavar="PATH",
        help="a JSONL file or a folder of them: prompt|text, domain|label, optional also, split",
    )
    command.add_argument("--output", type=Path, required=True, metavar="DIR", help="the router folder to write")
    command.add_argument("--recipe", default="lab", help="a recipe of models/recipes.yaml: published, upstream, lab, hybrid (default lab)")
    command.add_argument("--encoder", default="", help=f"a packaged model, a folder, or a hub id (default {MINILM})")
    command.add_argument("--epochs", type=int, help="instead of the recipe's")
    command.add_argument("--seed", type=int, help="instead of the recipe's")
    command.add_argument("--v5", action="store_true", help="keep the 32 domains of router v5, under v5's names")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    bench = workbench()
    changes = {"epochs": options.epochs, "seed": options.seed}
    router, metrics, account = bench.train_router(
        options.corpus, options.output, recipe=options.recipe, encoder=options.encoder, v5=options.v5, changes=changes, progress=Bar()
    )
    figures = {key: metrics[key] for key in ("n", "top1", "top3", "macro_f1", "weighted_f1", "ece", "intervals")} if metrics else None
    if options.json:
        print_json({"output": str(options.output), "router_sha256": router.sha256, "account": account, "test": figures})
        return 0
    print(f"{options.output}: {router.head.domains} domains, {router.parameters} parameters, sha256 {router.sha256}")
    print(
        f"rows {account['rows']}, refused {len(account['refused'])}, left out {account['left_out'] or 0}, renamed {account['renamed'] or 0}"
    )
    for one in account["refused"][:10]:
        print(f"  refused {one['where']}: {one['reason']}")
    if figures:
        inside = figures["intervals"]
        print(
            f"test n={figures['n']}: top-1 {percent(figures['top1'], inside['top1'])}, top-3 {percent(figures['top3'], inside['top3'])}, macro-F1 {percent(figures['macro_f1'], inside['macro_f1'])}, ECE {figures['ece']:.3f}"
        )
    else:
        print("no test rows: nothing was measured")
    return 0
