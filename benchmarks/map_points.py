"""The Map's chart in a browser, at the corpus's size and at 50,000 points: first paint, a lasso's upload and answer, a recolour."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.common import Figure, browser_path, serving

PAGE = Path(__file__).with_name("map_page.py")
CHART = "[data-testid=stEChartsChart]"
LASSO = 27
"""Where the chart's lasso button stands, in pixels from its left edge."""


def run() -> Iterator[Figure]:
    chromium = browser_path()
    if chromium is None:
        yield Figure("map points", "no chromium", "apt-get install chromium-headless-shell")
        return
    from playwright.sync_api import sync_playwright

    with serving(str(PAGE)) as base, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        for n, target in ((15_040, 2.5), (50_000, None)):
            address = f"{base}/?n={n}"
            _paint(context, address)  # the server makes its table once
            paint = statistics.median(_paint(context, address) for _ in range(3))
            yield Figure(f"{n:,} points: request → drawn, warm", f"{paint:.2f} s", "target ≤ 2.5 s" if target else "", paint <= target if target else None)
            answer, sent, again = _lasso(context, address)
            yield Figure(f"{n:,} points: lasso → count", f"{answer * 1e3:.0f} ms", "target ≤ 1 s", answer <= 1)
            yield Figure(f"{n:,} points: largest upload of the lasso", f"{sent / 1e3:.1f} kB", "target ≤ 100 kB", sent <= 100_000)
            yield Figure(f"{n:,} points: another colouring → drawn", f"{again:.2f} s")
        browser.close()


def _paint(context, address: str) -> float:
    page = context.new_page()
    start = _open(page, address)
    seconds = time.perf_counter() - start
    page.close()
    return seconds


def _open(page, address: str) -> float:
    for _ in range(100):
        start = time.perf_counter()
        try:
            page.goto(address, wait_until="commit")
            break
        except Exception as error:  # playwright's base error: the server is not up yet
            if "ERR_CONNECTION_REFUSED" not in str(error):
                raise
            time.sleep(0.2)
    page.wait_for_selector(f"{CHART}[aria-busy=false] canvas", timeout=180_000)
    return start


def _lasso(context, address: str) -> tuple[float, int, float]:
    """Seconds from the end of the stroke to the count; bytes of its largest message; seconds to another colouring."""
    page = context.new_page()
    sent: list[int] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(len(frame))))
    _open(page, address)
    page.wait_for_timeout(500)
    sent.clear()
    box = page.locator(CHART).bounding_box()
    page.mouse.click(box["x"] + LASSO, box["y"] + 28)
    x, y = box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.5
    page.mouse.move(x + 120, y)
    page.mouse.down()
    for step in range(1, 13):
        page.mouse.move(x + 120 * math.cos(step * math.pi / 6.5), y + 120 * math.sin(step * math.pi / 6.5))
    page.mouse.up()
    start = time.perf_counter()
    page.get_by_text("prompts selected").wait_for(timeout=60_000)
    answer, upload = time.perf_counter() - start, max(sent)
    page.get_by_label("Colour by").click()
    page.get_by_role("option", name="Right or wrong").click()
    start = time.perf_counter()
    page.wait_for_timeout(50)
    page.wait_for_selector('[data-testid=stApp][data-test-script-state="notRunning"]', timeout=60_000)
    page.wait_for_selector(f"{CHART}[aria-busy=false] canvas", timeout=60_000)
    again = time.perf_counter() - start
    page.close()
    return answer, upload, again
