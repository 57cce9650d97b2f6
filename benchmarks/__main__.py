"""``python -m benchmarks [name …]``: each benchmark prints medians and ratios measured in this one run, and its target."""

from __future__ import annotations

import os
import platform
import sys

from benchmarks import (
    batch,
    browser,
    cold_start,
    curation,
    endpoint_runner,
    evaluation,
    map_points,
    memory,
    queues,
    route,
    selectors,
    ship,
    train,
)

ALL = {
    "memory": memory.run,
    "route": route.run,
    "batch": batch.run,
    "cold_start": cold_start.run,
    "train": train.run,
    "evaluation": evaluation.run,
    "curation": curation.run,
    "queues": queues.run,
    "ship": ship.run,
    "selectors": selectors.run,
    "endpoint_runner": endpoint_runner.run,
    "browser": browser.run,
    "map_points": map_points.run,
}


def main() -> int:
    names = sys.argv[1:] or list(ALL)
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"Error: no benchmark {', '.join(unknown)}. There are: {', '.join(ALL)}.", file=sys.stderr)
        return 1
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.processor() or platform.machine()}")
    for name in names:
        print(f"\n## {name}")
        for figure in ALL[name]():
            mark = "" if figure.met is None else "met" if figure.met else "NOT met"
            print(f"{figure.name:<66} {figure.value:>16}   {figure.target:<28} {mark}".rstrip(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
