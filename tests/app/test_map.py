"""The Map page, opened through app.py on the shipped corpus and routers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from lab.curation import selections

APP = str(Path(__file__).parents[2] / "app.py")
BOX = "1.00,0.50,3.00,0.50,3.00,2.00,1.00,2.00"
pytestmark = pytest.mark.real


@pytest.fixture(scope="module", autouse=True)
def fresh_caches():
    st.cache_data.clear()
    yield


def opened(**query: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=90).run().switch_page("pages/map.py")
    for key, value in query.items():
        app.query_params[key] = value
    return app.run()


def shown(app: AppTest) -> str:
    kinds = ("header", "markdown", "caption", "error", "info", "warning", "success")
    return "\n".join(str(one.value) for kind in kinds for one in app.get(kind)).replace("\\", "")


def test_it_opens_with_every_prompt_the_caveat_and_what_it_is_bound_to(bench):
    app = opened()
    assert not app.exception
    assert app.header[0].value == "Map"
    said = shown(app)
    assert f"{len(bench.corpus.rows):,} prompts" in said
    assert "Distances between clusters" in said
    assert bench.router().sha256[:12] in said and bench.router().ours["encoder_id"].split("@")[0] in said
    assert "out-of-fold predictions" in said


@pytest.mark.parametrize("colouring", ["Predicted", "Right or wrong", "Margin", "Probability", "Language", "Split side", "Part"])
def test_every_colouring_draws(colouring):
    app = opened(colour=colouring)
    assert not app.exception
    assert app.session_state["colour"] == colouring
    assert len(app.get("echarts_chart")) == 1


def test_fixed_or_broken_asks_for_a_second_router_and_shows_it():
    app = opened(colour="Fixed or broken")
    assert "Choose a router under" in shown(app)
    app.selectbox(key="with").set_value("v9-47").run()
    assert not app.exception
    assert "router v9-47" in shown(app)
    assert "fixed" in app.multiselect(key="only").options


def test_search_counts_what_it_finds_without_accents():
    app = opened(find="CÂBLE")
    plain = opened(find="cable")
    count = next(line for line in shown(app).split("\n") if "contain" in line).split("**")[1].split()[0]
    assert count in shown(plain) and int(count.replace(",", "")) > 20


def test_a_pinned_prompt_says_where_the_router_sends_it():
    app = opened(pin="how do I flash my STM32 over SWD?")
    assert not app.exception
    assert "Pinned" in shown(app) and "stm32" in shown(app)
    assert "Not pinned" in shown(opened(pin="nul \0 byte"))


def test_a_link_restores_level_filters_and_area_and_the_tray_counts():
    app = opened(area=BOX, colour="Language", **{"in": "kicad"})
    assert not app.exception
    assert app.session_state["colour"] == "Language"
    assert "prompts selected" in shown(app)
    domains = opened(level="Domains")
    assert not domains.exception
    assert len(domains.dataframe[0].value) == 47
    assert {"Nearest domain", "Cosine"} <= set(domains.dataframe[0].value.columns)


def test_the_selection_survives_a_recolour_and_is_sent_to_the_queue(own_database):
    app = opened(area=BOX)
    app.session_state["person_name"] = "Anna"
    before = next(line for line in shown(app).split("\n") if "prompts selected" in line)
    app.selectbox(key="colour").set_value("Margin").run()
    assert before in shown(app)
    next(button for button in app.button if button.label.startswith("Send ")).click().run()
    assert not app.exception
    assert "in the queue" in shown(app)
    with own_database.read() as connection:
        sent = selections.everything(connection)[-1]
    assert sent.origin == "map" and f"**{len(sent.text_ids):,} prompts selected**" == before and "area=" in sent.link


def test_all_that_is_found_can_be_selected_without_a_mouse_and_read_as_a_table():
    app = opened(find="kubernetes", table="true")
    next(button for button in app.button if button.label.startswith("Select all")).click().run()
    table = next(frame.value for frame in app.dataframe if "Side" in frame.value.columns)
    assert len(table) > 5
    assert table["Prompt"].str.lower().str.contains("kubernetes").all()
    assert f"**{len(table):,} prompts selected**" in shown(app)
    next(button for button in app.button if button.label == "Clear").click().run()
    assert "Nothing selected" in shown(app)


def test_a_damaged_area_is_a_sentence():
    app = opened(area="1,2,x")
    assert not app.exception
    assert "area in the address is damaged" in app.error[0].value


def test_hostile_prompts_are_data_and_never_template():
    from lab.evaluation.points import domain_places
    from pages.shared.map_chart import add_pin, prompts_option
    from pages.shared.map_tray import standalone

    hostile = "<img src=x onerror=alert(1)> {@domain} </script><script>alert(1)</script>"
    table = pd.DataFrame(
        {"id": ["a"], "prompt": [hostile], "domain": ["d"], "language": ["en"], "side": ["train"], "part": ["p"], "x": [0.0], "y": [0.0]}
    )
    everything = np.ones(1, dtype=bool)
    option = prompts_option(table, everything, everything, "Domain", domain_places(table), False)
    assert option["dataset"][0]["source"]["prompt"][0].startswith("<img")
    assert "onerror" not in str(option["series"])
    add_pin(option, hostile, (0.0, 0.0), False)
    assert option["series"][-1]["tooltip"] == {"show": False}
    page = standalone(table, "Domain", domain_places(table)).decode()
    assert "<img src=x" not in page and "<script>alert(1)" not in page
