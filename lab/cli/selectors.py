"""``selectors train | evaluate | judge | categories``; the others are in :mod:`lab.cli.selector_use`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from lab.cli import selector_use
from lab.cli.common import Bar, print_json, workbench
from lab.selector.choose import FORMS, LAB
from lab.selector.options import Options


def add(commands) -> None:
    group = commands.add_parser(
        "selectors", help="choose the model for a query", description="Train, judge and use model selectors."
    ).add_subparsers(dest="what", required=True, metavar="WHAT")
    _train(group)
    _evaluate(group)
    _judge(group)
    selector_use.add(group)
    _categories(group)


def _shared(command, data: str) -> None:
    """Flags of training and evaluation, named as in the semantic router's train.py where it has them."""
    command.add_argument(
        data, dest="data", type=Path, required=True, metavar="FILE", help="outcome records: JSONL, CSV or Parquet (also .gz)"
    )
    command.add_argument("--algorithm", default="all", choices=("all", *LAB), help="(default all)")
    command.add_argument(
        "--form", default=None, choices=("all", *FORMS), help="lab: utility regression; compatible: as the router's own training"
    )
    command.add_argument("--models", default="", metavar="A,B", help="only these models of the data")
    command.add_argument("--embedding-model", default="", help="qwen3, gte, mpnet, e5, bge, minilm, a hub id or a folder (default minilm)")
    command.add_argument("--cache-dir", type=Path, help="where embeddings are kept (default: the state folder)")
    command.add_argument("--knn-k", type=int, help="queries that vote; rows in the compatible form (default: chosen on validation; 5)")
    command.add_argument("--kmeans-clusters", type=int, help="(default: chosen on validation; compatible 8)")
    command.add_argument("--svm-kernel", choices=("rbf", "linear"), help="(default rbf)")
    command.add_argument("--svm-gamma", type=float, help="(default: chosen on validation; compatible 1.0)")
    command.add_argument(
        "--mlp-hidden-dims",
        "--mlp-hidden-sizes",
        dest="mlp_hidden",
        type=_sizes,
        metavar="512,256",
        help="(default 128; compatible 512,256)",
    )
    command.add_argument("--mlp-dropout", type=float, help="(default 0.3; compatible 0.1)")
    command.add_argument("--mlp-epochs", type=int, help="(default 60; compatible 100)")
    command.add_argument("--mlp-lr", "--mlp-learning-rate", dest="mlp_lr", type=float, help="(default 0.001)")
    command.add_argument("--quality-weight", type=float, default=0.9, help="0: speed and cost alone, 1: quality alone (default 0.9)")
    command.add_argument("--cost-share", type=float, default=0.5, help="share of cost, beside speed, in what is not quality (default 0.5)")
    command.add_argument(
        "--latency-scale",
        type=float,
        default=1.0,
        help="seconds t in 1/(1 + latency/t): 1 as documented, 10 as upstream's code (default 1)",
    )
    command.add_argument("--cost-scale", type=float, default=0.001, help="dollars c in 1/(1 + cost/c) (default 0.001)")
    command.add_argument("--batch-size", type=int, help="accepted for compatibility; batches are formed by tokens")
    command.add_argument("--device", default="cpu", help="where the MLP is trained: cpu, cuda, mps (default cpu)")
    command.add_argument("--limit", type=int, help="at most so many queries, the first ones")
    command.add_argument("--keep-failed", action="store_true", help="count calls that failed ('Error: …') as answers")
    command.add_argument(
        "--detected-categories", action="store_true", help="use the category router's category even where the data gives one"
    )
    command.add_argument("--seed", type=int, default=42)
    command.add_argument("--json", action="store_true", help="print JSON")


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(one) for one in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no list of sizes such as 512,256") from None


def _options(options: argparse.Namespace, forms: str, **more: Any) -> Options:
    form = options.form or forms
    return Options(
        algorithms=tuple(LAB) if options.algorithm == "all" else (options.algorithm,), forms=FORMS if form == "all" else (form,),
        models=tuple(one for one in options.models.split(",") if one), embedding_model=options.embedding_model, cache_dir=options.cache_dir,
        knn_k=options.knn_k, kmeans_clusters=options.kmeans_clusters, svm_kernel=options.svm_kernel, svm_gamma=options.svm_gamma,
        mlp_hidden=options.mlp_hidden, mlp_dropout=options.mlp_dropout, mlp_epochs=options.mlp_epochs, mlp_learning_rate=options.mlp_lr,
        device=options.device, quality_weight=options.quality_weight, cost_share=options.cost_share, latency_scale_s=options.latency_scale,
        cost_scale_usd=options.cost_scale, limit=options.limit, keep_failed=options.keep_failed, detected=options.detected_categories, seed=options.seed, **more,
    )  # fmt: skip


def _train(group) -> None:
    command = group.add_parser(
        "train",
        help="train selectors on outcomes",
        description="Train, judge on held-out queries, write the router's files and the lab's folder.",
    )
    _shared(command, "--data-file")
    command.add_argument(
        "--output-dir", type=Path, required=True, metavar="DIR", help="knn_model.json … go here, the lab's own folder into DIR/NAME"
    )
    command.add_argument("--name", default="selectors", help="name of the lab's folder (default selectors)")
    command.add_argument("--no-files", action="store_true", help="do not write the router's JSON files")
    command.add_argument("--source", default="", help="where the data comes from, for the card")
    command.add_argument("--licence", default="", help="of the data, for the card")
    command.set_defaults(run=run_train)


