"""``ablate`` and ``encoders compare``: recipes and encoders side by side, by figures out of fold."""

from __future__ import annotations

import argparse
from typing import Any

import yaml

from lab.cli.common import Bar, percent, print_json, workbench
from lab.cli.encoders import add_own
from lab.errors import InputError
from lab.router.recipe import Recipe
from lab.text.encoder import MINILM
from lab.use_cases.ablating import ablate, verdict


def add(commands) -> None:
    command = commands.add_parser(
        "ablate", help="figures of a recipe, out of fold", description="One row of the ablation table, or every recipe of models/recipes.yaml."
    )
    command.add_argument("--recipe", action="append", default=[], help="a recipe (may be repeated; default: all of them)")
    command.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a field of the recipe, e.g. lexical_weight=24")
    command.add_argument("--encoder", default=MINILM, help=f"a packaged model, a folder, or a hub id (default {MINILM})")
    command.add_argument("--share", type=float, default=1.0, help="learn from this share of the rows only: a point of the learning curve (default 1)")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)
    group = commands.add_parser("encoders", help="compare, unpack and adapt encoders", description="Which encoder to use.")
    kinds = group.add_subparsers(dest="what", required=True, metavar="WHAT")
    add_own(kinds)
    compare = kinds.add_parser(
        "compare", help="quality by language, latency, size and a verdict by a stated rule", description="The first encoder is the reference."
    )
    compare.add_argument("encoder", nargs="+", help="packaged models, folders or hub ids; the first is the reference")
    compare.add_argument("--recipe", default="hybrid", help="trained on each (default hybrid)")
    compare.add_argument("--json", action="store_true", help="print JSON")
    compare.set_defaults(run=run_encoders)


def run(options: argparse.Namespace) -> int:
    bench = workbench()
    changes = {key: yaml.safe_load(value) for key, _, value in (one.partition("=") for one in options.set)}
    if not 0.01 <= options.share <= 1:
        raise InputError(f"--share is {options.share}.", "Use a number from 0.01 to 1.")
    unknown = sorted(set(changes) - set(Recipe.__dataclass_fields__) | {"name"} & set(changes))
    if unknown:
        raise InputError(f"A recipe has no field {', '.join(unknown)}.", f"Known are: {', '.join(Recipe.__dataclass_fields__)}.")
    rows = []
    for name in options.recipe or list(bench.recipes):
        recipe = _recipe(bench, name).with_changes(**changes)
        rows.append({"row": " ".join([name, *options.set])} | ablate(bench, recipe, options.encoder, Bar(), options.share))
        if not options.json:
            _print(rows[-1])
    if options.json:
        print_json(rows)
    return 0


def run_encoders(options: argparse.Namespace) -> int:
    bench = workbench()
    rows: list[dict[str, Any]] = []
    for name in options.encoder:
        row = {"row": name} | ablate(bench, _recipe(bench, options.recipe), name, Bar())
        row["verdict"] = verdict(row, rows[0]) if rows else "the reference"
        rows.append(row)
        if not options.json:
            _print(row)
            print(f"  {row['verdict']}")
    if options.json:
        print_json(rows)
    return 0


def _recipe(bench, name: str) -> Recipe:
    if name not in bench.recipes:
        raise InputError(f"There is no recipe '{name}'.", f"Known are: {', '.join(bench.recipes)}.")
    return bench.recipes[name]


def _print(row: dict[str, Any]) -> None:
    if "fold" in row:
        print(f"{row['row']}: fold {row['fold']} alone, which the adapted encoder has not seen")
    else:
        apart = row["out_of_domain"]
        print(
            f"{row['row']}: trained in {row['train_s']:.1f} s, {row['size_bytes'] / 1e6:.1f} MB (encoder {row['encoder_bytes'] / 1e6:.0f} MB), p50 {row['latency_p50_s'] * 1e3:.2f} ms, "
            f"out-of-domain AUROC {apart['auroc']:.3f} [{apart['auroc_interval'][0]:.3f}, {apart['auroc_interval'][1]:.3f}]"
        )
    for name, one in row["slices"].items():
        inside, taken = one["intervals"], one["coverage"]
        print(
            f"  {name:<6} n={one['n']} macro-F1 {percent(one['macro_f1'], inside['macro_f1'])} top-1 {percent(one['top1'], inside['top1'])} "
            f"top-3 {percent(one['top3'], inside['top3'])} ECE {one['ece']:.3f} "
            f"coverage at {taken['target']:.0%} precision {percent(taken['coverage'], taken['interval'])} (kept {percent(taken['precision'])})"
        )
