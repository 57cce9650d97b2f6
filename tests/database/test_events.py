"""Decisions are stored once, on the right prompt, and never overwritten."""

import itertools
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.curation import batches, conflicts, intake, queue_store
from lab.curation import events as log
from lab.curation import prompts as prompt_store
from lab.curation.events import Change
from lab.curation.state import Actor, Item, Prompt, State, Write
from lab.database.connect import Database
from lab.errors import InputError

ANNA, BEN = Actor("Anna"), Actor("Ben")


def label(prompt, seen, after, seq, session="session-a", **more):
    return Write(session, seq, prompt, "label", State(seen), State(after), **more)


def states(database, ids):
    with database.read() as connection:
        return prompt_store.states(connection, ids)


def history(database, prompt):
    with database.read() as connection:
        return log.history(connection, prompt)


def test_a_decision_becomes_the_label_and_an_event(database, prompts):
    outcome = log.record(database, ANNA, label(prompts[0], "a", "b", 1, reason="it asks for b", model={"router": "lab", "top": [["b", 0.9]]}))
    assert outcome.status == "stored" and outcome.state == State("b")
    assert states(database, prompts[:1]) == {prompts[0]: State("b")}
    first, second = history(database, prompts[0])
    assert (first.action, first.after) == ("import", State("a"))
    assert (second.who, second.before, second.after, second.reason) == ("Anna", State("a"), State("b"), "it asks for b")
    assert second.model == {"router": "lab", "top": [["b", 0.9]]}


def test_the_same_decision_sent_again_is_known_and_stored_once(database, prompts):
    write = label(prompts[0], "a", "b", 1)
    assert log.record(database, ANNA, write).status == "stored"
    again = log.record(database, ANNA, write)
    assert (again.status, again.state) == ("known", State("b"))
    assert len(history(database, prompts[0])) == 2


def test_a_number_that_comes_back_with_another_decision_is_refused(database, prompts):
    log.record(database, ANNA, label(prompts[0], "a", "b", 1))
    assert log.record(database, ANNA, label(prompts[1], "b", "c", 1)).status == "refused"
    assert states(database, prompts[1:2])[prompts[1]] == State("b")


def test_a_decision_on_a_label_that_has_changed_is_a_conflict_and_is_kept(database, prompts):
    log.record(database, ANNA, label(prompts[0], "a", "b", 1))
    late = label(prompts[0], "a", "c", 1, session="session-b")
    outcome = log.record(database, BEN, late)
    assert outcome.status == "conflict" and outcome.state == State("b")
    assert log.record(database, BEN, late).status == "conflict", "sent again, it is the same conflict"
    assert states(database, prompts[:1])[prompts[0]] == State("b")
    with database.read() as connection:
        (kept,) = conflicts.open_ones(connection)
    assert (kept.who, kept.seen, kept.wanted, kept.found) == ("Ben", State("a"), State("c"), State("b"))


def test_a_prompt_that_is_not_there_is_refused(database, prompts):
    assert log.record(database, ANNA, label("0" * 64, "a", "b", 1)).status == "refused"


def test_undo_and_undo_of_undo(database, prompts):
    one = prompts[0]
    log.record(database, ANNA, label(one, "a", "b", 1))

    def undo(seq, of):
        return log.record(database, ANNA, Write("session-a", seq, one, "undo", State(), undoes=("session-a", of)))

    assert undo(2, 1).state == State("a")
    assert undo(3, 1).status == "refused", "it is undone already"
    assert undo(4, 2).state == State("b")
    assert undo(5, 4).state == State("a")
    assert [event.action for event in history(database, one)] == ["import", "label", "undo", "undo", "undo"]


def test_an_undo_over_a_newer_decision_is_a_conflict(database, prompts):
    one = prompts[0]
    log.record(database, ANNA, label(one, "a", "b", 1))
    log.record(database, BEN, label(one, "b", "c", 1, session="session-b"))
    outcome = log.record(database, ANNA, Write("session-a", 2, one, "undo", State(), undoes=("session-a", 1)))
    assert outcome.status == "conflict" and states(database, [one])[one] == State("c")


# queues and leases


def queue(database, ids, name="label-issues"):
    with database.write() as connection:
        queue_store.replace(connection, name, [Item(one, 1.0, "why") for one in ids], "Anna", log.newest(connection), {})


