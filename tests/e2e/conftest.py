"""A real server and a real browser. Without Debian's chromium the tests are skipped, loudly."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium") or "/usr/bin/chromium"
"""The shell is the same engine without the desktop browser around it: a fifth of the CPU less on two cores."""
FLAGS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def pytest_collection_modifyitems(config, items):
    here = [item for item in items if Path(__file__).parent in Path(str(item.fspath)).parents]
    for item in here:
        item.add_marker(pytest.mark.browser)
        item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=2))  # two busy cores: what is broken fails three times
    if here and not Path(CHROMIUM).exists():
        print(
            "\n"
            + "!" * 100
            + f"\n!! {len(here)} BROWSER TESTS ARE SKIPPED: no chromium at {CHROMIUM}. Install it: apt-get install chromium\n"
            + "!" * 100
        )
        for item in here:
            item.add_marker(pytest.mark.skip(reason="no chromium: apt-get install chromium"))


def own_home(folder: Path) -> dict[str, str]:
    """An environment whose state folder is ``folder``: its own database, the prepared encoder and vectors of the project."""
    prepared = Path(os.environ.get("ROUTER_LAB_HOME") or PROJECT / ".router-lab").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("encoders", "vectors.sqlite", "projections", "out-of-fold"):
        if (prepared / name).exists() and not (folder / name).exists():
            (folder / name).symlink_to(prepared / name)
    return os.environ | {"ROUTER_LAB_HOME": str(folder), "PYTHONUNBUFFERED": "1"}


@contextmanager
def running(**settings: str):
    """The address of an app of its own, started as `make run` starts it, on a free port, with an empty database."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "server.py", "--server.port", str(port), "--server.address", "127.0.0.1"]
    with tempfile.TemporaryFile("w+") as log, tempfile.TemporaryDirectory() as home:
        process = subprocess.Popen(command, cwd=PROJECT, env=own_home(Path(home)) | settings, stdout=log, stderr=subprocess.STDOUT)
        try:
            for _ in range(120):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1)
                    break
                except OSError:
                    if process.poll() is not None:
                        log.seek(0)
                        raise RuntimeError(f"the app did not start:\n{log.read()}") from None
                    time.sleep(0.5)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture(scope="session")
def server():
    with running() as address:
        yield address


@pytest.fixture
def new_server():
    """An app that nobody has visited yet."""
    with running() as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=20_000)  # a state is waited for; how long it takes is no test's business but a budget's
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


class Visit:
    """One tab. Requests that leave this machine are blocked and noted, script errors too."""

    def __init__(self, browser, base: str, theme: str = "light", width: int = 1280) -> None:
        self.base, self.outside, self.errors = base, [], []
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, accept_downloads=True)
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.errors.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.context.route("**/*", self._local_only)

    def _local_only(self, route) -> None:
        if route.request.url.startswith((self.base, "data:", "blob:")):
            route.continue_()
        else:
            self.outside.append(route.request.url)
            route.abort()

    def open(self, path: str = "/"):
        self.page.goto(self.base + path)
        self.settled()
        return self.page

    def settled(self) -> None:
        self.page.wait_for_selector('[data-testid=stApp][data-test-script-state="notRunning"]')
        self.page.wait_for_timeout(150)
        self.page.wait_for_selector('[data-testid=stApp][data-test-script-state="notRunning"]')


@pytest.fixture
def visit(browser, server):
    made: list[Visit] = []

    def start(base: str = server, **options) -> Visit:
        made.append(Visit(browser, base, **options))
        return made[-1]

    yield start
    for one in made:
        one.context.close()
        assert not one.errors, one.errors
        assert not one.outside, f"the app asked for addresses outside this machine: {one.outside[:3]}"
