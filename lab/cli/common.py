"""What commands share: printing, progress on stderr, a workbench."""

from __future__ import annotations

import json
import sys
from typing import Any

from lab.workbench import Workbench


def workbench() -> Workbench:
    return Workbench(say=lambda line: print(line, file=sys.stderr))


def print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=1))


class Bar:
    """A progress bar on stderr, only where a person can see it."""

    def __init__(self) -> None:
        self._stage = ""

    def __call__(self, stage: str, done: int, of: int) -> None:
        if not sys.stderr.isatty() or of == 0:
            return
        if stage != self._stage and self._stage:
            print(file=sys.stderr)
        self._stage = stage
        filled = int(30 * done / of)
        print(
            f"\r{stage:>20} [{'#' * filled}{'.' * (30 - filled)}] {done}/{of}", end="\n" if done >= of else "", file=sys.stderr, flush=True
        )
        if done >= of:
            self._stage = ""


def percent(value: float | None, interval: list[float] | None = None) -> str:
    if value is None:
        return "–"
    return f"{value:.1%}" + (f" [{interval[0]:.1%}, {interval[1]:.1%}]" if interval else "")
