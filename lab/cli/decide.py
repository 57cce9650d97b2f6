"""``decide``: a configuration of the router applied to one query."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from lab.cli.common import print_json, workbench


def add(commands) -> None:
    command = commands.add_parser(
        "decide",
        help="apply a router configuration to a query",
        description="Which decision matches a query, which model it gives, and why.",
    )
    command.add_argument("text", metavar="TEXT", help="the query; '-' reads it from standard input")
    command.add_argument("--config", type=Path, required=True, metavar="config.yaml")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    made = workbench().decide(sys.stdin.read() if options.text == "-" else options.text, options.config)
    if options.json:
        print_json(made)
        return 0
    category = made["category"]
    sure = "" if category["probability"] is None else f" {category['probability']:.2f}"
    print(f"{made['model'] or 'no model'}  ({made['reason']})")
    print(f"decision {made['decision'] or 'none'}, category {category['name']}{sure}; {made['rule_reason']}")
    for one in made["decisions"]:
        print(
            f"  {one['name']} (line {one['line']}, priority {one['priority']:g}): {'matches' if one['matched'] else 'no'} {one['confidence']:.2f}"
        )
        _tree(one["tree"], 2)
    for warning in made["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    return 0


def _tree(node: dict[str, Any], depth: int) -> None:
    what = node.get("operator") or (f"{node['type']} {node['name']}" if "type" in node else "no rules")
    state = {True: "yes", False: "no", None: "not known here"}[node["matched"]]
    print(f"{'  ' * depth}{what}: {state} {node['confidence']:.2f}")
    for one in node.get("conditions", []):
        _tree(one, depth + 1)
