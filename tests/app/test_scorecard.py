"""Scorecard and Confusions through app.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

APP = str(Path(__file__).parents[2] / "app.py")
pytestmark = pytest.mark.real


def opened(page: str, **query: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=90).run()
    for key, value in query.items():
        app.query_params[key] = value
    app = app.switch_page(f"pages/{page}.py").run()
    assert not app.exception, app.exception
    return app


def shown(app: AppTest) -> str:
    return "\n".join(str(one.value) for kind in ("header", "subheader", "markdown", "caption", "info") for one in app.get(kind))


def test_scorecard_shows_five_figures_bound_to_their_hashes():
    app = opened("scorecard")
    assert app.header[0].value == "Scorecard"
    assert [metric.label for metric in app.metric] == ["Top-1", "Top-3", "Macro-F1", "ECE", "Prompts"]
    assert app.metric[4].value == "1,525"
    assert "test side · 1,525 prompts" in shown(app)


def test_scorecard_figures_are_those_of_the_shipped_metrics():
    import json

    metrics = json.loads((Path(APP).parent / "models" / "routers" / "lab-47" / "metrics.json").read_text())
    assert opened("scorecard").metric[0].value == f"{metrics['top1']:.1%}"


@pytest.mark.parametrize("view", ["Domains", "Slices", "Calibration", "Abstain", "Behaviour"])
@pytest.mark.parametrize("router", ["lab-47", "v5-32"])
def test_every_view_opens_for_32_and_47_domains(view, router):
    app = opened("scorecard")
    app.session_state["router"] = router
    app.session_state["view"] = view
    app.run()
    assert not app.exception


def test_a_comparison_is_paired_and_says_its_verdict():
    app = opened("scorecard")
    app.selectbox(key="with").set_value("v9-47").run()
    assert "**better**" in shown(app) and "McNemar" in shown(app)


def test_filters_that_leave_nothing_say_so():
    app = opened("scorecard")
    app.multiselect(key="lang").set_value(["it"])
    app.multiselect(key="part").set_value(["plain"])
    app.multiselect(key="length").set_value(["200 and more"]).run()
    assert not app.exception
    assert "No prompt passes" in shown(app) or app.metric


def test_confusions_show_the_worst_pair_with_its_prompts():
    app = opened("confusions")
    assert app.header[0].value == "Confusions"
    assert " → " in app.subheader[0].value
    prompts = app.dataframe[-1].value
    assert len(prompts) == app.dataframe[0].value.iloc[0]["n"]


def test_a_filter_on_a_domain_shows_its_worst_pair_not_the_one_chosen_before():
    app = opened("confusions")
    app.session_state["pair"] = ("kicad-dsl", "kicad")
    app.run()
    assert app.subheader[0].value == "kicad\\-dsl → kicad"
    app.session_state["domain"] = "sql"
    app.run()
    assert "sql" in app.subheader[0].value
    assert len(app.dataframe[-1].value) == app.dataframe[0].value.iloc[0]["n"]


@pytest.mark.parametrize("router", ["v5-32", "v9-47"])
@pytest.mark.parametrize("view", ["Matrix", "Table"])
def test_both_views_of_confusions_open_for_32_and_47_domains(router, view):
    app = opened("confusions")
    app.session_state["router"] = router
    app.session_state["as"] = view
    app.run()
    assert not app.exception


def test_sending_to_a_queue_asks_for_a_name_and_keeps_the_prompts(own_database):
    from lab.curation import selections

    app = opened("confusions")
    next(button for button in app.button if button.label.startswith("Send ")).click().run()
    app.text_input(key="person_typed").set_value("Anna")
    next(button for button in app.button if button.label == "Start").click().run()
    assert not app.exception
    with own_database.read() as connection:
        (kept,) = selections.everything(connection)
    assert kept.who == "Anna" and len(kept.text_ids) == len(app.dataframe[-1].value)
