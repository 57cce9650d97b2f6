"""From any aggregate to its prompts in one click."""

from __future__ import annotations

import re

import numpy as np
from playwright.sync_api import expect


def test_a_deep_link_may_be_the_first_request_of_a_server(visit, new_server):
    """Streamlit's old multipage mode once ran the page without app.py: file names in the navigation, no error edge."""
    page = visit(base=new_server).open("/confusions?label=kicad-dsl&taken=kicad")
    expect(page.get_by_role("heading", name="kicad-dsl → kicad")).to_be_visible()
    expect(page.get_by_role("link", name="Try a prompt")).to_be_visible()
    assert page.get_by_text("Page not found").count() == 0
    assert page.get_by_role("link", name="frame").count() == 0


def test_a_click_on_a_cell_lists_its_prompts_within_a_second(visit, bench):
    from lab.evaluation.confusions import cluster_order, ranked_pairs
    from lab.evaluation.metrics import confusion

    p = bench.test_predictions("lab-47")
    table = confusion(p.primary, p.predicted, len(p.domains))
    pair = ranked_pairs(table, p.domains, bench.costs)[5]
    wrong = table - np.diag(np.diag(table))
    order = [place for place in cluster_order(table) if wrong[place].any() or wrong[:, place].any()]
    row, column = order.index(p.domains.index(pair.wanted)), order.index(p.domains.index(pair.given))

    page = visit(width=1600).open("/confusions")
    canvas = page.locator("[data-testid=stEChartsChart] canvas").first
    expect(canvas).to_be_visible()
    box = canvas.bounding_box()
    left, right, top, bottom = 112, 6, 6, 112  # the grid of pages/confusions.py
    cell = ((box["width"] - left - right) / len(order), (box["height"] - top - bottom) / len(order))
    page.mouse.click(box["x"] + left + (column + 0.5) * cell[0], box["y"] + top + (row + 0.5) * cell[1])
    expect(page.get_by_role("heading", name=f"{pair.wanted} → {pair.given}")).to_be_visible(timeout=2_000)
    expect(page.get_by_role("button", name=f"Send {pair.count} to queue")).to_be_visible()


def test_the_shown_cell_is_in_the_address_and_opens_in_a_new_tab(visit):
    first = visit()
    first.open("/confusions?label=kicad-dsl&taken=kicad")
    expect(first.page.get_by_role("heading", name="kicad-dsl → kicad")).to_be_visible()
    second = visit().open(first.page.url.removeprefix(first.base))
    expect(second.get_by_role("heading", name="kicad-dsl → kicad")).to_be_visible()


def test_send_to_queue_is_confirmed(visit):
    page = visit().open("/confusions")
    page.get_by_role("button", name=re.compile("^Send ")).click()
    page.get_by_role("textbox", name="Your name").fill("Anna")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text("are in the queue")).to_be_visible()


def test_scorecard_opens_in_both_themes_with_intervals(visit):
    for theme in ("light", "dark"):
        page = visit(theme=theme).open("/scorecard")
        expect(page.get_by_text("Macro-F1", exact=True)).to_be_visible()
        expect(page.get_by_text(re.compile(r"\d+\.\d% to \d+\.\d%")).first).to_be_visible()
