"""The Curation set, opened through app.py on the shipped corpus with a database of its own."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from lab.curation.state import State, Write
from pages.shared.frame import bench

APP = str(Path(__file__).parents[2] / "app.py")
HOSTILE = "# Title $x^2$ <img src=x onerror=alert(1)> **bold** [a](javascript:alert(1))"
pytestmark = [pytest.mark.real, pytest.mark.usefixtures("own_database")]


@pytest.fixture(scope="module", autouse=True)
def fresh_caches():
    st.cache_data.clear()
    yield


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A database with the shipped corpus, made once: bringing it in takes seconds."""
    from lab.curation.intake import import_shipped
    from lab.database.connect import Database

    path = tmp_path_factory.mktemp("filled") / "lab.sqlite"
    database = Database(path)
    import_shipped(database, bench().corpus.rows, bench().frozen_split, bench().taxonomy)
    database.close()
    return path


@pytest.fixture
def own_database(filled, tmp_path, monkeypatch):
    from lab.database.connect import Database

    shutil.copy(filled, tmp_path / "lab.sqlite")
    database = Database(tmp_path / "lab.sqlite")
    monkeypatch.setitem(bench().__dict__, "database", database)
    yield database
    database.close()
    for left in (bench().home.live_taxonomy, bench().home.live_backends):  # a changed taxonomy is mirrored into the state folder
        left.unlink(missing_ok=True)


def opened(view: str = "", name: str = "Anna", **query: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=90).run().switch_page("pages/curation.py")
    for key, value in query.items():
        app.query_params[key] = value
    if view:
        app.session_state["show"] = view
    if name:
        app.session_state["person_name"] = name
    app.run()
    assert not app.exception, app.exception
    return app


def shown(app: AppTest) -> str:
    kinds = ("header", "subheader", "markdown", "text", "caption", "error", "info", "warning", "success")
    return "\n".join(str(one.value) for kind in kinds for one in app.get(kind)).replace("\\", "")


def button(app: AppTest, label: str):
    return next(one for one in app.button if one.label.replace("\\", "").startswith(label))


def labels(app: AppTest) -> list[str]:
    return [one.label.replace("\\", "") for one in app.button]


def metrics(app: AppTest) -> dict[str, str]:
    return {one.label: one.value for one in app.metric}


@pytest.fixture
def relabelled(own_database):
    """Anna moved two prompts, one of them of the test side, and Ben one."""
    lab = bench()
    rows = [next(row for row in lab.corpus.rows if row.domain == "python" and lab.frozen_split[row.id] == side) for side in ("train", "test", "valid")]
    for n, (row, who, to) in enumerate(zip(rows, ("Anna", "Anna", "Ben"), ("rust", "rust", "sql"), strict=True)):
        seen = lab.state([row.id])[row.id][1]
        write = Write(f"session-{who}", n, row.id, "label", seen, replace(seen, domain=to), "label-issues", "it names rust")
        assert lab.write(lab.actor(who), [write])[0].status == "stored"
    return rows


def test_before_any_decision_the_page_leads_to_the_worst_confusion():
    app = opened()
    assert app.header[0].value == "Curation set"
    assert "Nothing relabelled yet" in shown(app)
    assert any("The worst confusion" in one.proto.label for one in app.get("page_link"))


@pytest.mark.parametrize("view", ["Changes", "History", "Second opinions", "Conflicts", "Files", "Traffic", "Taxonomy"])
def test_every_view_opens_for_a_stranger_and_with_work_in_it(view, relabelled):
    opened(view, name="")
    opened(view)


def test_changes_show_before_after_who_when_and_why(relabelled):
    app = opened()
    table = app.dataframe[0].value
    assert table["Before"].tolist() == ["python"] * 3
    assert table["After"].tolist() == ["sql", "rust", "rust"], "the newest first"
    assert table["Who"].tolist() == ["Ben", "Anna", "Anna"] and set(table["Why"]) == {"it names rust"} and not table["Verified"].any()
    assert table["Queue"].tolist() == ["Label issues"] * 3
    assert metrics(app) == {"Changed": "3", "Moved": "3", "Domains": "3", "People": "2", "Test side": "1"}


