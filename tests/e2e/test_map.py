"""The Map in a real browser: hover, lasso, tray, queue, links. `visit` fails if anything outside this machine is asked for."""

from __future__ import annotations

import math
import re

import pytest
from playwright.sync_api import expect

CHART = "[data-testid=stEChartsChart]"
LASSO, BOX = 27, 63
"""Where the chart's tools stand, in pixels from its left edge."""


def opened(tab, path: str = "/map"):
    page = tab.open(path)
    page.wait_for_selector(f"{CHART}[aria-busy=false]")
    tab.settled()
    return page


def draw_lasso(tab, across: float = 0.72, down: float = 0.5, radius: float = 60) -> None:
    page = tab.page
    box = page.locator(CHART).bounding_box()
    page.mouse.click(box["x"] + LASSO, box["y"] + 28)
    x, y = box["x"] + box["width"] * across, box["y"] + box["height"] * down
    page.mouse.move(x + radius, y)
    page.mouse.down()
    for step in range(1, 13):
        page.mouse.move(x + radius * math.cos(step * math.pi / 6.5), y + radius * math.sin(step * math.pi / 6.5))
    page.mouse.up()
    expect(selected(page)).to_be_visible()
    tab.settled()


def selected(page):
    return page.get_by_text("prompts selected")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_paints_in_both_themes_and_hovering_names_the_point(visit, theme):
    tab = visit(theme=theme)
    page = opened(tab)
    expect(page.get_by_text("Distances between clusters")).to_be_visible()
    box = page.locator(CHART).bounding_box()
    tip = page.locator(f"{CHART} > div", has_text="predicted")
    for step in range(60):
        page.mouse.move(box["x"] + 250 + 3 * step, box["y"] + 250 + step)
        page.wait_for_timeout(40)
        if tip.count():
            break
    expect(tip).to_contain_text("%")


def test_a_lasso_fills_the_tray_survives_a_recolour_is_sent_and_linked(visit):
    tab = visit()
    sent: list[int] = []
    tab.page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(len(frame))))
    page = opened(tab)
    sent.clear()
    draw_lasso(tab)
    assert max(sent) < 100_000
    count = selected(page).inner_text()
    page.get_by_label("Colour by").click()
    page.get_by_role("option", name="Right or wrong").click()
    tab.settled()
    expect(selected(page)).to_have_text(count)
    page.get_by_role("button", name=re.compile("^Send ")).click()
    page.get_by_role("textbox", name="Your name").fill("Anna")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text("are in the queue")).to_be_visible()
    second = visit()
    other = opened(second, page.url.removeprefix(tab.base))
    expect(selected(other)).to_have_text(count)
    expect(other.get_by_text("Only right or wrong")).to_be_visible()


def test_a_box_around_nearly_all_uploads_less_than_100_kb(visit):
    tab = visit()
    sent: list[int] = []
    tab.page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(len(frame))))
    page = opened(tab, "/map?colour=Part")
    sent.clear()
    box = page.locator(CHART).bounding_box()
    page.mouse.click(box["x"] + BOX, box["y"] + 28)
    page.mouse.move(box["x"] + 90, box["y"] + 45)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 300)
    page.mouse.move(box["x"] + box["width"] - 60, box["y"] + box["height"] - 60)
    page.mouse.up()
    expect(selected(page)).to_be_visible()
    assert int(selected(page).inner_text().split()[0].replace(",", "")) >= 12_000
    assert max(sent) < 100_000


def test_a_typed_prompt_is_pinned_and_markup_in_it_stays_text(visit):
    tab = visit()
    page = opened(tab, "/map?colour=Part")
    page.get_by_role("textbox", name="Pin a prompt").fill("<img src=x onerror=alert(1)> flash my STM32")
    page.get_by_role("textbox", name="Pin a prompt").press("Enter")
    expect(page.get_by_text("Pinned among")).to_be_visible()
    tab.settled()
    assert "pin=" in page.url
    assert page.locator("[data-testid=stMain] img[src='x']").count() == 0
