"""What a retrain survives: death at every stage, a full disk, a damaged version, two maintainers, cancellation. On a small corpus."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.curation.state import State, Write
from lab.errors import ArtefactError, InputError
from lab.release import jobs, versions
from tests.ship import small

pytestmark = pytest.mark.real
FEW = {"recipe": "lab", "changes": {"epochs": 2}}


@pytest.fixture(scope="module")
def prepared(project):
    return Path(os.environ.get("ROUTER_LAB_HOME") or project / ".router-lab").resolve()


@pytest.fixture(scope="module")
def lab(tmp_path_factory, prepared):
    bench = small.make(tmp_path_factory.mktemp("small"), prepared)
    anna = bench.actor("Anna")
    (prompt, state) = next(iter(bench.state([row.id for row in bench.corpus_now() if row.split == "train"][:1]).values()))
    other = next(name for name in bench.taxonomy.by_name if name != state.domain)
    assert bench.write(anna, [Write("test-session", 1, prompt.id, "label", state, State(other))])[0].status == "stored"
    return bench


def queued(lab):
    for job in lab.open_jobs():
        jobs.finish(lab.database, job.id, "lost")
    return jobs.add(lab.database, lab.actor("Anna"), "retrain", FEW)


def run(lab, job, stage=""):
    command = [sys.executable, "-m", "tests.ship.small", str(lab.home.state), job.id, stage]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=Path(__file__).parents[2])


@pytest.fixture(scope="module")
def candidate(lab):
    """A version made by a worker process; its name."""
    done = run(lab, job := queued(lab))
    ended = lab.job(job.id)
    assert ended.status == "done", done.stderr[-2000:] + ended.error
    return ended.result["name"]


def test_a_retrain_ends_with_a_version_a_verdict_and_its_curves(lab, candidate):
    job = next(one for one in lab.recent_jobs() if one.status == "done")
    version = lab.version(candidate)
    assert lab.verify_version(candidate) == []
    assert version.about["parent"] == lab.champion().id and version.about["who"] == "Anna"
    assert job.result["verdict"]["candidate"] == version.id
    assert len(lab.job_log(job.id, "point")) == 2


def test_the_same_inputs_give_the_same_weights(lab, candidate):
    """Another worker, another moment: the same labels, recipe and seed."""
    job = queued(lab)
    assert run(lab, job).returncode == 0
    again = lab.version(lab.job(job.id).result["version"])
    first = lab.version(candidate)
    name = "router.safetensors"
    assert again.files[name] == first.files[name] and again.id != first.id


@pytest.mark.parametrize("stage", ["read the labels", "encode", "train", "evaluate", "out-of-fold", "behaviour", "copy", "check", "gate"])
def test_a_worker_killed_at_any_stage_leaves_the_champion_and_no_half_version(lab, candidate, stage):
    champion, before = lab.champion().id, {one.id for one in lab.version_list()}
    done = run(lab, job := queued(lab), stage)
    assert done.returncode == -9, done.stderr[-500:]
    assert lab.job(job.id).status == "running", "nobody has noticed yet"
    clock = iter([0.0, jobs.LOST_S + 1])
    watch = jobs.Watch(lab.database, lambda: next(clock))
    watch.look()
    watch.look()
    assert lab.job(job.id).status == "lost"
    assert lab.champion().id == champion
    infos = lab.version_list()
    assert all(not one.problems for one in infos), "no broken folder is shown"
    assert len({one.id for one in infos} - before) == (1 if stage == "gate" else 0), "published whole, or not at all"


def served(lab):
    """A process that has started a retrain as a server does; its job's id."""
    for job in lab.open_jobs():
        jobs.finish(lab.database, job.id, "lost")
    command = [sys.executable, "-m", "tests.ship.small", str(lab.home.state), "start"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    return server, server.stdout.readline().strip()


def wait_for(lab, job_id, good):
    for _ in range(1_200):
        if good(job := lab.job(job_id)):
            return job
        time.sleep(0.1)
    raise AssertionError(f"the job is {job.status} in the stage {job.stage}: {job.error}")


def alive(session: int) -> list[int]:
    """Processes of a session that still run."""
    out = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            out += [int(folder.name)] if int(fields[3]) == session and fields[0] != "Z" else []
    return out


def test_a_killed_server_leaves_its_retrain_running_to_the_verdict(lab, candidate):
    server, job_id = served(lab)
    worker = int(lab.job(job_id).worker.rpartition(":")[2])
    assert os.getpriority(os.PRIO_PROCESS, worker) == 10, "people at the pages come first"
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    done = wait_for(lab, job_id, lambda job: not job.open)
    assert done.status == "done", done.error
    assert done.result["verdict"]["candidate"] == lab.version(done.result["name"]).id


@pytest.mark.parametrize("stage", ["train", "out-of-fold"])
def test_server_and_worker_killed_together_leave_no_process_and_no_half_version(lab, candidate, stage):
    champion, before = lab.champion().id, {one.id for one in lab.version_list()}
    server, job_id = served(lab)
    job = wait_for(lab, job_id, lambda job: job.stage == stage)
    worker = int(job.worker.rpartition(":")[2])
    for process in (server.pid, worker):
        os.kill(process, signal.SIGKILL)
    server.wait()
    for _ in range(300):  # what the worker had started ends by itself
        if not alive(worker):
            break
        time.sleep(0.1)
    assert alive(worker) == []
    clock = iter([0.0, jobs.LOST_S + 1])
    watch = jobs.Watch(lab.database, lambda: next(clock))
    watch.look()
    watch.look()
    assert lab.job(job_id).status == "lost" and lab.champion().id == champion
    assert {one.id for one in lab.version_list()} == before and not [one for one in lab.version_list() if one.problems]


def test_a_full_disk_fails_the_job_with_a_sentence_and_leaves_nothing(lab, candidate, monkeypatch):
    before = {one.id for one in lab.version_list()}

    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(versions, "write_synced", full)
    job = queued(lab)
    assert lab.run_job(job.id, "here") == "failed"
    assert "No space left on device" in lab.job(job.id).error
    assert {one.id for one in lab.version_list()} == before
    assert not list(lab.home.versions.glob(".publish-*"))


def test_a_cancelled_job_stops_and_can_be_cancelled_twice(lab, candidate, monkeypatch):
    monkeypatch.setattr(jobs, "BEAT_S", 0.01)
    job, anna = queued(lab), lab.actor("Anna")
    seen = []

    def cancel(_self, name, done, of):
        if not seen:
            seen.append([lab.cancel_job(anna, job.id).status, lab.cancel_job(anna, job.id).status])
            import time

            time.sleep(0.3)
        _self._pulse.check()

    from lab.use_cases import retraining

    monkeypatch.setattr(retraining._Told, "__call__", cancel)
    assert lab.run_job(job.id, "here") == "cancelled"
    assert seen == [["running", "running"]]


def test_a_refused_version_needs_a_reason_in_words(lab, candidate):
    info = next(one for one in lab.version_list() if one.name == candidate)
    assert not info.verdict.passed, "two epochs are too few"
    with pytest.raises(InputError, match="refused"):
        lab.promote(lab.actor("Anna"), info.id, lab.champion().id)


def test_promote_rollback_and_a_damaged_version(lab, candidate):
    anna, before = lab.actor("Anna"), lab.champion().id
    verdict = next(one.verdict for one in lab.version_list() if one.name == candidate)
    reason = "" if verdict.passed else "a test of the override, nothing else"
    done = lab.promote(anna, candidate, before, reason)
    assert done.action == "promote" and lab.champion().id == done.version
    assert lab.serving_name() == candidate and lab.router().name == candidate, "live without a restart"
    with pytest.raises(InputError, match="in the meantime"):
        lab.promote(anna, "lab-47", before)
    assert lab.promote(anna, "lab-47", done.version, "back").action == "rollback"
    assert lab.serving_name() == "lab-47"
    weights = lab.version(candidate).path / "meta.json"
    good = weights.read_bytes()
    weights.chmod(0o644)
    try:
        weights.write_bytes(good.replace(b"4", b"5", 1))
        assert lab.verify_version(candidate) != []
        with pytest.raises(ArtefactError):
            lab.promote(anna, candidate, before)
        assert lab.champion().id == before, "what served keeps serving"
    finally:
        weights.write_bytes(good)