def test_filters_narrow_the_diff(relabelled):
    app = opened()
    app.selectbox(key="who").set_value("Anna").run()
    assert metrics(app)["Changed"] == "2"
    app.selectbox(key="side").set_value("test").run()
    assert app.dataframe[0].value["Prompt"].tolist() == [relabelled[1].text]
    app.text_input(key="find").set_value("no prompt has these words").run()
    assert "No change passes these filters" in shown(app)


def test_a_link_opens_a_prompt_with_its_history(relabelled):
    app = opened(prompt=relabelled[0].id[:16])
    assert relabelled[0].text in [one.value for one in app.text]
    events = app.dataframe[1].value
    assert events["What"].tolist() == ["imported", "relabelled"] and events["After"].tolist()[-1] == "rust"
    assert {"Undo: back to “python”", "Ask for a second opinion"} <= set(labels(app))


def test_undo_and_a_second_opinion_from_the_diff(relabelled):
    one = relabelled[0].id
    app = opened(prompt=one[:16])
    button(app, "Ask for a second opinion").click().run()
    assert bench().state([one])[one][1].flagged and "second opinions" in shown(app)
    button(app, "Undo").click().run()
    assert not bench().state([one])[one][1].flagged, "the newest change is undone first"
    button(app, "Undo").click().run()
    assert bench().state([one])[one][1].domain == "python" and "Undone" in shown(app)


def test_moves_and_flows(relabelled):
    app = opened()
    app.session_state["by"] = "Moves"
    moves = app.run().dataframe[0].value
    assert moves.values.tolist() == [["python", "rust", 2], ["python", "sql", 1]]
    app.session_state["by"] = "Domains"
    flows = app.run().dataframe[0].value.set_index("Domain")
    assert flows.loc["python", ["Came", "Left", "Change"]].tolist() == [0, 3, -3]


def test_since_a_batch_and_since_nonsense(relabelled):
    app = opened(since=f"event-{bench().newest_event()}")
    assert "Nothing has changed since then" in shown(app)
    assert "no moment of the curation set" in shown(opened(since="<script>"))


def test_a_batch_says_what_a_revert_would_leave_and_is_reverted(relabelled):
    from lab.curation.events import Change

    lab = bench()
    rows = [row for row in lab.corpus.rows if row.domain == "docker"][:3]
    done = lab.apply_batch(lab.actor("Ben"), "Lasso **three**", [Change(row.id, lab.state([row.id])[row.id][1], State("devops")) for row in rows])
    app = opened("History")
    assert app.dataframe[0].value["Title"].tolist()[0] == "Lasso **three**"
    assert lab.revert_preview(done.id).moves == {("devops", "docker"): 3}
    lab.revert_batch(lab.actor("Anna"), done.id)
    assert app.run().dataframe[0].value["Stands"].tolist()[1] == "reverted by Anna"


def test_a_conflict_shows_seen_wanted_and_found_and_is_settled(relabelled):
    lab, one = bench(), relabelled[0].id
    stale = Write("session-late", 1, one, "label", State("python"), State("shell"))
    assert lab.write(lab.actor("Anna"), [stale])[0].status == "conflict"
    app = opened("Conflicts")
    assert app.dataframe[0].value[["Seen", "Wanted", "Found"]].values.tolist() == [["python", "shell", "rust"]]
    button(app, "Apply mine").click().run()
    assert lab.state([one])[one][1].domain == "shell" and "No conflict is open" in shown(app)
    lab.write(lab.actor("Ben"), [replace(stale, session="session-later")])
    app = opened("Conflicts")
    assert "Apply what Ben wanted" in labels(app)
    button(app, "Lay aside").click().run()
    assert lab.state([one])[one][1].domain == "shell" and lab.conflicts() == []


def test_agreement_says_what_is_missing_then_gives_kappa_and_the_disputes(relabelled):
    app = opened("Second opinions")
    assert "have no prompt in common" in shown(app)
    lab = bench()
    rows = [row for row in lab.corpus.rows if row.domain in ("math", "power")][:12]
    for who, queue, wrong in (("Anna", "low-margin", 0), ("Ben", "audit", 3)):
        for n, row in enumerate(rows):
            seen = lab.state([row.id])[row.id][1]
            after = replace(seen, domain="emc") if n < wrong else seen
            lab.write(lab.actor(who), [Write(f"agree-{who}-x", n, row.id, "label", seen, after, queue)])
    app = opened("Second opinions")
    pair = app.dataframe[0].value.iloc[0]
    assert (pair["First"], pair["Second"], pair["Prompts in common"], pair["Same choice"]) == ("Anna", "Ben", 12, 9)
    assert len(app.dataframe[1].value) == 3 and "They differ on 3 of 12" in shown(app)


