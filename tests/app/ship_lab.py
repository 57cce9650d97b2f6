"""The app on a small lab of its own: a few hundred prompts, one version made here that serves, and quick retrains."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path

from lab.curation.state import State, Write
from lab.release import jobs
from tests.ship import small


def make(folder: Path, project: Path):
    """A small lab whose champion was trained here, so that its labels are known."""
    bench = small.make(folder, Path(os.environ.get("ROUTER_LAB_HOME") or project / ".router-lab").resolve())
    first = retrained(bench, epochs=20)
    bench.promote(bench.actor("Anna"), first, bench.champion().id, "the first version of a small lab")
    return bench


def retrained(bench, **changes) -> str:
    """The name of a new version, made and judged in this process."""
    from lab.use_cases import retraining

    job = jobs.add(bench.database, bench.actor("Anna"), "retrain", {"recipe": "lab", "changes": changes})
    kept, retraining.Folds = retraining.Folds, small.NoFolds
    try:
        assert bench.run_job(job.id, "here") == "done", bench.job(job.id).error
    finally:
        retraining.Folds = kept
    return bench.job(job.id).result["name"]


def relabel(bench, domain: str, to: str, n: int) -> list[str]:
    """Give ``n`` training prompts of one domain to another; their ids."""
    rows = [row for row in bench.corpus_now() if row.domain == domain and row.split == "train"][:n]
    states = bench.state([row.id for row in rows])
    session = f"relabel-{bench.newest_event()}"
    writes = [Write(session, number, row.id, "label", states[row.id][1], State(to)) for number, row in enumerate(rows)]
    assert {one.status for one in bench.write(bench.actor("Anna"), writes)} == {"stored"}
    return [row.id for row in rows]


@contextmanager
def served(bench):
    """The app's workbench is this one for a while."""
    from pages.shared.frame import bench as shared

    app = shared()
    kept = dict(app.__dict__)
    app.__dict__.clear()
    app.__dict__.update(bench.__dict__)
    try:
        yield app
    finally:
        bench.__dict__.update(app.__dict__)
        app.__dict__.clear()
        app.__dict__.update(kept)
