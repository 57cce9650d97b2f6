"""A job is a row with a closed vocabulary and a beat; promotions are a chain."""

import threading

import pytest

from lab.curation.state import Actor
from lab.errors import InputError
from lab.release import jobs, promotions

ANNA, BEN = Actor("Anna"), Actor("Ben")


def test_a_job_is_claimed_once_told_and_finished(database):
    job = jobs.add(database, ANNA, "retrain", {"recipe": "lab"})
    assert (job.status, job.open, job.params) == ("queued", True, {"recipe": "lab"})
    assert jobs.claim(database, job.id, "w1").status == "running"
    assert jobs.claim(database, job.id, "w2") is None
    jobs.tell(database, job.id, "train", 3, 10)
    jobs.write_log(database, job.id, "line", "hello")
    jobs.write_log(database, job.id, "point", {"epoch": 1})
    assert [value for _, _, value in jobs.read_log(database, job.id)] == ["hello", {"epoch": 1}]
    assert (jobs.get(database, job.id).stage, jobs.get(database, job.id).done) == ("train", 3)
    assert jobs.finish(database, job.id, "done", {"version": "x"})
    assert not jobs.finish(database, job.id, "failed", error="late"), "an ended job keeps its end"
    assert jobs.get(database, job.id).result == {"version": "x"}


def test_a_second_job_of_a_kind_is_refused_while_one_is_open(database):
    first = jobs.add(database, ANNA, "retrain", {})
    with pytest.raises(InputError, match="by Anna is queued"):
        jobs.add(database, BEN, "retrain", {})
    jobs.cancel(database, first.id)
    jobs.add(database, BEN, "retrain", {})


def test_a_queued_job_is_cancelled_at_once_and_a_running_one_when_it_looks(database):
    queued = jobs.add(database, ANNA, "a", {})
    assert jobs.cancel(database, queued.id).status == "cancelled"
    assert jobs.cancel(database, queued.id).status == "cancelled", "twice changes nothing"
    assert jobs.claim(database, queued.id, "w") is None
    running = jobs.add(database, ANNA, "b", {})
    jobs.claim(database, running.id, "w")
    assert jobs.beat(database, running.id)
    assert jobs.cancel(database, running.id).status == "running"
    assert not jobs.beat(database, running.id)


def test_the_pulse_stops_the_worker_between_two_steps(database, monkeypatch):
    monkeypatch.setattr(jobs, "BEAT_S", 0.02)
    job = jobs.add(database, ANNA, "retrain", {})
    jobs.claim(database, job.id, "w")
    with jobs.Pulse(database, job.id) as pulse:
        pulse.check()
        jobs.cancel(database, job.id)
        for _ in range(200):
            threading.Event().wait(0.02)
            if pulse._stop.is_set():
                break
        with pytest.raises(jobs.Cancelled):
            pulse.check()
    assert jobs.get(database, job.id).beat >= 1


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_job_is_lost_when_its_beat_stands_still_and_not_before(database):
    clock = Clock()
    watch = jobs.Watch(database, clock)
    job = jobs.add(database, ANNA, "retrain", {})
    jobs.claim(database, job.id, "w")
    assert [one.id for one in watch.look()] == [job.id]
    clock.now += jobs.LOST_S - 1
    assert [one.id for one in watch.look()] == [job.id]
    jobs.beat(database, job.id)
    clock.now += 2
    assert [one.id for one in watch.look()] == [job.id], "it lives"
    clock.now += jobs.LOST_S + 1
    assert watch.look() == []
    lost = jobs.get(database, job.id)
    assert lost.status == "lost" and "no sign of life" in lost.error
    assert not jobs.beat(database, job.id), "a worker that wakes up later has lost its job"
    assert not jobs.finish(database, job.id, "done")


def test_a_clock_that_goes_backwards_loses_nobody(database, monkeypatch):
    clock = Clock()
    watch = jobs.Watch(database, clock)
    job = jobs.add(database, ANNA, "retrain", {})
    jobs.claim(database, job.id, "w")
    watch.look()
    monkeypatch.setattr(jobs, "now", lambda: "1970-01-01T00:00:00.000000+00:00")
    jobs.beat(database, job.id)
    clock.now += 5
    assert [one.status for one in watch.look()] == ["running"]


def test_the_newest_job_stays_the_newest_when_the_clock_goes_backwards(database, monkeypatch):
    first = jobs.add(database, ANNA, "gate", {})
    jobs.finish(database, first.id, "done")
    monkeypatch.setattr(jobs, "now", lambda: "1970-01-01T00:00:00.000000+00:00")
    second = jobs.add(database, ANNA, "gate", {})
    jobs.finish(database, second.id, "done")
    third = jobs.add(database, ANNA, "gate", {})
    assert [one.id for one in jobs.recent(database)] == [third.id, second.id, first.id]


def test_a_dead_worker_of_a_cancelled_job_leaves_it_cancelled(database):
    clock = Clock()
    watch = jobs.Watch(database, clock)
    job = jobs.add(database, ANNA, "retrain", {})
    jobs.claim(database, job.id, "w")
    jobs.cancel(database, job.id)
    watch.look()
    clock.now += jobs.LOST_S + 1
    watch.look()
    assert jobs.get(database, job.id).status == "cancelled"


def champion(database):
    with database.read() as connection:
        return promotions.champion(connection)


def test_promotions_are_a_chain_and_the_last_one_serves(database):
    assert champion(database) is None
    promotions.add(database, ANNA, "v1", "", "promote", {}, "first")
    promotions.add(database, ANNA, "v2", "v1", "promote", {"passed": True}, "")
    promotions.add(database, BEN, "v1", "v2", "rollback", {}, "v2 is slow")
    assert champion(database) == "v1"
    with database.read() as connection:
        assert [(one.number, one.version, one.replaced, one.action) for one in promotions.history(connection)] == [
            (3, "v1", "v2", "rollback"), (2, "v2", "v1", "promote"), (1, "v1", "", "promote")
        ]  # fmt: skip


def test_of_two_maintainers_at_once_one_is_told_who_was_quicker(database):
    promotions.add(database, ANNA, "v1", "", "promote", {}, "first")
    outcomes: list[str] = []

    def promote(actor, version):
        try:
            promotions.add(database, actor, version, "v1", "promote", {}, "")
            outcomes.append("done")
        except InputError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=promote, args=one) for one in ((ANNA, "v2"), (BEN, "v3"))]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(one == "done" for one in outcomes) == [False, True]
    refusal = next(one for one in outcomes if one != "done")
    assert "in the meantime" in refusal and ("Anna" in refusal or "Ben" in refusal)


def test_what_serves_already_is_not_promoted_again(database):
    promotions.add(database, ANNA, "v1", "", "promote", {}, "")
    with pytest.raises(InputError, match="serves already"):
        promotions.add(database, ANNA, "v1", "v1", "promote", {}, "")
