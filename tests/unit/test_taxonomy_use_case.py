"""The taxonomy changed by a maintainer: previewed, applied with its labels in one transaction, taken back; batches made under old names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.curation import events as log
from lab.curation import intake
from lab.curation.events import Change
from lab.curation.state import State, Write
from lab.curation.taxonomy_draft import Draft
from lab.errors import AccessError, InputError
from lab.taxonomy import Domain
from tests.unit.curation_bench import made


@pytest.fixture
def bench(tmp_path, fake_encoder):
    opened = made(tmp_path, fake_encoder)
    assert opened.database
    yield opened
    opened.database.close()


@pytest.fixture
def anna(bench):
    return bench.actor("Anna")


def rename(bench, old="sea", new="ocean", **more) -> Draft:
    return Draft("rename", bench.taxonomy.version, (old,), (Domain(new, "", "", None, ()),), **more)


def ids_of(bench, domain):
    return [one for one, _ in bench.prompts_of(domain)]


def label_of(bench, prompt_id):
    return bench.state([prompt_id])[prompt_id][1]


def test_a_preview_counts_the_labels_that_would_move_and_writes_nothing(bench):
    n = len(ids_of(bench, "sea"))
    plan = bench.plan_taxonomy(rename(bench))
    assert len(plan.change.migrations) == n and plan.preview.counts == {"sea": (n, 0), "ocean": (0, n)}
    assert set(plan.preview.per_split) <= {"train", "valid", "test"} and sum(plan.preview.per_split.values()) == n
    assert all(one.prompt_id in plan.texts for sample in plan.preview.samples.values() for one in sample)
    assert bench.taxonomy.version == 1 and bench.changes() == [] and bench.batches()[0].who == intake.SHIPPED.name


def test_a_rename_moves_labels_backends_and_files_and_old_routers_still_map(bench, anna):
    before = set(ids_of(bench, "sea"))
    done = bench.apply_taxonomy(anna, rename(bench))
    assert (done.version, done.moved, done.conflicts) == (2, len(before), 0)
    assert set(ids_of(bench, "ocean")) == before and "sea" not in bench.taxonomy.by_name
    assert bench.taxonomy.canonical("sea") == bench.taxonomy.canonical("old-sea") == "ocean"
    assert bench.backends.backend["ocean"] == "wet" and "sea" not in bench.backends.backend
    assert bench.home.live_taxonomy.exists()
    with bench.database.read() as connection:
        assert log.wrong_folds(connection) == []


def test_a_revert_brings_back_taxonomy_backends_and_labels_as_a_new_version(bench, anna):
    before = {one: label_of(bench, one) for one in ids_of(bench, "sea")}
    bench.apply_taxonomy(anna, rename(bench))
    moved = next(iter(before))
    bench.apply_batch(anna, "one of them", [Change(moved, State("ocean"), State("sky"))])
    plan = bench.plan_taxonomy_revert()
    assert len(plan.change.migrations) == len(before) - 1
    done = bench.revert_taxonomy(anna, 2)
    assert done.version == 3 and bench.taxonomy.canonical("ocean") == "sea"
    assert bench.backends.backend["sea"] == "wet"
    assert {one: label_of(bench, one) for one in before} == before | {moved: State("sky")}
    assert [one.reverted_by is not None for one in bench.batches() if one.kind == "taxonomy"] == [True]
    assert bench.revert_taxonomy(anna, 3).version == 4 and "ocean" in bench.taxonomy.by_name, "a revert can be reverted"


def test_what_was_looked_at_must_still_stand(bench, anna):
    draft = rename(bench)
    bench.apply_taxonomy(anna, rename(bench, "sky", "air"))
    with pytest.raises(InputError, match="version 2 now, you have looked at version 1"):
        bench.apply_taxonomy(anna, draft)
    with pytest.raises(InputError, match="version 2 now, you have looked at version 1"):
        bench.revert_taxonomy(anna, 1)


@pytest.mark.parametrize(
    ("draft", "said"),
    [
        (Draft("rename", 1, ("nothing",), (Domain("x", "", "", None, ()),)), "no domain 'nothing'"),
        (Draft("rename", 1, ("sea",), (Domain("sky", "", "", None, ()),)), "'sky' is taken"),
        (Draft("add", 1, (), (Domain("New Name", "d", "b", None, ()),)), "cannot be the name"),
        (Draft("add", 1, (), (Domain("lake", "", "b", None, ()),)), "no definition"),
        (Draft("merge", 1, ("sea",), (Domain("sea", "", "", None, ()),)), "two domains"),
        (Draft("explode", 1, (), (Domain("x", "", "", None, ()),)), "no change “explode”"),
        (Draft("split", 1, (), ()), "not complete"),
    ],
)
def test_bad_input_is_a_sentence_and_changes_nothing(bench, anna, draft, said):
    with pytest.raises(InputError, match=said):
        bench.apply_taxonomy(anna, draft)
    assert bench.taxonomy.version == 1 and bench.taxonomy_versions() == []


def test_only_a_maintainer_applies_and_reverts(tmp_path, fake_encoder):
    bench = made(tmp_path, fake_encoder, unverified_role="curator")
    ben = bench.actor("Ben")
    assert bench.plan_taxonomy(rename(bench)).change.migrations, "a curator sees the preview"
    for forbidden in (lambda: bench.apply_taxonomy(ben, rename(bench)), lambda: bench.revert_taxonomy(ben, 2), lambda: bench.mend_strays(ben)):
        with pytest.raises(AccessError, match="needs a maintainer"):
            forbidden()
    assert bench.taxonomy_versions() == []


def test_a_merge_and_its_revert(bench, anna):
    sizes = {name: len(ids_of(bench, name)) for name in ("sky", "ground")}
    draft = Draft("merge", 1, ("sky", "ground"), (Domain("land", "all that is not the sea", "the sea", None, ()),), backend="one-model")
    assert bench.apply_taxonomy(anna, draft).moved == sum(sizes.values())
    assert len(ids_of(bench, "land")) == sum(sizes.values()) and bench.backends.backend["land"] == "one-model"
    bench.revert_taxonomy(anna, 2)
    assert {name: len(ids_of(bench, name)) for name in sizes} == sizes


def test_a_split_by_words_assigns_the_rest_to_the_nearest_part(bench, anna):
    words = {"sea": ["boat", "sail", "mast", "deck", "anchor"], "shore": ["coast", "harbour", "tide"]}
    found = bench.propose_split("sea", bench.prompts_with("sea", words))
    assert set(found.part) == set(ids_of(bench, "sea")) and set(found.part.values()) == {"sea", "shore"}
    parts = (Domain("sea", "on the water", "shore", None, ()), Domain("shore", "beside the water", "sea", None, ()))
    draft = Draft("split", 1, ("sea",), parts, assigned=found.part, heir="sea", rest="sea")
    done = bench.apply_taxonomy(anna, draft)
    assert done.moved == sum(part == "shore" for part in found.part.values()) == len(ids_of(bench, "shore"))
    with pytest.raises(InputError, match="No prompt of sky has the words of b alone"):
        bench.prompts_with("sky", {"a": ["kite"], "b": ["zebra"]})


def test_a_new_domain_takes_prompts_of_the_traffic_out_of_their_queue(bench, anna):
    import json

    records = "\n".join(json.dumps({"prompt": f"sourdough bread number {n}"}) for n in range(3)).encode()
    bench.apply_traffic(anna, bench.plan_traffic(records, "log.jsonl"))
    waiting = [prompt.id for prompt, _, _ in bench.peek("from-traffic")]
    bench.apply_taxonomy(anna, Draft("add", 1, (), (Domain("baking", "bread", "no pastry", None, ()),), prompts=tuple(waiting[:2])))
    assert {label_of(bench, one).domain for one in waiting[:2]} == {"baking"}
    assert [prompt.id for prompt, _, _ in bench.peek("from-traffic")] == waiting[2:]


def test_a_renamed_prompt_still_waits_in_its_queue(bench, anna):
    one = ids_of(bench, "sea")[0]
    bench.send_to_queue(anna, "matrix", "look again", [one])
    bench.apply_taxonomy(anna, rename(bench))
    assert [prompt.id for prompt, _, _ in bench.peek("from-matrix")] == [one]


# decisions made under old names


def test_a_batch_is_reverted_under_the_names_of_today(bench, anna):
    one, two = ids_of(bench, "sea")[:2]
    done = bench.apply_batch(anna, "to sky", [Change(one, State("sea"), State("sky")), Change(two, State("sea"), State("ground"))])
    bench.apply_taxonomy(anna, rename(bench))
    bench.apply_taxonomy(anna, rename(bench, "sky", "air"))
    shown = bench.revert_preview(done.id)
    assert (shown.back, shown.changed, shown.moves) == (2, 0, {("air", "ocean"): 1, ("ground", "ocean"): 1})
    back = bench.revert_batch(anna, done.id)
    assert (back.applied, back.conflicts) == (2, 0) and label_of(bench, one) == label_of(bench, two) == State("ocean")


def test_the_labels_of_a_taxonomy_change_are_not_reverted_without_it(bench, anna):
    bench.apply_taxonomy(anna, rename(bench))
    batch = next(one for one in bench.batches() if one.kind == "taxonomy")
    with pytest.raises(InputError, match="moved with a change of the taxonomy"):
        bench.revert_batch(anna, batch.id)


def test_an_undo_to_a_name_that_is_gone_is_refused_with_a_sentence(bench, anna):
    one = ids_of(bench, "sea")[0]
    bench.write(anna, [Write("session-a", 1, one, "label", State("sea"), State("sky"))])
    bench.apply_taxonomy(anna, rename(bench))
    outcome = bench.write(anna, [Write("session-a", 2, one, "undo", State("sky"), undoes=("session-a", 1))])[0]
    assert outcome.status == "refused" and "no domain “sea”" in outcome.message
    assert label_of(bench, one) == State("sky")


def test_a_label_that_crossed_a_change_is_found_and_mended(bench, anna):
    one = ids_of(bench, "sky")[0]
    bench.apply_taxonomy(anna, rename(bench))
    late = Write("session-late", 1, one, "label", State("sky"), State("sea"))
    assert log.record(bench.database, anna, late).status == "stored", "written below the check, as by a process that had not seen the change yet"
    assert [(change.prompt_id, change.after) for change in bench.strays()] == [(one, State("ocean"))]
    assert bench.mend_strays(anna).applied == 1 and bench.strays() == []


# the diff, the history, agreement


def test_changes_since_any_moment_with_flows_and_people(bench, anna):
    ben = bench.actor("Ben")
    one, two = ids_of(bench, "sea")[:2]
    first = bench.apply_batch(anna, "first", [Change(one, State("sea"), State("sky"), "because")])
    bench.write(ben, [Write("session-b", 1, two, "label", State("sea"), State("ground"))])
    bench.write(ben, [Write("session-b", 2, one, "label", State("sky"), State("ground"))])
    found = bench.changes()
    assert [(change.prompt.id, change.before, change.after, change.people) for change in found] == [
        (one, State("sea"), State("ground"), ("Anna", "Ben")),
        (two, State("sea"), State("ground"), ("Ben",)),
    ]
    flows = bench.flows(found)
    assert (flows["sea"].left, flows["sea"].entered, flows["ground"].entered) == (2, 0, 2)
    assert flows["sea"].before - flows["sea"].after == 2
    since = bench.changes(bench.event_at(f"batch-{first.id}"))
    assert {(change.prompt.id, change.before) for change in since} == {(one, State("sky")), (two, State("sea"))}
    assert bench.changes(bench.event_at("date-2999-01-01")) == []
    for odd in ("yesterday", "date-2026-02-31", "batch-" + "0" * 32):
        with pytest.raises(InputError):
            bench.event_at(odd)
    assert [one.who for one in bench.decisions()] == ["Ben", "Ben", "Anna"] and bench.people_since() == {"Ben": 2, "Anna": 1}


def test_what_goes_there_and_back_is_no_change(bench, anna):
    one = ids_of(bench, "sea")[0]
    done = bench.apply_batch(anna, "there", [Change(one, State("sea"), State("sky"))])
    bench.revert_batch(anna, done.id)
    assert bench.changes() == [] and len(bench.decisions()) == 2


def test_only_independent_decisions_count_as_opinions(bench, anna):
    ben = bench.actor("Ben")
    blind, led = ids_of(bench, "sea")[:2]
    for seq, (prompt, queue) in enumerate(((blind, "audit"), (led, "label-issues"))):
        bench.write(anna, [Write("session-a", seq, prompt, "label", State("sea"), State("sky"), queue="label-issues")])
        bench.write(ben, [Write("session-b", seq, prompt, "keep", State("sky"), queue=queue)])
    both = {(one.prompt_id, one.who) for one in bench.opinions()}
    assert both == {(blind, "Anna"), (blind, "Ben"), (led, "Anna")}
    assert len(bench.opinions(independent=False)) == 4


def test_flags_of_a_guessed_split_wait_for_a_second_opinion(bench, anna):
    ids = ids_of(bench, "sea")
    assigned = dict.fromkeys(ids[1:], "sea")
    parts = (Domain("sea", "d", "b", None, ()), Domain("shore", "d", "b", None, ()))
    bench.apply_taxonomy(anna, Draft("split", 1, ("sea",), parts, assigned=assigned, heir="sea", rest="shore"))
    assert label_of(bench, ids[0]) == replace(State("shore"), flagged=True)
    assert ids[0] in {prompt.id for prompt, _, _ in bench.peek("second-opinions")}


# the command


@pytest.fixture
def run(bench, monkeypatch, capsys):
    import argparse

    from lab.cli import taxonomy

    monkeypatch.setattr(taxonomy, "workbench", lambda: bench)

    def call(*words: str) -> str:
        top = argparse.ArgumentParser()
        taxonomy.add(top.add_subparsers())
        options = top.parse_args(["taxonomy", *words])
        assert options.run(options) == 0
        return capsys.readouterr().out

    return call


def test_the_command_shows_previews_applies_and_reverts(bench, run):
    assert "version 1, 3 domains" in run("show")
    out = run("rename", "sea", "ocean", "--dry-run")
    assert "labels would move, version 1 → 2" in out and bench.taxonomy.version == 1
    assert "version 2" in run("rename", "sea", "ocean", "--who", "Anna") and "ocean" in bench.taxonomy.by_name
    assert "Revert: Rename sea to ocean" in run("revert", "--dry-run") and bench.taxonomy.version == 2
    assert "version 3" in run("revert") and "sea" in bench.taxonomy.by_name
    assert "version 4" in run("add", "lake", "--definition", "still water", "--border", "sea")
    assert "version 5" in run("merge", "sea", "lake", "--into", "sea")
    parts = ("--part", "sky", "kite,plane,bird,wing", "flying things", "weather", "--part", "weather", "storm,fog,cloud,wind", "what the air does", "sky")
    assert "version 6" in run("split", "sky", *parts) and {"sky", "weather"} <= set(bench.taxonomy.by_name)