def take(database, actor, session, n, name="label-issues"):
    with database.write() as connection:
        return [item.prompt_id for item in queue_store.take(connection, actor, session, name, n)]


def left(database, name="label-issues"):
    with database.read() as connection:
        return [item.prompt_id for item in queue_store.items(connection, name)]


def test_two_curators_on_one_queue_get_disjoint_items(database, prompts):
    queue(database, prompts)
    first, second = take(database, ANNA, "session-a", 12), take(database, BEN, "session-b", 12)
    assert first == prompts[:12] and second == prompts[12:24]
    assert take(database, ANNA, "session-a", 12) == first, "a reload gets the same again"
    assert take(database, Actor("Eve"), "session-e", 12) == prompts[24:]


def test_a_lease_that_has_run_out_is_free(database, prompts, monkeypatch):
    queue(database, prompts[:3])
    monkeypatch.setattr(queue_store, "LEASE_S", -1.0)
    assert take(database, ANNA, "session-a", 3) == prompts[:3]
    assert take(database, BEN, "session-b", 3) == prompts[:3]


def test_a_decided_item_leaves_every_queue_but_the_blind_ones_and_undo_brings_it_back(database, prompts):
    for name in ("label-issues", "low-margin", "audit"):
        queue(database, prompts[:3], name)
    log.record(database, ANNA, label(prompts[0], "a", "b", 1, queue="label-issues"))
    assert left(database) == left(database, "low-margin") == prompts[1:3]
    assert left(database, "audit") == prompts[:3]
    log.record(database, ANNA, Write("session-a", 2, prompts[0], "undo", State(), queue="label-issues", undoes=("session-a", 1)))
    assert left(database) == left(database, "low-margin") == prompts[:3]
    log.record(database, ANNA, Write("session-a", 3, prompts[0], "undo", State(), queue="label-issues", undoes=("session-a", 2)))
    assert left(database) == prompts[1:3]
    log.record(database, ANNA, Write("session-a", 4, prompts[0], "undo", State(), queue="label-issues", undoes=("session-a", 3)))
    assert left(database) == prompts[:3]


def test_a_skipped_item_is_left_for_others(database, prompts):
    queue(database, prompts[:2])
    log.record(database, ANNA, Write("session-a", 1, prompts[0], "skip", State("a"), queue="label-issues"))
    assert take(database, ANNA, "session-a", 5) == prompts[1:2]
    assert take(database, BEN, "session-b", 5) == prompts[:1]


def test_a_flag_asks_somebody_else_for_a_second_opinion(database, prompts):
    log.record(database, ANNA, Write("session-a", 1, prompts[0], "flag", State("a"), State("a", flagged=True)))
    assert take(database, ANNA, "session-a", 5, queue_store.SECOND) == []
    assert take(database, BEN, "session-b", 5, queue_store.SECOND) == prompts[:1]
    second = Write("session-b", 1, prompts[0], "label", State("a", flagged=True), State("b", flagged=True), queue=queue_store.SECOND)
    assert log.record(database, BEN, second).state == State("b"), "the opinion was given: the flag is gone"


def test_a_prompt_that_was_changed_twice_is_one_changed_label(database, prompts):
    with database.read() as connection:
        built_at = log.newest(connection)
    log.record(database, ANNA, label(prompts[0], "a", "b", 1))
    log.record(database, ANNA, label(prompts[0], "b", "c", 2))
    log.record(database, ANNA, label(prompts[1], "b", "c", 3))
    with database.read() as connection:
        assert log.count_changes(connection, built_at) == 2


# batches


def test_a_batch_is_applied_and_reverted_as_one(database, prompts):
    done = batches.apply(database, ANNA, "bulk", "to c", [Change(one, State("a"), State("c")) for one in prompts[0:9:3]])
    assert (done.applied, done.conflicts) == (3, 0)
    assert set(states(database, prompts[0:9:3]).values()) == {State("c")}
    log.record(database, BEN, label(prompts[0], "c", "b", 1, session="session-b"))
    back = batches.revert(database, ANNA, done.id)
    assert (back.applied, back.conflicts) == (2, 1), "what Ben has decided since stays"
    assert [states(database, prompts)[prompts[n]].domain for n in (0, 3, 6)] == ["b", "a", "a"]
    with pytest.raises(InputError, match="reverted already"):
        batches.revert(database, ANNA, done.id)
    again = batches.revert(database, ANNA, back.id)
    assert again.applied == 2 and states(database, prompts)[prompts[3]] == State("c")


