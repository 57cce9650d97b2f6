"""Two snapshots of labels compared: every change once, with both sides and their hashes."""

import json

from hypothesis import given
from hypothesis import strategies as st

from lab.corpus.rows import Row, corpus_sha256
from lab.curation.diff import DomainFlow, compare_labels, labels_sha256
from lab.curation.state import State
from lab.text.prepare import text_id

names = st.none() | st.sampled_from(["power", "spice", "kicad"])
snapshots = st.dictionaries(
    st.sampled_from("abcdef"),
    st.builds(State, names, st.lists(st.sampled_from(["power", "spice"])).map(tuple), st.booleans(), st.booleans()),
)


def test_each_change_has_its_kind_and_place():
    before = {"a": State("power"), "b": State("power"), "c": State("spice"), "d": State(None), "e": State("kicad"), "g": State("power")}
    after = {"a": State("spice"), "b": State("power", ("spice",)), "c": State("spice", routable=False), "d": State("power"),
             "e": State("kicad", flagged=True), "f": State("kicad")}  # fmt: skip
    got = compare_labels(before, after)
    assert {one.prompt_id: one.kind for one in got.changes} == {
        "a": "relabelled", "b": "also", "c": "routable", "d": "labelled", "e": "flagged", "f": "added", "g": "removed"
    }  # fmt: skip
    assert got.moves == {
        ("(no label)", "power"): 1, ("(not there)", "kicad"): 1, ("power", "(not there)"): 1, ("power", "spice"): 1,
        ("spice", "(not routable)"): 1,
    }  # fmt: skip
    assert got.per_domain["power"] == DomainFlow(before=3, entered=1, left=2, after=2)
    assert got.per_domain["kicad"] == DomainFlow(before=1, entered=1, left=0, after=2)
    assert (got.changes[0].before, got.changes[0].after) == (State("power"), State("spice"))
    assert got.summary.startswith("7 changes among 6 → 6 prompts (")
    assert json.loads(json.dumps(got.to_json()))["changes"][5] == {
        "id": "f", "kind": "added", "before": None, "after": State("kicad").to_json()
    }  # fmt: skip


def test_the_hash_is_that_of_the_corpus_and_sees_only_what_training_sees():
    rows = [Row("a resistor", "power", ("spice",)), Row("a trace", "kicad")]
    labels = {row.id: State(row.domain, row.also) for row in rows}
    assert labels_sha256(labels) == corpus_sha256(rows)
    hidden = labels | {text_id("x"): State(None), text_id("y"): State("power", routable=False)}
    assert labels_sha256(hidden) == corpus_sha256(rows)
    flagged = labels | {rows[0].id: State("power", ("spice",), flagged=True)}
    got = compare_labels(labels, flagged)
    assert (len(got.changes), got.sha256_before) == (1, got.sha256_after)
    assert "training sees no difference" in got.summary


@given(snapshots, snapshots)
def test_before_and_the_changes_give_after_and_the_flows_add_up(before, after):
    got = compare_labels(before, after)
    built = dict(before)
    for one in got.changes:
        assert built.get(one.prompt_id) == one.before != one.after
        if one.after is None:
            del built[one.prompt_id]
        else:
            built[one.prompt_id] = one.after
    assert built == after
    assert sum(got.kinds.values()) == len(got.changes)
    assert all(flow.before + flow.entered - flow.left == flow.after for flow in got.per_domain.values())
    back = compare_labels(after, before)
    assert {one.prompt_id for one in back.changes} == {one.prompt_id for one in got.changes}
    assert compare_labels(before, before).changes == ()
