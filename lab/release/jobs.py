"""Work in processes of their own, as rows: queued → running → done, failed, cancelled or lost. SQL of ``jobs`` and ``job_log``.

A job is alive while its ``beat`` counts up. Nothing is concluded from process numbers or from the wall clock, which can go backwards:
:class:`Watch` measures with the watcher's own monotonic clock how long a beat has stood still.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from lab.curation.state import Actor
from lab.database.connect import Database, now
from lab.database.schema import job_log, jobs
from lab.errors import InputError, LabError
from lab.files import canonical

OPEN = ("queued", "running")
STATES = (*OPEN, "done", "failed", "cancelled", "lost")
BEAT_S = 1.0
LOST_S = 20.0
"""A beat that stands still for so long is that of a dead worker."""


class Cancelled(LabError):
    """Somebody cancelled the job; raised in the worker between two steps."""


@dataclass(frozen=True)
class Job:
    id: str
    kind: str
    params: Mapping[str, Any]
    status: str
    created_at_utc: str
    who: str
    verified: bool
    started_at_utc: str | None
    finished_at_utc: str | None
    worker: str
    beat: int
    cancel: bool
    stage: str
    done: int
    total: int
    result: Mapping[str, Any]
    error: str

    @property
    def open(self) -> bool:
        return self.status in OPEN

    @property
    def actor(self) -> Actor:
        return Actor(self.who, self.verified)


def add(database: Database, actor: Actor, kind: str, params: Mapping[str, Any]) -> Job:
    """A new job in the queue. InputError while another of its kind is open: they would fight for the cores."""
    with database.alone() as connection:
        other = connection.execute(sa.select(jobs).where(jobs.c.kind == kind, jobs.c.status.in_(OPEN))).first()
        if other is not None:
            raise InputError(f"A {kind} by {other.who} is {other.status} since {other.created_at_utc[:16]}.", "Wait for it, or cancel it.")
        job_id = uuid.uuid4().hex
        row = {"id": job_id, "kind": kind, "params": canonical(dict(params)).decode(), "status": "queued", "created_at_utc": _later(connection)}
        connection.execute(sa.insert(jobs).values(row | {"who": actor.name, "verified": actor.verified}))
        return _get(connection, job_id)


def _later(connection: sa.Connection) -> str:
    """Now, or just after the newest job if the clock went backwards: jobs are read in this order, and the newest verdict counts."""
    newest, at = connection.scalar(sa.select(sa.func.max(jobs.c.created_at_utc))), now()
    return at if newest is None or at > newest else (datetime.fromisoformat(newest) + timedelta(microseconds=1)).isoformat(timespec="microseconds")


def claim(database: Database, job_id: str, worker: str) -> Job | None:
    """The job, now running under this worker; None if somebody else has it or it was cancelled."""
    with database.write() as connection:
        statement = sa.update(jobs).where(jobs.c.id == job_id, jobs.c.status == "queued")
        if connection.execute(statement.values(status="running", worker=worker, started_at_utc=now(), beat=1)).rowcount == 0:
            return None
        return _get(connection, job_id)


def beat(database: Database, job_id: str) -> bool:
    """Count one up; whether the job should go on. False once it was cancelled, or declared lost by somebody who waited in vain."""
    with database.write() as connection:
        alive = sa.update(jobs).where(jobs.c.id == job_id, jobs.c.status == "running").values(beat=jobs.c.beat + 1).returning(jobs.c.cancel)
        row = connection.execute(alive).first()
        return row is not None and not row.cancel


def tell(database: Database, job_id: str, stage: str, done: int, total: int) -> None:
    with database.write() as connection:
        connection.execute(sa.update(jobs).where(jobs.c.id == job_id, jobs.c.status == "running").values(stage=stage, done=done, total=total))


def write_log(database: Database, job_id: str, kind: str, value: Any) -> None:
    """One line (kind "line") or one point of a curve (kind "point"). Numbered here: only the worker writes."""
    with database.write() as connection:
        last = connection.scalar(sa.select(sa.func.max(job_log.c.n)).where(job_log.c.job_id == job_id)) or 0
        connection.execute(sa.insert(job_log).values(job_id=job_id, n=last + 1, at_utc=now(), kind=kind, value=canonical(value).decode()))


def finish(database: Database, job_id: str, status: str, result: Mapping[str, Any] | None = None, error: str = "") -> bool:
    """Whether this call ended the job: one that has ended already keeps its end."""
    if status not in STATES or status in OPEN:
        raise ValueError(f"'{status}' is no end of a job")
    with database.write() as connection:
        values = {"status": status, "finished_at_utc": now(), "result": canonical(dict(result or {})).decode(), "error": error}
        return connection.execute(sa.update(jobs).where(jobs.c.id == job_id, jobs.c.status.in_(OPEN)).values(values)).rowcount > 0


def cancel(database: Database, job_id: str) -> Job:
    """Ask the worker to stop; a queued job ends at once. Asked twice, or too late, it changes nothing."""
    with database.write() as connection:
        queued = sa.update(jobs).where(jobs.c.id == job_id, jobs.c.status == "queued")
        connection.execute(queued.values(status="cancelled", cancel=True, finished_at_utc=now()))
        connection.execute(sa.update(jobs).where(jobs.c.id == job_id, jobs.c.status == "running").values(cancel=True))
        return _get(connection, job_id)


def get(database: Database, job_id: str) -> Job:
    with database.read() as connection:
        return _get(connection, job_id)


def recent(database: Database, kind: str = "", limit: int = 20) -> list[Job]:
    """Newest first."""
    statement = sa.select(jobs).order_by(jobs.c.created_at_utc.desc()).limit(limit)
    with database.read() as connection:
        return [_job(row) for row in connection.execute(statement.where(jobs.c.kind == kind) if kind else statement)]


def read_log(database: Database, job_id: str, kind: str = "") -> list[tuple[str, str, Any]]:
    """(time, kind, value) in order."""
    statement = sa.select(job_log).where(job_log.c.job_id == job_id).order_by(job_log.c.n)
    with database.read() as connection:
        rows = connection.execute(statement.where(job_log.c.kind == kind) if kind else statement)
        return [(row.at_utc, row.kind, json.loads(row.value)) for row in rows]


def _get(connection: sa.Connection, job_id: str) -> Job:
    row = connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).first()
    if row is None:
        raise InputError(f"There is no job {job_id}.", "See python -m lab jobs.")
    return _job(row)


def _job(row: sa.Row) -> Job:
    return Job(**{**row._mapping, "params": json.loads(row.params), "result": json.loads(row.result)})


class Watch:
    """Declares jobs lost whose beat stands still. One a process; ``clock`` in seconds, monotonic."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database, self._clock = database, clock
        self._seen: dict[str, tuple[tuple[str, int], float]] = {}
        self._lock = threading.Lock()

    def look(self) -> list[Job]:
        """The open jobs, after those were declared lost whose worker is dead. A queued job that no worker takes is lost too."""
        out = []
        for job in recent(self._database, limit=100):
            if not job.open:
                self._seen.pop(job.id, None)
                continue
            with self._lock:
                sign, at = self._seen.get(job.id, (None, 0.0))
                if sign != (job.status, job.beat):
                    self._seen[job.id] = ((job.status, job.beat), self._clock())
                    out.append(job)
                    continue
            if self._clock() - at < LOST_S:
                out.append(job)
            elif job.cancel:
                finish(self._database, job.id, "cancelled", error="The worker was gone when the job was cancelled.")
            else:
                finish(self._database, job.id, "lost", error=f"The worker gave no sign of life for {LOST_S:.0f} s in the stage “{job.stage or job.status}”.")
        return out


class Pulse:
    """Beats for a running job in a thread of its own, so that a long step does not look like death.

    :meth:`check` raises Cancelled as soon as the job should not go on.
    """

    def __init__(self, database: Database, job_id: str) -> None:
        self._database, self._job_id = database, job_id
        self._stop, self._end = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._end.wait(BEAT_S):
            try:
                if not beat(self._database, self._job_id):
                    self._stop.set()
                    return
            except LabError:
                continue  # the database is away for a moment; it is asked again

    def check(self) -> None:
        if self._stop.is_set():
            raise Cancelled("The job was cancelled.")
