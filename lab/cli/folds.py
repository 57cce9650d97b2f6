"""``out-of-fold``: predictions for the whole corpus by heads that never saw the prompt."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from lab.cli.common import workbench


def add(commands) -> None:
    command = commands.add_parser(
        "out-of-fold",
        help="score the corpus by heads that did not see it",
        description="Five grouped folds, refitted with the router's own recipe; kept for the pages.",
    )
    command.add_argument("--router", help="a shipped router's name or a router folder (default lab-47)")
    command.add_argument("--ship", action="store_true", help="write into the router's folder instead of the state folder")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    os.nice(5)
    path: Path = workbench().compute_out_of_fold(options.router, options.ship, lambda done, of: print(f"{done} of {of}", flush=True))
    print(f"kept in {path}")
    return 0
