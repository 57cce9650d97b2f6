"""The page Queue through app.py, and what the desk's component is answered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from lab.curation import queue_store
from lab.curation.state import Item, State
from lab.errors import InputError
from pages.shared.desk.component import Desk, answer
from pages.shared.desk.store import BenchStore
from pages.shared.desk.wire import read_message
from pages.shared.frame import bench

APP = str(Path(__file__).parents[2] / "app.py")
QUEUE = "label-issues"

JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6)  # fmt: skip
EVENT = st.fixed_dictionaries({}, optional={name: JSON for name in ("session", "seq", "id", "action", "seen", "after", "undoes", "top", "model", "reason")})


@given(st.fixed_dictionaries({"n": JSON, "session": JSON, "tab": JSON}, optional={"events": st.lists(EVENT | JSON, max_size=3) | JSON, "want": JSON, "have": JSON, "asks": JSON}))  # fmt: skip
def test_whatever_a_browser_sends_is_read_or_refused_with_a_sentence(raw):
    try:
        message = read_message(raw)
    except InputError:
        return
    events = [one for one in raw.get("events", []) if isinstance(one, dict)] if isinstance(raw.get("events"), list) else []
    assert len(message.writes) + len(message.unreadable) == len(events)
    assert 0 <= message.want <= 200


def test_a_decision_that_cannot_be_read_is_refused_and_the_others_are_not():
    good = {"session": "s", "seq": 1, "id": "p", "action": "keep", "seen": {"domain": "a"}}
    message = read_message({"n": 1, "session": "s", "tab": "t", "events": [good, good | {"seq": 2, "seen": {"domain": 7}}]})
    assert [one.seq for one in message.writes] == [1]
    assert [(one.seq, one.status) for one in message.unreadable] == [(2, "refused")]


# through the app and the real workbench


@pytest.fixture
def filled(own_database):
    """Twenty prompts of the corpus wait."""
    ids = [row.id for row in bench().corpus.rows[:20]]
    with own_database.write() as connection:
        queue_store.replace(connection, QUEUE, [Item(one, 0.9, "Its neighbours disagree.") for one in ids], "Anna", 0, {})
    return ids


@pytest.fixture
def about():
    domains = [one.name for one in bench().taxonomy.domains]
    return Desk(BenchStore(bench()), bench().actor("Anna"), QUEUE, False, False, {}, {"hash": "h", "domains": domains, "guidelines": {}})


def said(**more) -> dict:
    return {"n": 1, "session": "session-0001", "tab": "tab-00000001", "queue": QUEUE, "static": "h", "events": [], "want": 0, "have": [], "asks": []} | more


def opened(**query: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=90)
    for key, value in query.items():
        app.query_params[key] = value
    return app.run().switch_page("pages/queue.py")


def words(app: AppTest) -> str:
    return "\n".join(str(one.value) for kind in ("header", "caption", "info", "warning", "error") for one in app.get(kind))


@pytest.mark.real
def test_every_queue_stands_in_the_sidebar_with_what_waits_and_a_link_opens_one(filled):
    app = opened().run()
    assert not app.exception
    assert app.header[0].value == "Queue"
    assert "Label issues · 20" in app.sidebar.radio[0].options
    app.query_params["queue"] = "low-margin"
    app.run()
    assert app.sidebar.radio[0].value == "low-margin"
    assert "Low margin has not been built yet" in words(app)
    app.query_params["queue"] = "nothing"
    app.run()
    assert "There is no queue" in words(app)
    assert app.sidebar.radio[0].value == QUEUE


@pytest.mark.real
def test_a_link_opens_its_prompt_in_a_queue_that_was_never_built(own_database, about):
    linked = bench().corpus.rows[7].id
    app = opened(queue=QUEUE, prompt=linked).run()
    assert not app.exception
    assert "Only the prompt of the link is on the desk: Label issues has not been built yet." in words(app)
    reply = answer(replace(about, prompt=linked), said(want=5))
    assert [one["id"] for one in reply["items"]] == [linked] and reply["all"]
    assert "There is no prompt “nobody”" in words(opened(queue=QUEUE, prompt="nobody").run())


@pytest.mark.real
def test_a_reader_is_told_so_and_cannot_build(filled, monkeypatch):
    monkeypatch.setitem(bench().__dict__, "settings", bench().settings.__class__(**vars(bench().settings) | {"read_only": True}))
    app = opened().run()
    assert not app.exception
    assert "read-only demo" in words(app)
    assert not [one for one in app.button if one.label in ("Build", "Refresh")]


@pytest.mark.real
def test_the_desk_is_answered_once_for_each_decision(filled, about):
    reply = answer(about, said(want=5))
    assert [one["id"] for one in reply["items"]] == filled[:5]
    assert len(reply["items"][0]["candidates"]) == 9
    assert reply["left"] == 20
    item = reply["items"][0]
    other = next(name for name, _ in item["candidates"] if name != item["state"]["domain"])
    event = {"session": "session-0001", "seq": 1, "id": item["id"], "action": "label", "seen": item["state"], "after": item["state"] | {"domain": other, "also": []}, "queue": QUEUE}
    first, again = (answer(about, said(events=[event]))["outcomes"][0]["status"] for _ in range(2))
    assert (first, again) == ("stored", "known")
    stale = answer(about, said(events=[event | {"seq": 2}]))["outcomes"][0]
    assert (stale["status"], stale["state"]["domain"]) == ("conflict", other)
    assert filled[0] not in [one["id"] for one in answer(about, said(want=20))["items"]]


@pytest.mark.real
def test_two_desks_get_different_prompts_and_a_reader_holds_none(filled, about):
    reader = Desk(about.store, about.actor, QUEUE, False, True, {}, about.static)
    assert len(answer(reader, said(want=5))["items"]) == 5
    first = {one["id"] for one in answer(about, said(want=8))["items"]}
    second = {one["id"] for one in answer(about, said(want=8, tab="tab-00000002"))["items"]}
    assert len(first) == len(second) == 8
    assert not first & second


@pytest.mark.real
def test_a_batch_asked_for_twice_is_applied_once_and_can_be_reverted(filled, about):
    reply = answer(about, said(want=3))
    target = about.static["domains"][-1]
    before = {one["id"]: one["state"] for one in reply["items"]}
    changes = [{"id": one, "seen": state, "after": State(target).to_json()} for one, state in before.items() if state["domain"] != target]
    ask = {"id": "ask-1", "kind": "batch", "title": "neighbours", "changes": changes}
    told = [answer(about, said(asks=[ask]))["answers"]["ask-1"] for _ in range(2)]
    assert told[0] == told[1]
    assert (told[0]["applied"], told[0]["conflicts"]) == (len(changes), 0)
    assert answer(about, said(asks=[{"id": "ask-2", "kind": "revert", "batch": told[0]["batch"]}]))["answers"]["ask-2"]["applied"] == len(changes)
    assert {one: state.to_json() for one, (_, state) in bench().state(list(before)).items()} == before


@pytest.mark.real
def test_an_error_is_a_sentence_in_the_reply_and_nothing_is_acknowledged(filled, about, monkeypatch):
    monkeypatch.setitem(bench().__dict__, "settings", bench().settings.__class__(**vars(bench().settings) | {"read_only": True}))
    event = {"session": "session-0001", "seq": 1, "id": filled[0], "action": "keep", "seen": State().to_json()}
    reply = answer(about, said(events=[event]))
    assert "read-only" in reply["error"]
    assert "outcomes" not in reply
