"""The loop in a browser, on a lab with a few hundred prompts: relabel, preview, retrain, gate, override, try it, roll back."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.app import ship_lab

pytestmark = pytest.mark.real


@contextmanager
def app_of(bench, project: Path):
    """The address of an app on this small lab: its project folder gets the code, so that its workers find the same corpus."""
    for name in ("pages", "static", ".streamlit"):
        shutil.copytree(project / name, bench.home.project / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(project / "app.py", bench.home.project)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.address", "127.0.0.1"]
    with (bench.home.state / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=bench.home.project, env=bench.settings.environment(bench.home.state), stdout=log, stderr=log)
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1)
                break
            except OSError:
                assert process.poll() is None, (bench.home.state / "server.log").read_text()
                time.sleep(0.25)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def small(tmp_path_factory, project):
    return ship_lab.make(tmp_path_factory.mktemp("ship"), project)


def test_the_loop_from_a_relabel_to_a_promotion_and_back(browser, small, project):
    from tests.e2e.conftest import Visit

    champion = small.serving_name()
    with app_of(small, project) as address:
        visit, other = Visit(browser, address), Visit(browser, address)
        visit.context.add_init_script("localStorage.setItem('router-lab-name', 'Anna')")
        watching = other.open("/?q=spice")
        expect(watching.get_by_text(f"Router {champion}")).to_be_visible()

        ship_lab.relabel(small, "spice", "electronics-hw", 6)
        page = visit.open("/retrain")
        expect(page.get_by_text("Relabelled", exact=True)).to_be_visible()
        expect(page.get_by_text("Fixed", exact=True)).to_be_visible()

        page.get_by_text("Recipe", exact=True).first.click()
        page.get_by_label("Epochs", exact=True).fill("2")
        page.get_by_label("Epochs", exact=True).press("Tab")
        visit.settled()
        clicked = time.monotonic()
        page.get_by_role("button", name="Retrain", exact=True).click()
        expect(page.get_by_text("Retrain running")).to_be_visible(timeout=15_000)
        print(f"click to running: {time.monotonic() - clicked:.2f} s")
        page.reload()
        expect(page.get_by_text(re.compile("Retrain (running|done)")).first).to_be_visible()

        expect(page.get_by_text(re.compile("The gate refused it"))).to_be_visible(timeout=120_000)
        print(f"click to verdict: {time.monotonic() - clicked:.1f} s")
        expect(page.get_by_text("golden prompts pass")).to_be_visible()
        page.get_by_role("button", name="Promote all the same").click()
        page.get_by_label("Why should it serve?").fill("a test in a browser")
        page.get_by_label("Why should it serve?").press("Tab")
        override = page.get_by_role("button", name="Override and promote")
        expect(override).to_be_enabled()
        override.click()
        expect(page.get_by_text("serves every session from now on")).to_be_visible()
        made = small.serving_name()
        assert made != champion and small.promotion_history()[0].reason == "a test in a browser"

        watching.get_by_role("textbox", name="Prompt").fill("ngspice transient")
        expect(watching.get_by_text(f"Router {made}")).to_be_visible()
        page = visit.open(f"/models?version={champion}")
        page.get_by_role("button", name="Roll back to it").click()
        page.get_by_role("button", name="Roll back", exact=True).click()
        expect(page.get_by_text("Rolled back:")).to_be_visible()
        assert small.serving_name() == champion
        for one in (visit, other):
            one.context.close()
            assert not one.errors and not one.outside
