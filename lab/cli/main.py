"""Parser and the edge where errors become one line and exit status 1."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from lab.errors import LabError


def parser() -> argparse.ArgumentParser:
    from lab.cli import (
        ablate,
        behave,
        benchmark,
        compare,
        corpus,
        curate,
        decide,
        evaluate,
        folds,
        info,
        map,
        ood,
        records,
        route,
        selectors,
        ship,
        taxonomy,
        traffic,
        train,
    )

    top = argparse.ArgumentParser(
        prog="python -m lab", description="Router Lab: see, question and improve the decisions of prompt routers."
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (route, train, evaluate, compare, folds, ablate, map, ood, behave, corpus, curate, traffic, taxonomy, ship, records, selectors, decide, benchmark, info):
        module.add(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; 1 for a LabError, printed as "Error: …" on stderr; 130 when interrupted."""
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except LabError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
