"""People log in at an identity provider: who they are is verified, their role looked up, and the link that they followed is kept."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.live import LiveApp

pytestmark = pytest.mark.real
ROLES = "curator: [Anna@Example.org]\nmaintainer: [max@example.org]\n"


@pytest.fixture(scope="module")
def provider():
    pytest.importorskip("authlib", reason="LOGIN IS NOT TESTED: Authlib is missing, run `make setup`")
    from tests.e2e.provider import Provider

    made = Provider()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def app(provider, tmp_path_factory):
    home = tmp_path_factory.mktemp("login")
    (home / "roles.yaml").write_text(ROLES)
    made = LiveApp(home, ROUTER_LAB_ROLES=str(home / "roles.yaml"))
    (home / "secrets.toml").write_text(provider.secrets(f"{made.base}/oauth2callback"))
    made.start("--secrets.files", str(home / "secrets.toml"))
    yield made
    made.kill()


@pytest.fixture
def visitor(browser, app, provider):
    """A page of a new browser on which somebody with these claims has pressed Log in."""
    contexts = []

    def log_in(path: str, **claims):
        provider.claims = claims
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 900}))
        page = contexts[-1].new_page()
        page.set_default_timeout(90_000)
        page.goto(app.base + path)
        page.get_by_role("button", name="Log in").click(no_wait_after=True)
        return page

    yield log_in
    for one in contexts:
        one.close()


def test_a_curator_logs_in_and_the_link_they_followed_opens(visitor, app):
    page = visitor("/queue?queue=audit", email="anna@example.org", email_verified=True, name="Anna")
    badge = page.get_by_role("button", name=re.compile("anna@example.org · curator"))
    badge.wait_for()
    page.wait_for_url(re.compile(r"/queue\?queue=audit"))
    page.get_by_role("button", name="Build").wait_for()
    badge.click()
    page.get_by_text("Verified by the identity provider").wait_for()
    page.get_by_role("button", name="Log out").click()
    expect(badge).to_have_count(0, timeout=90_000)
    page.goto(app.base + "/queue?queue=audit")
    page.get_by_role("button", name="Log in").wait_for()


def test_who_is_on_no_list_may_look_only(visitor):
    page = visitor("/queue?queue=audit", email="vera@example.org", email_verified=True)
    page.get_by_role("button", name=re.compile("vera@example.org · viewer")).wait_for()
    expect(page.get_by_text("Reading only: this needs a curator")).to_be_visible()
    expect(page.get_by_role("button", name="Build")).to_have_count(0)


def test_an_address_that_the_provider_has_not_verified_is_nobody(visitor):
    page = visitor("/queue?queue=audit", email="max@example.org", email_verified=False)
    expect(page.get_by_text("has not verified your e-mail address")).to_be_visible(timeout=90_000)
    expect(page.get_by_role("button", name="Build")).to_have_count(0)