def test_a_batch_leaves_out_what_has_changed_under_it(database, prompts):
    log.record(database, BEN, label(prompts[0], "a", "b", 1))
    done = batches.apply(database, ANNA, "bulk", "to c", [Change(one, State("a"), State("c")) for one in (prompts[0], prompts[3])])
    assert (done.applied, done.conflicts) == (1, 1)
    assert states(database, prompts)[prompts[0]] == State("b")


def test_prompts_that_are_there_keep_their_labels(database, prompts):
    with database.write() as connection:
        batch = batches.add(connection, ANNA, "import", "again", 2)
        known = prompt_store.get(connection, prompts[:1])[prompts[0]]
        new = Prompt("f" * 64, "new one")
        got = intake.add_in(connection, ANNA, batch, "import", [(known, State("z")), (new, State("z")), (replace(new, text="twice"), State("y"))], "")
    assert (got.new, got.known) == (1, (prompts[0],))
    assert states(database, [prompts[0], new.id]) == {prompts[0]: State("a"), new.id: State("z")}


# many writers


def test_eight_writers_lose_nothing_and_double_nothing(url, database, prompts):
    """8 processes × 500 relabels on 30 prompts: every label is the fold, each chain of before and after is whole."""
    workers = [subprocess.Popen([sys.executable, "-m", "tests.database.writer", str(url), str(n), "500"]) for n in range(8)]
    assert [one.wait(300) for one in workers] == [0] * 8
    with database.read() as connection:
        stored = log.since(connection, actions=["label"])
        assert log.wrong_folds(connection) == []
    assert len(stored) == 8 * 500
    assert len({(event.who, event.seq) for event in stored}) == 8 * 500
    for one in prompts:
        chain = history(database, one)
        assert all(before.after == after.before for before, after in itertools.pairwise(chain))


# any order of decisions

DOMAINS = st.sampled_from(["a", "b", "c"])
STEP = st.one_of(
    st.tuples(st.just("label"), st.integers(0, 2), DOMAINS, st.integers(0, 1)),
    st.tuples(st.just("flag"), st.integers(0, 2), DOMAINS, st.integers(0, 1)),
    st.tuples(st.just("stale"), st.integers(0, 2), DOMAINS, st.integers(0, 1)),
    st.tuples(st.just("resend"), st.integers(0, 30), DOMAINS, st.integers(0, 1)),
    st.tuples(st.just("undo"), st.integers(0, 30), DOMAINS, st.integers(0, 1)),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEP, max_size=25))
def test_any_sequence_keeps_the_label_the_fold_of_its_events(steps):
    from tests.database.writer import fill

    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "lab.sqlite")
        ids, model, sent = fill(database, 3), {}, []
        model = dict(zip(ids, [State("a"), State("b"), State("c")], strict=True))
        for seq, (kind, which, domain, who) in enumerate(steps):
            session = f"session-{who}"
            if kind in ("resend", "undo"):
                if not sent:
                    continue
                old = sent[which % len(sent)]
                write = old if kind == "resend" else Write(session, seq, old.prompt_id, "undo", State(), undoes=(old.session, old.seq))
            else:
                one = ids[which]
                seen = State("z") if kind == "stale" else model[one]
                after = replace(seen, flagged=not seen.flagged) if kind == "flag" else replace(seen, domain=domain)
                write = Write(session, seq, one, "flag" if kind == "flag" else "label", seen, after)
            outcome = log.record(database, ANNA, write)
            if kind == "resend":
                assert outcome.status != "stored"
            elif kind == "stale":
                assert outcome.status == "conflict"
            elif kind in ("label", "flag"):
                assert outcome.status == "stored"
            if outcome.status == "stored":
                model[write.prompt_id] = outcome.state
            if kind != "resend":
                sent.append(write)
        assert states(database, ids) == model
        with database.read() as connection:
            assert log.wrong_folds(connection) == []
            assert {one: log.fold(log.history(connection, one)) for one in ids} == model
        database.close()