def run_train(options: argparse.Namespace) -> int:
    chosen = _options(options, "lab", name=options.name, files=not options.no_files, source=options.source, licence=options.licence)
    made = workbench().train_selectors(options.data, options.output_dir, chosen, Bar())
    if options.json:
        print_json(made)
        return 0
    print(
        f"{made['set']}: {len(made['selectors'])} selectors on {made['n']} queries × {len(made['models'])} models; files: {', '.join(made['files']) or 'none'}"
    )
    _print_account(made["account"])
    if made["held_out"]:
        _print_table(made["held_out"])
    else:
        print("no held-out queries in the data: judge with 'selectors evaluate'")
    return 0


def _evaluate(group) -> None:
    command = group.add_parser(
        "evaluate", help="the honest table", description="Judge selectors by held-out query: fitted on the data, or given ones."
    )
    _shared(command, "--data")
    command.add_argument(
        "--selector",
        action="append",
        default=[],
        metavar="NAME",
        help="judge this trained selector (set, set/selector, folder, file); repeatable",
    )
    command.set_defaults(run=run_evaluate)


def run_evaluate(options: argparse.Namespace) -> int:
    report = workbench().evaluate_selectors(options.data, _options(options, "all", selectors=tuple(options.selector)), Bar())
    if options.json:
        print_json(report)
        return 0
    _print_account(report["account"])
    print(f"split: {report['split']}")
    _print_table(report)
    return 0


def _print_account(account: dict[str, Any]) -> None:
    print(
        f"{account['records']} records, {account['queries']} queries, {account['models']} models; {account['gaps']} gaps, {account['duplicates']} duplicates averaged, "
        f"{account['failed_calls_left_out']} failed calls and {account['without_score']} without a score left out, {account['refused_records']} refused"
    )
    for key, count in account["conflicting"].items():
        print(f"  {count} records name another {key} than the first record of their query, whose {key} is used", file=sys.stderr)
    for one in account["refused"][:5]:
        print(f"  refused {one['where']}: {one['reason']}", file=sys.stderr)
    for one in account["unknown_categories"][:5]:
        print(f"  no category '{one['category']}' ({one['queries']} queries, used as {one['used_as']}). {one['hint']}", file=sys.stderr)


def _print_table(report: dict[str, Any]) -> None:
    from lab.selector.card import ranged

    print(
        f"n={report['n']} queries, {report['unanswered']} that no model answered; best single model by training: {', '.join(report['best_single'])}"
    )
    print(f"{'strategy':<34} {'quality [95 %]':<24} {'gain over best single':<26} {'latency':>9} {'cost':>9} {'best':>6} {'regret':>7}")
    for row in report["rows"]:
        latency = "–" if row["latency_s"] is None else f"{row['latency_s']:.2f} s"
        cost = "–" if row["cost_usd"] is None else f"${row['cost_usd']:.5f}"
        share = "–" if row["best_model_share"] is None else f"{row['best_model_share']:.1%}"
        regret = "–" if row["regret"] is None else f"{row['regret']:.3f}"
        print(
            f"{row['strategy']:<34} {ranged(row, 'quality', ''):<24} {ranged(row, 'gain', '+'):<26} {latency:>9} {cost:>9} {share:>6} {regret:>7}"
        )
    for note in report.get("notes", []):
        print(f"note: {note}")
    print(report["verdict"]["sentence"])


def _judge(group) -> None:
    command = group.add_parser(
        "judge",
        help="judge a stored set and keep the result",
        description="Judge a set as it is stored, on the queries of its own data that it was not trained on, and keep the result beside it for the page Selectors.",
    )
    command.add_argument("name", metavar="NAME", help="a set, or its folder")
    command.add_argument("--data", type=Path, required=True, metavar="FILE", help="the outcome records it was trained on and held out of")
    command.add_argument("--form", default="all", choices=("all", *FORMS), help="all: beside the router's own training (default all)")
    command.add_argument("--cache-dir", type=Path, help="where embeddings are kept (default: the state folder)")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run_judge)


def run_judge(options: argparse.Namespace) -> int:
    bench = workbench()
    forms = FORMS if options.form == "all" else (options.form,)
    made = bench.judge_selectors(options.name, options.data, Options(forms=forms, quality_weight=1.0, cache_dir=options.cache_dir), Bar())
    kept = bench.keep_judgement(options.name, made)
    if options.json:
        print_json(made | {"kept": str(kept)})
        return 0
    _print_account(made["account"])
    _print_table(made)
    print(f"kept: {kept}")
    return 0


def _categories(group) -> None:
    command = group.add_parser(
        "categories", help="train the category router", description="Train a router over the categories of outcome records."
    )
    command.add_argument("--data-file", type=Path, required=True, metavar="FILE")
    command.add_argument("--output", type=Path, required=True, metavar="DIR")
    command.add_argument("--source", default="", help="where the data comes from")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run_categories)


def run_categories(options: argparse.Namespace) -> int:
    made = workbench().train_category_router(options.data_file, options.output, options.source, Bar())
    if options.json:
        print_json(made)
    else:
        test = f", test n={made['test']['n']} top-1 {made['test']['top1']:.1%}" if made["test"] else ""
        print(f"{made['output']}: {len(made['domains'])} categories, {made['n']} queries{test}")
    return 0
