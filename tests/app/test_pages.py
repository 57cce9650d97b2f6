"""Every page is opened through app.py; the journeys run on the shipped routers."""

from __future__ import annotations

from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from lab.errors import InputError
from pages.shared.many import read_text, read_upload, to_csv

APP = str(Path(__file__).parents[2] / "app.py")
pytestmark = pytest.mark.real


@pytest.fixture(autouse=True)
def fresh_caches():
    st.cache_data.clear()
    yield


def opened(**query: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=90)
    for key, value in query.items():
        app.query_params[key] = value
    return app.run()


def shown(app: AppTest) -> str:
    return "\n".join(str(one.value) for kind in ("header", "subheader", "markdown", "caption", "error", "info") for one in app.get(kind))


def test_try_a_prompt_is_the_first_page_and_never_empty():
    app = opened()
    assert not app.exception
    assert app.header[0].value == "Try a prompt"
    assert app.subheader[0].value == "stm32"
    assert [metric.label for metric in app.metric] == ["Probability", "Margin", "Raw score", "Time"]


def test_guide_opens_with_every_domain():
    app = opened().switch_page("pages/guide.py")
    app = app.run()
    assert not app.exception
    assert app.header[0].value == "Guide"
    assert len(app.dataframe[0].value) == 47


def test_a_link_restores_prompt_router_comparison_and_k():
    app = opened(q="Bonjour", router="v9-47", k="3")
    assert app.session_state["q"] == "Bonjour"
    assert app.session_state["router"] == "v9-47"
    assert app.session_state["k"] == 3
    assert "Router v9-47" in shown(app)


def test_two_routers_stand_side_by_side():
    app = opened(q="pin power input non alimenté", **{"with": "v5-32"})
    assert [one.value for one in app.subheader] == ["kicad", "electronics"]
    assert "different backends would answer" in shown(app)


def test_typed_markup_is_escaped_wherever_markdown_is_read():
    app = opened(q="<img src=x onerror=alert(1)> **bold** $x^2$")
    assert not app.exception
    assert "**bold**" not in shown(app)


@pytest.mark.parametrize(("text", "said"), [("a" * 200_000, "200,000 characters"), ("nul \0 byte", "NUL")])
def test_what_cannot_be_routed_is_a_sentence_not_a_traceback(text, said):
    app = opened()
    app.session_state["q"] = text
    app.run()
    assert not app.exception
    assert said in app.error[0].value.replace("\\", "")


def test_an_emptied_field_asks_for_a_prompt():
    app = opened()
    app.text_input(key="q").set_value("   ").run()
    assert "Type a prompt" in app.info[0].value


def test_many_prompts_are_routed_and_bad_rows_listed():
    app = opened(tab="Many prompts")
    app.text_area(key="pasted").set_value("how do I flash my STM32?\n\nBonjour\nnul \0").run()
    next(button for button in app.button if button.label == "Route them").click().run()
    assert not app.exception
    assert "**2 prompts routed**" in shown(app)
    assert "1 of 3 rows cannot be routed" in app.warning[0].value


def test_a_lone_surrogate_in_an_upload_is_a_listed_row():
    rows, bad = read_upload(b'{"prompt": "half \\ud800 pair"}\n{"prompt": "whole"}\n', "a.jsonl")
    assert [text for _, text in rows] == ["whole"]
    assert "lone surrogate (U+D800) at position 6" in bad[0]["Why it cannot be routed"]


def test_uploads_are_read_by_their_ending():
    assert [text for _, text in read_upload(b'{"prompt": "Bonjour", "id": 7}\n{"text": "hello"}\n{"x": 1}\nbroken\n', "a.jsonl")[0]] == [
        "Bonjour",
        "hello",
    ]
    assert read_upload(b'{"prompt": "Bonjour", "id": 7}\n', "a.jsonl")[0][0][0]["id"] == 7
    rows, bad = read_upload("\ufeffprompt,id\nBonjour,1\n,2\n".encode(), "a.csv")
    assert ([text for _, text in rows], len(bad)) == (["Bonjour"], 1)
    assert len(read_text("a b\n\n c d \n")[0]) == 2
    with pytest.raises(InputError, match="must be called prompt or text"):
        read_upload(b"a,b\n1,2\n", "a.csv")
    with pytest.raises(InputError, match="not UTF-8"):
        read_upload(b"\xff\xfe", "a.txt")


def test_csv_cells_cannot_run_as_formulas():
    import pandas as pd

    table = pd.DataFrame({"Prompt": ["=1+1", "@SUM(A1)", "plain"]})
    assert to_csv(table).decode("utf-8-sig").splitlines()[1:] == ["'=1+1", "'@SUM(A1)", "plain"]
