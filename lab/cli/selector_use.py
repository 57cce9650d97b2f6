"""``selectors pick | export | import | list``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lab.cli.common import print_json, workbench
from lab.errors import InputError


def add(group) -> None:
    _pick(group)
    _exchange(group)


def _pick(group) -> None:
    command = group.add_parser("pick", help="the model for one query", description="Say which model a query should go to, and why.")
    command.add_argument("text", metavar="TEXT", help="the query; '-' reads it from standard input")
    command.add_argument(
        "--selector", default="", metavar="NAME", help="set, set/selector, folder, or a model file (default: the shipped default)"
    )
    command.add_argument("--category", metavar="C", help="instead of the category router's")
    command.add_argument("--models", default="", metavar="A,B", help="only these may be picked")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run_pick)


def run_pick(options: argparse.Namespace) -> int:
    text = sys.stdin.read() if options.text == "-" else options.text
    candidates = [one for one in options.models.split(",") if one]
    made, about = workbench().pick(text, options.selector, options.category, candidates)
    if options.json:
        print_json(made.to_json() | about)
        return 0
    category = about["category"]
    sure = "" if category["probability"] is None else f", probability {category['probability']:.2f}"
    print(f"{made.model}  ({made.reason})")
    print(f"selector {made.selector}, category {category['name']} ({category['source']}{sure})")
    for model, score in sorted(made.scores.items(), key=lambda item: -item[1]):
        more = "".join(f"  {name} {value:.3f}" for name, value in made.predicted.get(model, {}).items())
        print(f"  {model:<34} {score:+.4f}{more}")
    print(f"scores: {made.unit}; {about['pick_ms']:.2f} ms a pick beyond the embedding, once it is loaded")
    return 0


def _exchange(group) -> None:
    command = group.add_parser(
        "export", help="write the router's model files", description="Write files that the semantic router loads and picks the same with."
    )
    command.add_argument("name", metavar="KIND|NAME", help="knn, kmeans, svm or mlp of the default set; a set; or set/selector")
    command.add_argument("--output", type=Path, required=True, metavar="DIR")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run_export)
    command = group.add_parser(
        "import", help="keep a model file of the router", description="Read a knn, kmeans, svm or mlp file and keep it under a name."
    )
    command.add_argument("file", type=Path, metavar="FILE")
    command.add_argument("--name", required=True)
    command.add_argument(
        "--embedding-model", default="", help="the encoder it was trained on (default: by what the file says, or its width)"
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run_import)
    command = group.add_parser("list", help="installed selectors", description="Installed selectors, the default first.")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run_list)


def run_export(options: argparse.Namespace) -> int:
    written = workbench().export_selector(options.name, options.output)
    sizes = [{"file": str(path), "size_bytes": path.stat().st_size} for path in written]
    if options.json:
        print_json({"files": sizes})
    else:
        for one in sizes:
            print(f"{one['file']}: {one['size_bytes'] / 1e6:.1f} MB")
    return 0


def run_import(options: argparse.Namespace) -> int:
    if not options.file.is_file():
        raise InputError(f"{options.file} does not exist.", "Check the path.")
    one = workbench().import_selector(options.file, options.name, options.embedding_model)
    about = {
        "name": one.name,
        "selectors": one.keys,
        "models": one.models,
        "encoder": one.encoder_name,
        "width": one.dim + len(one.one_hot),
    }
    if options.json:
        print_json(about)
    else:
        print(f"{one.name}: {', '.join(one.keys)} for {', '.join(one.models)}, encoder {one.encoder_name}")
    return 0


def run_list(options: argparse.Namespace) -> int:
    bench = workbench()
    found = []
    for name in bench.selector_names():
        one = bench.selector_set(name)
        found.append({"name": name, "selectors": one.keys, "default": one.default, "models": one.models, "encoder": one.encoder_name})
    if options.json:
        print_json(found)
    else:
        for one in found:
            print(
                f"{one['name']}: {', '.join(one['selectors'])} (default {one['default']}); {len(one['models'])} models, encoder {one['encoder']}"
            )
    return 0
