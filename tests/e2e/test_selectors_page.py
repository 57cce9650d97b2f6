"""The page Selectors in a browser: the slider, a link, a download, an import."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

HERE = Path(__file__).parent


def _module(name: str, path: Path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


harness = _module("e2e_conftest_of_selectors", HERE / "conftest.py")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    state = tmp_path_factory.mktemp("selectors-state")
    _module("app_test_of_selectors", HERE.parent / "app" / "test_selectors_page.py").write_weighed(state / "selectors" / "own")
    harness.own_home(state)
    with harness.running(ROUTER_LAB_HOME=str(state)) as base:
        yield base


def test_the_slider_recomputes_the_table_and_a_link_keeps_it(visit, address):
    one = visit(base=address)
    page = one.open("/selectors?set=own")
    expect(page.get_by_text("Use one model: **bold**.")).to_be_visible()
    expect(page.get_by_text(re.compile(r"At weight 0\.90 the best single"))).to_be_visible()
    page.get_by_role("slider").press("ArrowLeft")
    expect(page.get_by_text(re.compile(r"At weight 0\.00 the best single model of the training queries is b\."))).to_be_visible()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    one.settled()
    assert "weight=0" in page.url and "set=own" in page.url
    other = visit(base=address, theme="dark", width=1920)
    other.open(page.url.removeprefix(address))
    expect(other.page.get_by_text(re.compile(r"At weight 0\.00 the best single"))).to_be_visible()


def test_a_file_is_exported_and_imported_again(visit, address, tmp_path):
    one = visit(base=address)
    page = one.open("/selectors?set=mmlu-pro-small&view=Files+and+card")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="kmeans: kmeans_model.json").click()
    file = tmp_path / "kmeans_model.json"
    waiting.value.save_as(file)
    assert json.loads(file.read_text())["algorithm"] == "kmeans"

    page.get_by_role("textbox", name="Your name").fill("Anna")
    page.get_by_role("button", name="Start").click()
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("textbox", name="Name", exact=True).fill("theirs")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("theirs is imported: kmeans for")).to_be_visible()
    one.settled()
    assert "set=theirs" in page.url
    page.get_by_role("radio", name="Judgement").click()
    expect(page.get_by_text("Nobody has judged these selectors")).to_be_visible()


def test_one_query_is_given_a_ballot_and_can_be_linked(visit, address):
    one = visit(base=address)
    page = one.open("/selectors?set=mmlu-pro-large&view=One+query")
    page.get_by_role("textbox", name="Query").fill("Is an oral contract binding?")
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile(r"Category .+ \(by categories-14"))).to_be_visible()
    expect(page.get_by_text("What would change the pick")).to_be_visible()
    page.wait_for_url(re.compile(r"query=Is\+an\+oral"))


def test_the_picks_come_when_asked_for(visit, address):
    page = visit(base=address).open("/?picks=true&pool=mmlu-pro-large")
    expect(page.get_by_text(re.compile("the default, picks"))).to_be_visible()
    expect(page.get_by_role("link", name="The whole ballot")).to_be_visible()


NESTED = """\
# kept: a comment
routing:
  my_own_key: {kept: true}
  decisions:
    - name: sums
      priority: 10
      rules: {type: domain, name: math}
      algorithm: {type: svm}
      modelRefs: [{model: mathstral-7B}, {model: gemma-7b}]
"""


def test_decisions_are_edited_tried_and_downloaded_as_typed(visit, address, tmp_path):
    one = visit(base=address)
    page = one.open("/benchmark?view=Decisions")
    box = page.get_by_role("textbox", name="config.yaml")
    box.fill(NESTED.replace("name: math}", "name: maths}"))
    box.press("Control+Enter")
    expect(page.get_by_text(re.compile("line 7: there is no domain 'maths'. Did you mean 'math'"))).to_be_visible()
    box.fill(NESTED)  # no Enter: opening the popover has to take what was typed
    page.get_by_role("button", name="Download", exact=False).first.click()
    expect(page.get_by_text("As it stands: 9 lines")).to_be_visible()
    one.settled()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="config.yaml", exact=False).last.click()
    waiting.value.save_as(tmp_path / "config.yaml")
    assert (tmp_path / "config.yaml").read_text() == NESTED
    expect(page.get_by_role("heading", name=re.compile("mathstral|gemma"))).to_be_visible()


def test_the_table_of_one_model_per_category_is_a_configuration_the_editor_reads(visit, address, tmp_path):
    page = visit(base=address).open("/selectors?set=mmlu-pro-small&view=Categories")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="One model per category (config.yaml)").click()
    waiting.value.save_as(tmp_path / "config.yaml")
    page.goto(address + "/benchmark?view=Decisions")
    page.locator("input[type=file]").set_input_files(tmp_path / "config.yaml")
    expect(page.get_by_text(re.compile("comes first by priority"))).to_be_visible()
