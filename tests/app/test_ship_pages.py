"""Retrain and Models through app.py, on a small lab: what is shown, who may do what, and that nothing happens by itself."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from lab.curation.state import State, Write
from lab.errors import InputError
from lab.release import jobs
from lab.settings import Settings
from tests.app import ship_lab

APP = str(Path(__file__).parents[2] / "app.py")
pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def small(tmp_path_factory, project):
    bench = ship_lab.make(tmp_path_factory.mktemp("ship"), project)
    with ship_lab.served(bench) as app:
        yield app


@pytest.fixture
def no_process(small, monkeypatch):
    """Jobs start no process of their own."""
    from lab.use_cases import retraining

    monkeypatch.setattr(retraining.subprocess, "Popen", lambda *_, **__: SimpleNamespace(pid=4242, poll=lambda: None))
    yield
    for job in small.open_jobs():
        jobs.finish(small.database, job.id, "lost")


def opened(page: str, name: str = "Anna", **query: str) -> AppTest:
    st.cache_data.clear()
    app = AppTest.from_file(APP, default_timeout=120)
    app.session_state["person_name"] = name
    for key, value in query.items():
        app.query_params[key] = value
    app.switch_page(f"pages/{page}.py").run()
    assert not app.exception, app.exception
    return app


def shown(app: AppTest) -> str:
    kinds = ("header", "subheader", "markdown", "caption", "error", "info", "success", "warning")
    return "\n".join(str(one.value) for kind in kinds for one in app.get(kind)).replace("\\", "")


def button(app: AppTest, label: str):
    return next(one for one in app.button if one.label == label)


def figures(app: AppTest) -> dict[str, str]:
    return {one.label: one.value for one in app.metric}


def test_with_nothing_relabelled_the_button_is_off_and_says_why(small):
    app = opened("retrain")
    assert button(app, "Retrain").disabled
    assert "No training label has changed" in button(app, "Retrain").help
    assert "Relabel some prompts" in shown(app)


def test_relabels_are_counted_by_domain_and_previewed(small):
    ship_lab.relabel(small, "spice", "electronics-hw", 6)
    app = opened("retrain")
    assert figures(app)["Relabelled"] == "6" and {"Fixed", "Broken", "Neutral"} <= set(figures(app))
    table = next(one.value for one in app.dataframe if "Came" in one.value.columns)
    assert table.set_index("Domain").to_dict("index") == {"electronics-hw": {"Came": 6, "Left": 0}, "spice": {"Came": 0, "Left": 6}}
    dataset, revision = small.dataset_now()
    assert dataset.corpus_sha256[:12] in shown(app) and dataset.split_sha256[:12] in shown(app) and f"event {revision:,}" in shown(app)
    assert "95 %" in shown(app) and not button(app, "Retrain").disabled


def test_a_relabel_on_the_test_side_is_said_and_trains_nothing(small):
    before = small.retrain_plan()
    row = next(row for row in small.corpus_now() if row.split == "test" and row.domain == "spice")
    state = small.state([row.id])[row.id][1]
    assert small.write(small.actor("Anna"), [Write("test-side-session", 1, row.id, "label", state, State("electronics-hw"))])[0].status == "stored"
    after = small.retrain_plan()
    assert (after.changes, after.test_changes) == (before.changes, before.test_changes + 1)
    assert "1 on the test side" in shown(opened("retrain"))


def test_a_click_shows_running_at_once_and_a_reload_and_a_link_show_it_too(small, no_process):
    app = button(opened("retrain"), "Retrain").click().run()
    assert not app.exception and "Retrain running" in shown(app)
    job = small.recent_jobs()[0]
    assert app.query_params["job"] in (job.id, [job.id]) and job.params["recipe"] == "lab"
    assert button(app, "Retrain").disabled and "is running" in button(app, "Retrain").help
    again = opened("retrain", "Ben", job=job.id)
    assert "Retrain running" in shown(again)
    with pytest.raises(InputError, match="Anna is running"):
        small.start_retrain(small.actor("Ben"), anyway=True)
    cancelled = button(again, "Cancel").click().run()
    assert button(cancelled, "Stopping …").disabled and small.job(job.id).cancel
    jobs.finish(small.database, job.id, "cancelled")
    assert "Retrain cancelled" in shown(opened("retrain")) and "nothing was changed" in shown(opened("retrain"))


def test_a_deep_retrain_is_chosen_with_its_layers_estimated_and_shown_as_one(small, no_process):
    app = opened("retrain")
    depth = next(one for one in app.get("button_group") if one.label == "How deep")
    app = depth.set_value("Deep").run()
    assert "minutes on two cores" in shown(app) and "no answers out of fold" in shown(app)
    app = next(one for one in app.number_input if one.label == "Layers to train").set_value(2).run()
    app = button(app, "Deep retrain").click().run()
    assert not app.exception and "Deep retrain running" in shown(app) and "Adapt the encoder" in shown(app) and "Predict out of fold" not in shown(app)
    job = small.recent_jobs()[0]
    assert {"layers": 2, "epochs": 3}.items() <= job.params["adapt"].items()


@pytest.mark.parametrize(("status", "error"), [("failed", "No space left on device <b>"), ("lost", "The worker gave no sign of life")])
def test_a_job_that_ended_badly_says_so_in_a_sentence(small, no_process, status, error):
    job = small.start_retrain(small.actor("Anna"), anyway=True)
    jobs.finish(small.database, job.id, status, error=error)
    app = opened("retrain", job=job.id)
    assert f"Retrain {status}" in shown(app) and error in shown(app)


def test_parameters_out_of_range_are_refused_with_their_bounds(small):
    with pytest.raises(InputError, match="epochs is 0"):
        small.start_retrain(small.actor("Anna"), changes={"epochs": 0}, anyway=True)
    with pytest.raises(InputError, match="cannot be set"):
        small.start_retrain(small.actor("Anna"), changes={"hidden": 9}, anyway=True)
    with pytest.raises(InputError, match="no recipe"):
        small.start_retrain(small.actor("Anna"), "nothing", anyway=True)


@pytest.fixture(scope="module")
def candidate(small):
    return ship_lab.retrained(small, epochs=3)


def test_a_refused_version_is_promoted_only_with_a_written_reason_and_rolled_back(small, candidate):
    champion = small.champion()
    app = opened("retrain", job=small.recent_jobs()[0].id)
    verdict = next(one.verdict for one in small.version_list() if one.name == candidate)
    assert not verdict.passed and f"{verdict.n} test prompts" in shown(app) and verdict.test_sha256[:12] in shown(app)
    checks = app.table[0].value
    assert len(checks) == len(verdict.checks) and [check.name for check in verdict.checks if not check.passed] == [name.replace("\\", "") for name in checks["Check"][checks.index == "refused"]]
    assert button(app, "Override and promote").disabled
    app.text_area[0].set_value("two words").run()
    assert button(app, "Override and promote").disabled
    app.text_area[0].set_value("a test of the override").run()
    button(app, "Override and promote").click().run()
    assert "serves every session" in shown(app) and small.serving_name() == candidate
    kept = small.promotion_history()[0]
    assert kept.verdict["override"]["reason"] == "a test of the override" and kept.verdict["override"]["who"] == "Anna"
    back = opened("models", version=str(champion.about["name"]))
    button(back, "Roll back").click().run()
    assert "Rolled back" in shown(back) and small.champion().id == champion.id


def test_leaving_a_candidate_changes_nothing_and_says_so(small, candidate):
    before = (small.champion().id, len(small.promotion_history()))
    app = button(opened("retrain", job=small.recent_jobs()[0].id), "Leave it").click().run()
    assert "Nothing happens" in shown(app)
    assert (small.champion().id, len(small.promotion_history())) == before


def test_two_maintainers_at_once_one_gets_a_refusal_in_words(small, candidate):
    champion, shipped = small.champion(), next(one for one in small.version_list() if one.name == "lab-47")
    slow = opened("models", version="lab-47")
    small.promote(small.actor("Ben"), candidate, champion.id, "quicker than the other one")
    app = button(slow, "Roll back").click().run()
    assert "in the meantime" in shown(app) and small.champion().id != shipped.id
    small.promote(small.actor("Anna"), champion.id, small.champion().id, "back")


def test_a_verdict_against_an_earlier_champion_does_not_count(small, candidate):
    other = ship_lab.retrained(small, epochs=2)
    champion = small.champion()
    small.promote(small.actor("Anna"), "lab-47", champion.id, "meanwhile")
    try:
        with pytest.raises(InputError, match="serves no more"):
            small.promote(small.actor("Anna"), other, small.champion().id, "a reason of several words")
        assert "promoted since" in shown(opened("models", version=other, part="Gate"))
    finally:
        small.promote(small.actor("Anna"), champion.id, small.champion().id, "back")


@pytest.mark.parametrize("part", ["About", "Gate", "Records", "Files", "Take out"])
def test_every_part_of_a_version_opens_by_link(small, candidate, part):
    app = opened("models", version=candidate, part=part)
    assert candidate in shown(app)
    if part == "Files":
        version = small.version(candidate)
        table = next(one.value for one in app.dataframe if "sha256" in one.value.columns)
        assert dict(zip(table["File"], table["sha256"], strict=True)) == {name: digest for name, (digest, _) in version.files.items()}
    if part == "Records":
        assert small.version(candidate).id in app.code[0].value


@pytest.mark.parametrize("view", ["Compare", "Replay traffic", "Promotions", "Taxonomy doctor"])
def test_every_view_of_models_opens_by_link(small, candidate, view):
    app = opened("models", models=view)
    said = {"Compare": "McNemar p", "Replay traffic": "No gateway log", "Promotions": "nothing is ever taken out", "Taxonomy doctor": "have not been fitted"}
    assert said[view] in shown(app)


def test_a_viewer_sees_both_pages_and_can_change_nothing(small, candidate, monkeypatch):
    monkeypatch.setitem(small.__dict__, "settings", Settings(default_router="lab-47", unverified_role="viewer"))
    for page in ("retrain", "models"):
        app = opened(page)
        labels = {one.label for one in app.button}
        assert "Reading only" in shown(app) and not labels & {"Retrain", "Cancel", "Promote", "Override and promote", "Roll back", "Import", "Run the gate"}
    assert "Top-1" in figures(app)


def test_a_damaged_version_is_shown_as_damaged_and_the_page_stands(small, candidate):
    path = small.version(ship_lab.retrained(small, epochs=1)).path / "meta.json"
    good = path.read_bytes()
    path.write_bytes(good + b" ")
    try:
        app = opened("models", version=path.parent.name)
        assert "is damaged" in shown(app) and "meta.json" in shown(app)
    finally:
        path.write_bytes(good)


# what the pages and the command line ask of the workbench


def test_a_router_goes_out_as_a_zip_and_comes_in_again_with_what_is_unknown(small, candidate):
    data = small.gateway_zip(candidate)
    assert data == small.gateway_zip(candidate)
    made = small.import_upload(small.actor("Anna"), {"router.zip": data}, "from afar")
    assert made.about["name"] == "from afar" and made.router.sha256 == small.version(candidate).router.sha256
    assert any("no corpus snapshot" in one for one in made.about["unknown"])
    with pytest.raises(InputError, match="not held against the gate"):
        small.promote(small.actor("Anna"), "from afar", small.champion().id, "a reason of some words")


def zipped(*files: tuple[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files:
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.zip": b"no zip"}, "cannot be read as a zip"),
        ({"a.zip": zipped(("a/meta.json", b"{}"), ("b/meta.json", b"{}"))}, "names a file twice"),
        ({"a.zip": zipped(("../../meta.json", b"{}"))}, "is missing"),
        ({"meta.json": b"{}"}, "router.safetensors"),
    ],
)
def test_an_upload_that_is_no_router_is_refused_with_a_sentence(small, files, said):
    with pytest.raises(InputError, match=said):
        small.import_upload(small.actor("Anna"), files)


def test_an_earlier_record_is_contradicted_figure_by_figure(small, candidate):
    domains = len(small.version(candidate).router.domains)
    earlier = {"card.md": "A head with 34 domains.\n", "lineage.json": f'{{"num_domains": {domains}, "total_parameters": 85000, "sha256_expected": null}}'}
    found = {one.name: one for one in small.diff_version_records(candidate, earlier)}
    assert {"num_domains", "total_parameters", "sha256"} <= set(found)
    assert all(one.sentence for one in found.values())
    assert small.diff_version_records(candidate, small.version_records(candidate)) == []


def test_lineage_names_each_parent_up_to_the_shipped_router(small, candidate):
    chain = small.lineage_of(candidate)
    assert [one.about["name"] for one in chain][-1] == "lab-47" and chain[1].id == small.version(candidate).about["parent"]


def test_replay_lists_the_changed_answers_of_the_last_prompts(small, candidate, monkeypatch):
    monkeypatch.setitem(small.__dict__, "build_queue", lambda *_: SimpleNamespace(left=0))
    log = "prompt,timestamp\n" + "\n".join(f"how do I route net {n} in kicad?,2026-11-{1 + n:02d}T10:00:00Z" for n in range(12))
    small.apply_traffic(small.actor("Anna"), small.plan_traffic(log.encode(), "log.csv"))
    found = small.replay("lab-47", candidate, last=5)
    assert found.n == 5 and found.requests == 5 and len(found.changed) <= 5
    assert all(one.before != one.after and one.last_at >= "2026-11-08" for one in found.changed)
    assert small.replay(candidate, candidate).changed == ()
    assert "of the last" in shown(opened("models", models="Replay traffic"))


def test_the_doctor_answers_for_pairs_merges_and_splits(small):
    pair = [("kicad", "spice")]
    assert 0 <= small.pair_separability(pair)[0].auc <= 1
    assert small.try_merge(["kicad", "spice"]).domains_after == len(small.taxonomy.domains) - 1
    with pytest.raises(InputError, match="two domains"):
        small.try_merge(["kicad"])


@pytest.fixture
def command(small, monkeypatch, capsys):
    """Runs one command of lab.cli.records on the small lab; (exit status, what it printed)."""
    import argparse

    from lab.cli import records

    monkeypatch.setattr(records, "workbench", lambda: small)

    def run(*words: str) -> tuple[int, str]:
        top = argparse.ArgumentParser()
        records.add(top.add_subparsers(dest="command"))
        options = top.parse_args(words)
        status = options.run(options)
        return status, capsys.readouterr().out

    return run


def test_the_command_line_writes_records_and_names_contradictions(small, candidate, command, tmp_path):
    status, out = command("records", candidate, "--output", str(tmp_path / "records"))
    assert status == 0 and {path.name for path in (tmp_path / "records").iterdir()} == set(small.version_records(candidate))
    card = tmp_path / "records" / "README.md"
    assert command("records", "diff", candidate, str(card)) == (0, "0 contradictions\n")
    (tmp_path / "old.md").write_text("It knows 34 domains.\n")
    status, out = command("records", "diff", candidate, str(tmp_path / "old.md"))
    assert status == 3 and "34" in out and out.endswith("1 contradictions\n")
    with pytest.raises(InputError, match="one argument too many"):
        command("records", candidate, "more")


def test_the_command_line_replays_and_asks_the_doctor(small, candidate, command):
    import json

    status, out = command("replay", "lab-47", candidate, "--last", "3", "--json")
    assert status == 0 and json.loads(out)["n"] <= 3
    status, out = command("doctor-taxonomy", "--merge", "kicad", "spice")
    assert status == 0 and "Merge of kicad, spice" in out
