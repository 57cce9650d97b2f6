"""A person's way through Try a prompt, in a real browser, offline."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect


def winner(page):
    return page.locator("[data-testid=stHeading] h3").first


def type_prompt(visit, text: str) -> None:
    field = visit.page.get_by_role("textbox", name="Prompt")
    field.fill(text)
    field.press("Enter")


def test_first_visit_shows_a_decision_with_bars_words_and_neighbours(visit):
    page = visit().open()
    expect(winner(page)).to_have_text("stm32")
    expect(page.get_by_text("apertus-70b-embedded-8bit")).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_have_count(2)
    expect(page.get_by_text("Nearest labelled prompts")).to_be_visible()
    expect(page.locator("[data-testid=stDataFrame]")).to_have_count(1)


def test_enter_routes_what_was_typed_and_the_address_follows(visit):
    tab = visit()
    page = tab.open()
    type_prompt(tab, "ma requête SQL fait un full scan malgré l'index")
    expect(winner(page)).to_have_text("sql")
    assert "q=ma" in page.url


def test_typing_routes_without_enter(visit):
    tab = visit()
    page = tab.open()
    page.get_by_role("textbox", name="Prompt").press_sequentially(" bonjour", delay=20)
    page.get_by_role("textbox", name="Prompt").fill("salut, tu vas bien ?")
    expect(winner(page)).to_have_text("chat-fr", timeout=5_000)


def test_an_example_chip_fills_the_field_and_routes(visit):
    tab = visit()
    page = tab.open()
    page.get_by_text("my compose volumes are empty on mac").click()
    expect(winner(page)).to_have_text("docker")
    expect(page.get_by_role("textbox", name="Prompt")).to_have_value("my compose volumes are empty on mac")


def test_a_link_opens_the_same_view_in_a_new_tab(visit):
    first = visit()
    page = first.open("/?q=pin%20power%20input%20non%20aliment%C3%A9&with=v5-32&k=3&router=v9-47")
    expect(page.get_by_text("Router v9-47", exact=True)).to_be_visible()
    expect(page.get_by_text("Router v5-32", exact=True)).to_be_visible()
    second = visit().open(page.url.removeprefix(first.base))
    assert page.locator("h3").all_inner_texts() == second.locator("h3").all_inner_texts()


def test_hostile_text_is_shown_literally(visit):
    tab = visit()
    page = tab.open()
    hostile = "<img src=x onerror=alert(1)> **gras** $x^2$ # titre [lien](javascript:alert(1))"
    type_prompt(tab, hostile)
    tab.settled()
    expect(page.get_by_role("textbox", name="Prompt")).to_have_value(hostile)
    assert page.locator("[data-testid=stMain] img[src='x']").count() == 0
    assert page.get_by_text("**gras**").count() > 0  # the word chart prints it as it is
    assert page.locator("[data-testid=stMain] strong", has_text="gras").count() == 0


def test_many_prompts_from_paste_to_download(visit):
    tab = visit()
    page = tab.open()
    page.get_by_role("tab", name="Many prompts").click()
    page.get_by_role("textbox", name="One prompt a line").fill("how do I flash my STM32?\nBonjour\n<b>SELECT</b> 1")
    page.get_by_role("textbox", name="One prompt a line").press("Control+Enter")
    page.get_by_role("button", name="Route them").click()
    expect(page.get_by_text("3 prompts routed")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="JSONL").click()
    lines = download.value.path().read_text().splitlines()
    assert [json.loads(line)["prompt"] for line in lines] == ["how do I flash my STM32?", "Bonjour", "<b>SELECT</b> 1"]
    assert json.loads(lines[0])["route"]["domains"][0]["domain"] == "stm32"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_themes_paint_their_own_background(visit, theme):
    page = visit(theme=theme).open()
    colour = page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")
    assert colour == {"light": "rgb(255, 255, 255)", "dark": "rgb(15, 20, 27)"}[theme]


def test_guide_is_one_click_away(visit):
    tab = visit()
    page = tab.open()
    page.get_by_role("link", name="Guide").click()
    expect(page.get_by_role("heading", name="The 47 domains")).to_be_visible()


@pytest.mark.parametrize("path", ["/", "/confusions", "/map"])
def test_a_first_visit_loads_at_most_6_mb(visit, path):
    one = visit()
    frames: list[int] = []
    one.page.on("websocket", lambda socket: socket.on("framereceived", lambda data: frames.append(len(data))))
    page = one.open(path)
    page.wait_for_selector("[data-testid=stDataFrame], [data-testid=stECharts], canvas")
    files = page.evaluate("performance.getEntriesByType('resource').reduce((sum, one) => sum + one.transferSize, 0)")
    assert files > 100_000
    assert files + sum(frames) <= 6_000_000