def test_prompts_are_shown_as_they_are(relabelled):
    lab = bench()
    lab.apply_import(lab.actor("Anna"), lab.plan_import(json.dumps({"prompt": HOSTILE, "domain": "security"}).encode(), "<b>x</b>.jsonl"))
    app = opened()
    assert HOSTILE in app.dataframe[0].value["Prompt"].tolist()
    linked = opened(prompt=lab.known(HOSTILE)[0].id[:16])
    assert HOSTILE in [one.value for one in linked.text]
    assert not any(HOSTILE in one.value for one in linked.markdown)


def test_a_rename_is_previewed_applied_and_listed(own_database, tmp_path, monkeypatch):
    monkeypatch.setattr(bench(), "home", replace(bench().home, state=tmp_path))
    app = opened("Taxonomy")
    app.session_state["change"] = "Rename"
    app.run()
    app.selectbox(key="rename-old").set_value("python").run()
    app.text_input(key="rename-name").set_value("python-code").run()
    button(app, "Preview").click().run()
    assert "labels would move" in shown(app) and bench().taxonomy.version == 1
    button(app, "Apply").click().run()
    assert not app.exception and bench().taxonomy.canonical("python") == "python-code" and "Revert version 2 …" in labels(app)
    bench().revert_taxonomy(bench().actor("Anna"), 2)
    assert bench().taxonomy.version == 3 and "python" in bench().taxonomy.by_name


def test_a_bad_name_is_a_sentence(own_database):
    app = opened("Taxonomy")
    app.session_state["change"] = "Rename"
    app.run()
    app.selectbox(key="rename-old").set_value("python").run()
    app.text_input(key="rename-name").set_value("Python Code").run()
    button(app, "Preview").click().run()
    assert "cannot be the name of a domain" in shown(app) and "Apply" not in labels(app)


@pytest.mark.parametrize("settings", [{"read_only": True}, {"unverified_role": "viewer"}, {"unverified_role": "curator"}])
def test_who_may_not_write_sees_everything_and_is_offered_nothing(relabelled, monkeypatch, settings):
    lab = bench()
    lab.write(lab.actor("Anna"), [Write("session-late", 1, relabelled[0].id, "label", State("python"), State("shell"))])
    monkeypatch.setattr(lab, "settings", replace(lab.settings, **settings))
    curator = settings.get("unverified_role") == "curator"
    for view in ("Changes", "History", "Conflicts", "Files", "Traffic", "Taxonomy"):
        app = opened(view, prompt=relabelled[0].id[:16])
        offered = {one for one in labels(app) if one.startswith(("Undo", "Ask", "Apply", "Lay", "Revert", "Import"))}
        assert bool(offered) == (curator and view in ("Changes", "Conflicts")), (view, offered)
        if not curator:
            assert ("read-only demo" if settings.get("read_only") else "needs a curator") in shown(app)


def test_a_split_by_words_and_a_merge_are_previewed(own_database):
    app = opened("Taxonomy")
    app.session_state["change"] = "Split"
    app.run()
    app.selectbox(key="split-name").set_value("docker").run()
    for key, value in {"part-docker-1": "docker-compose", "words-docker-0": "dockerfile, build", "words-docker-1": "compose, volume",
                       "part-docker-1-definition": "several containers", "part-docker-1-border": "one: docker"}.items():  # fmt: skip
        (app.text_area if key.endswith("definition") else app.text_input)(key=key).set_value(value).run()
    button(app, "Preview").click().run()
    assert not app.exception and "Split docker into docker, docker-compose" in shown(app) and "Apply" in labels(app)
    app.text_input(key="part-docker-1").set_value("compose").run()
    assert "The form has changed" in shown(app) and "Apply" not in labels(app), "nothing is applied that was not looked at"
    app.session_state["change"] = "Merge"
    app.run()
    app.multiselect(key="merge-names").set_value(["kicad", "kicad-pcb"]).run()
    button(app, "Preview").click().run()
    assert "Merge kicad, kicad-pcb into kicad" in shown(app)
