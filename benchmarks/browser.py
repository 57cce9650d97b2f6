"""Enter to new bars on screen, and first paint, in a real browser on the same two cores as the server."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from benchmarks.common import Figure, browser_path, serving

PROMPTS = (
    "how do I flash my stm32 over swd",
    "ma requête SQL fait un full scan",
    "salut, tu vas bien ?",
    "my compose volumes are empty on mac",
)
PAGES = ("", "scorecard", "confusions", "map", "queue", "curation", "retrain", "models", "selectors", "benchmark", "guide")
WATCH = """() => new Promise(done => {
  const label = () => [...(document.querySelector('.js-plotly-plot')?.querySelectorAll('.ytick text') ?? [])].map(t => t.textContent).join();
  const before = label(), field = document.querySelector('input[aria-label="Prompt"]');
  field.addEventListener('keydown', () => {
    const start = performance.now();
    const look = () => label() && label() !== before ? done(performance.now() - start) : requestAnimationFrame(look);
    look();
  }, {once: true});
})"""


def run() -> Iterator[Figure]:
    chromium = browser_path()
    if chromium is None:
        yield Figure("browser", "no chromium", "apt-get install chromium-headless-shell")
        return
    from playwright.sync_api import sync_playwright

    with serving("server.py") as base, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        paint, whole = _open(browser.new_context(), base)
        yield Figure("Try a prompt, first visit after start: first paint, all drawn", f"{paint:.2f}, {whole:.2f} s")
        loaded = _megabytes(browser.new_context(), base)
        yield Figure("files of a first visit", f"{loaded:.1f} MB", "target ≤ 6 MB", loaded <= 6)
        fresh = [_open(browser.new_context(), base) for _ in range(4)]
        yield _painted("Try a prompt, warm server, empty browser cache", fresh)
        context = browser.new_context()
        for page in PAGES:
            yield _painted(f"{page or 'Try a prompt'}, warm server, returning browser", [_open(context, base, page) for _ in range(4)][1:])
        waits = sorted(_enter_to_bars(browser, base))
        p50, p95 = waits[len(waits) // 2], waits[int(len(waits) * 0.95)]
        yield Figure(f"Enter → new bars, p50 of {len(waits)}", f"{p50:.0f} ms")
        yield Figure(f"Enter → new bars, p95 of {len(waits)}", f"{p95:.0f} ms", "target ≤ 300 ms", p95 <= 300)
        browser.close()


def _painted(name: str, opened: list[tuple[float, float]]) -> Figure:
    paint, whole = (statistics.median(column) for column in zip(*opened, strict=True))
    return Figure(f"{name}: first paint, all drawn", f"{paint:.2f}, {whole:.2f} s", "first paint ≤ 2.5 s", paint <= 2.5)


def _open(context, base: str, path: str = "") -> tuple[float, float]:
    """Seconds from the request to the page's own content (its heading; on Try a prompt the decision), and to a page at rest with its charts."""
    page = context.new_page()
    for _ in range(100):
        start = time.perf_counter()
        try:
            page.goto(f"{base}/{path}", wait_until="commit")
            break
        except Exception as error:  # playwright's base error: the server is not up yet
            if "ERR_CONNECTION_REFUSED" not in str(error):
                raise
            time.sleep(0.2)
    page.wait_for_selector("[data-testid=stMain] h2" if path else "[data-testid=stMain] [data-testid=stMetricValue], [data-testid=stMain] h3", timeout=60_000)
    paint = time.perf_counter() - start
    page.wait_for_selector('[data-testid=stApp][data-test-script-state="notRunning"]', timeout=60_000)
    page.wait_for_function("!document.querySelector('[data-testid=stMain] [data-testid=stSkeleton]')", timeout=60_000)
    if not path:
        page.wait_for_selector(".js-plotly-plot .ytick text", timeout=60_000)
    whole = time.perf_counter() - start
    page.close()
    return paint, whole


def _megabytes(context, base: str) -> float:
    page = context.new_page()
    page.goto(base)
    page.wait_for_selector(".js-plotly-plot .ytick text", timeout=60_000)
    total = page.evaluate("performance.getEntriesByType('resource').reduce((sum, one) => sum + one.transferSize, 0)")
    page.close()
    return total / 1e6


def _enter_to_bars(browser, base: str, rounds: int = 40) -> list[float]:
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(base)
    page.wait_for_selector(".js-plotly-plot .ytick text", timeout=60_000)
    field = page.get_by_role("textbox", name="Prompt")
    waits = []
    for number in range(rounds + 4):
        page.wait_for_timeout(400)
        page.evaluate(f"window.result = ({WATCH})(); 0")
        field.fill(f"{PROMPTS[number % 4]} {number}")
        field.press("Enter")
        waits.append(page.evaluate("window.result"))
    return waits[4:]
