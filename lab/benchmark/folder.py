"""A run that a page started: its folder, its plan, and what of it can be told from outside."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.benchmark.endpoints import read_models
from lab.benchmark.ledger import Place, is_held, is_running
from lab.benchmark.plan import Plan
from lab.benchmark.queries import read_queries
from lab.benchmark.rules import Rules
from lab.benchmark.tally import OVER
from lab.errors import ArtefactError, InputError, LabError
from lab.files import read_json, write_bytes, write_json

NAME = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}")
PROCESS = "process.lock"
"""Held by the process of a run from its start to its end."""
PLAN, MODELS, QUERIES, LOG = "plan.json", "models.yaml", "queries.jsonl", "log.txt"


@dataclass(frozen=True)
class RunInfo:
    """``phase``: one of tally.PHASES, "starting", or "interrupted": its process is gone though it was not over. ``about``: what was asked, in a few words."""

    id: str
    by: str
    about: str
    created_at: str
    phase: str
    status: dict[str, Any]


def make(folder: Path, models: str, queries: bytes, plan: Plan, by: str, about: str) -> None:
    """Everything a process needs to do the run. ``models`` holds variables, never keys."""
    write_bytes(folder / MODELS, models.encode())
    write_bytes(folder / QUERIES, queries)
    write_json(folder / PLAN, {"version": 1, "by": by, "about": about, "created_at": now(), "plan": plan.to_json()})


def keep_plan(folder: Path, plan: Plan) -> None:
    """Another plan for what is left of a run; what else is known of it stays."""
    write_json(folder / PLAN, read_json(folder / PLAN) | {"plan": plan.to_json()})


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def mark(folder: Path, phase: str, message: str = "", **changes: Any) -> None:
    """Set the phase, and ``changes``, from outside of the run's process; what else the status says is kept."""
    status = read_status(folder) | {"phase": phase, "message": message, "updated_at": now()} | changes
    write_json(Place.of_folder(folder).status, status)


def read_status(folder: Path) -> dict[str, Any]:
    try:
        return dict(read_json(Place.of_folder(folder).status))
    except (ArtefactError, TypeError, ValueError):
        return {}


def info(folder: Path) -> RunInfo:
    try:
        made = read_json(folder / PLAN)
        by, about, created_at = str(made["by"]), str(made.get("about", "")), str(made["created_at"])
    except (ArtefactError, KeyError, TypeError):
        by, about, created_at = "", "", ""
    alive = is_held(folder / PROCESS) or is_running(Place.of_folder(folder))
    status = read_status(folder)  # after the lock: the last word of a process that has just ended counts
    phase = str(status.get("phase", "imported" if not status else ""))
    if phase not in (*OVER, "imported") and not alive:
        phase = "interrupted"
    return RunInfo(folder.name, by, about, created_at, phase, status)


def plan_of(folder: Path) -> Plan:
    try:
        return Plan.from_json(read_json(folder / PLAN)["plan"])
    except (KeyError, TypeError):
        raise ArtefactError(f"{folder.name}/{PLAN} is no plan of a run.", "Start a new run.") from None


def work(folder: Path, environment: Mapping[str, str], tell: Callable[[dict[str, Any]], None] = lambda status: None) -> dict[str, Any]:
    """Do the run, or what is left of it, under the rules of a server. Any LabError is kept in the status as well."""
    from lab.benchmark.runner import run

    place = Place.of_folder(folder)
    try:
        rules = Rules.shared(environment)
        plan = plan_of(folder)
        if plan.code and not rules.code:
            raise InputError("Running models' code is not enabled here.", "Whoever runs the server can: ROUTER_LAB_CODE_EVAL=1.")
        models = read_models((folder / MODELS).read_text(encoding="utf-8"), environment, rules)
        return run(models, read_queries(folder / QUERIES).rows, place, plan, rules, tell)
    except LabError as error:
        if not is_running(place):
            mark(folder, "failed", str(error))
        raise


def log_tail(folder: Path, most: int = 2_000) -> str:
    try:
        return (folder / LOG).read_bytes()[-most:].decode("utf-8", "replace")
    except OSError:
        return ""


def first_rows(path: Path, most: int, failed: bool = False) -> list[dict[str, Any]]:
    """The last ``most`` rows written (failed ones only, if asked), newest first, from the end of the file."""
    try:
        with path.open("rb") as lines:
            lines.seek(0, 2)
            size = lines.tell()
            start = max(0, size - 2_000_000)
            lines.seek(start)
            found = lines.read().split(b"\n")[1 if start else 0 :]
    except OSError:
        return []
    out = []
    for line in reversed(found):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and (not failed or row.get("status") == "failed"):
            out.append(row)
        if len(out) == most:
            break
    return out
