"""From any aggregate to its prompts in one click."""

from __future__ import annotations

import re

from playwright.sync_api import expect


def test_a_deep_link_is_the_first_request_of_a_browser_and_works(visit):
    page = visit().open("/confusions")
    expect(page.get_by_role("heading", name="Confusions")).to_be_visible()
    expect(page.get_by_role("link", name="Try a prompt")).to_be_visible()


def test_a_click_on_a_cell_lists_its_prompts(visit):
    tab = visit(width=1600)
    page = tab.open("/confusions?domain=kicad-dsl")
    heading = page.locator("h3").first
    before = heading.inner_text()
    canvas = page.locator("[data-testid=stEChartsChart] canvas, [data-testid=stEchartsChart] canvas").first
    box = canvas.bounding_box()
    for step in range(4, 96, 2):  # cells are found by trying along the diagonal band until the heading changes
        for down in range(4, 80, 4):
            page.mouse.click(box["x"] + box["width"] * step / 100, box["y"] + box["height"] * down / 100)
            if step % 4 == 0 and heading.inner_text() != before:
                break
        if heading.inner_text() != before:
            break
    expect(heading).not_to_have_text(before)
    assert re.match(r".+ → .+", heading.inner_text())


def test_the_shown_cell_is_in_the_address_and_opens_in_a_new_tab(visit):
    first = visit()
    first.open("/confusions?label=kicad-dsl&taken=kicad")
    expect(first.page.get_by_role("heading", name="kicad-dsl → kicad")).to_be_visible()
    second = visit().open(first.page.url.removeprefix(first.base))
    expect(second.get_by_role("heading", name="kicad-dsl → kicad")).to_be_visible()


def test_send_to_queue_is_confirmed(visit):
    page = visit().open("/confusions")
    page.get_by_role("button", name=re.compile("^Send ")).click()
    expect(page.get_by_text(re.compile("are kept for the queue"))).to_be_visible()


def test_scorecard_opens_in_both_themes_with_intervals(visit):
    for theme in ("light", "dark"):
        page = visit(theme=theme).open("/scorecard")
        expect(page.get_by_text("Macro-F1", exact=True)).to_be_visible()
        expect(page.get_by_text(re.compile(r"\d+\.\d% to \d+\.\d%")).first).to_be_visible()
