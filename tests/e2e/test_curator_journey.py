"""A curator's morning in the app itself, on the shipped corpus: by keyboard alone, and through a server that is killed."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import PROJECT, Visit, own_home
from tests.e2e.live import LiveApp

pytestmark = pytest.mark.real
PATIENCE = 240_000
"""Milliseconds for what the server computes: other work may slow it down, and no budget is measured here."""


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    app = LiveApp(tmp_path_factory.mktemp("live"))
    app.start()
    yield app
    app.kill()


@pytest.fixture
def anna(browser, live):
    one = Visit(browser, live.base)
    one.page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    yield one
    expect.set_options(timeout=20_000)
    one.context.close()
    assert not one.errors, one.errors


FOCUS = """() => {
  let at = document.activeElement;
  while (at.shadowRoot && at.shadowRoot.activeElement) at = at.shadowRoot.activeElement;
  return at.getAttribute("aria-label") || at.innerText || "";
}"""


def tab_to(page, words: str) -> None:
    """Tab, until what is reached says these words."""
    seen = []
    for _ in range(90):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(FOCUS))
        if re.search(words, seen[-1]):
            return
    raise AssertionError(f"no Tab leads to “{words}”: {seen}")


def pick_text(page, n: int) -> str:
    return page.locator(f"#nine li:nth-child({n}) .name").inner_text()


def saved(page) -> None:
    expect(page.locator("#status")).to_contain_text("All saved")


def test_the_curators_journey_by_keyboard_alone(anna, live):
    """A link, a name, the queue; 2; U; / k i Enter; N with a batch; the own diff; what a retrain would change. No mouse."""
    page = anna.open("/queue?queue=label-issues")
    tab_to(page, "^Your name$")
    page.keyboard.type("Anna")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Build").wait_for()
    anna.settled()
    tab_to(page, "Build$")
    page.keyboard.press("Enter")
    page.locator("#nine li button").first.wait_for()
    first, second = page.locator("#prompt").inner_text(), pick_text(page, 2)
    page.keyboard.press("2")
    saved(page)
    assert live.decisions() == [(first, "label", second)]
    page.keyboard.press("u")
    saved(page)
    assert page.locator("#prompt").inner_text() == first
    for key in ("/", "k", "i", "Enter"):
        page.keyboard.press(key)
    saved(page)
    text, action, domain = live.decisions()[-1]
    assert (text, action, domain) == (first, "label", "kicad")

    page.keyboard.press("n")
    expect(page.get_by_role("checkbox")).to_have_count(21)
    domain = pick_text(page, 1)
    for key in ("Space", "ArrowRight", "Space", "1"):
        page.keyboard.press(key)
    expect(page.get_by_role("dialog")).to_contain_text(re.compile(rf"prompts? would become {domain}"))
    page.keyboard.press("Enter")
    expect(page.locator("#recent")).to_contain_text(f"labelled {domain}")

    changed = live.rows(
        "select count(*) from labels join (select prompt_id, min(id) as id from events group by prompt_id) as first using (prompt_id)"
        " join events on events.id = first.id where json_extract(after, '$.domain') != labels.domain"
    )[0][0]
    assert changed >= 2
    tab_to(page, "Curation set$")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Curation set").wait_for()
    for label, value in (("Changed", changed), ("People", 1)):
        expect(page.get_by_test_id("stMetric").filter(has_text=label).get_by_test_id("stMetricValue")).to_have_text(str(value))
    tab_to(page, "Retrain$")
    page.keyboard.press("Enter")
    for name in ("Fixed", "Broken", "Neutral"):
        expect(page.get_by_test_id("stMetric").filter(has_text=name).get_by_test_id("stMetricValue")).to_have_text(re.compile(r"^\d+$"))


PRESS = """([count, gap]) => new Promise((done) => {
  const roots = [...document.querySelectorAll("[data-testid=stBidiComponentIsolated]")].map((one) => one.shadowRoot);
  const root = roots.find((one) => one.getElementById("nine")); // beside it stands the component that knows the visitor's name
  const script = [], start = performance.now();
  const step = () => {
    const key = String(1 + script.length % 9);
    if (!root.getElementById("main").hidden) {
      script.push([root.getElementById("prompt").textContent, root.querySelector(`#nine li:nth-child(${key}) .name`).textContent]);
      window.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    }
    script.length < count ? setTimeout(step, gap) : done([script, performance.now() - start]);
  };
  step();
})"""


def test_a_burst_of_100_keys_survives_kill_9_of_the_app(anna, live):
    """100 keys 30 ms apart into the real database. After 50 the server dies; what it had acknowledged is there, the rest is sent again: each once."""
    subprocess.run([sys.executable, "-m", "lab", "queue", "build", "low-margin"], cwd=PROJECT, env=own_home(live.home), check=True, capture_output=True)
    anna.context.add_init_script("localStorage.setItem('router-lab-name', 'Anna')")
    page = anna.open("/queue?queue=low-margin")
    page.locator("#nine li button").first.wait_for()
    before = len(live.decisions())
    script, took = page.evaluate(PRESS, [50, 30])
    deadline = time.monotonic() + 60
    while len(live.decisions()) == before:
        assert time.monotonic() < deadline, "nothing was stored"
    live.kill()
    script += page.evaluate(PRESS, [50, 30])[0]
    status = page.locator("#status")
    expect(status).to_contain_text("kept here, will be sent")
    acknowledged = 100 - int(re.search(r"(\d+) decision", status.inner_text())[1])
    stored = len(live.decisions()) - before
    assert acknowledged <= stored, "what the curator was told to be saved is in the database"
    live.start()
    saved(page)
    print(f"\n{50_000 / took:.0f} keys/s; {stored} stored before kill -9, {acknowledged} of them acknowledged")
    decided = live.decisions()[before:]
    assert [(text, domain) for text, _, domain in decided] == [tuple(one) for one in script]
    assert len({text for text, _ in script}) == 100
