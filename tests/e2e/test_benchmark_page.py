"""The page Benchmark in a browser, against a real HTTP server: files, check, run, a killed process, results, selectors, decisions."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import expect

HERE = Path(__file__).parent
SLOW = 60_000
"""Milliseconds: a process starts, on a machine that runs other tests."""


def _module(name: str, path: Path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fake = _module("fake_endpoint", HERE.parent / "unit" / "fake_endpoint.py")
harness = _module("e2e_conftest", HERE / "conftest.py")


@pytest.fixture(autouse=True)
def patient():
    expect.set_options(timeout=SLOW)
    yield
    expect.set_options(timeout=5_000)


@pytest.fixture
def endpoint():
    with fake.FakeEndpoint() as one:
        yield one


@pytest.fixture
def state(tmp_path):
    """Made anew for each try of a test: what an earlier try left behind must not be there."""
    return tmp_path / "state"


@pytest.fixture
def address(endpoint, state, browser):
    """A server that may ask ``endpoint``."""
    harness.own_home(state)
    settings = {
        "ROUTER_LAB_HOME": str(state), "ROUTER_LAB_PRIVATE_ENDPOINTS": f"127.0.0.1:{endpoint.port}",
        "ROUTER_LAB_ENDPOINT_VARIABLES": "BENCH_TEST_KEY", "BENCH_TEST_KEY": fake.ECHOED,
    }  # fmt: skip
    with harness.running(**settings) as base:
        first = browser.new_page()  # a server opens its encoder for the first who comes
        first.goto(base + "/benchmark")
        first.get_by_role("heading", name="Benchmark").wait_for(timeout=4 * SLOW)
        first.close()
        yield base


def named(page) -> None:
    field = page.get_by_role("textbox", name="Your name")
    expect(field.or_(page.get_by_role("textbox", name="models.yaml"))).to_be_visible()
    if field.count():
        field.fill("Anna")
        page.get_by_role("button", name="Start").click()


def write(one, models: str, rows: list[dict]) -> None:
    page = one.page
    expect(page.get_by_role("textbox", name="models.yaml")).to_be_visible()
    for name, text in (("models.yaml", models), ("queries.jsonl", "\n".join(json.dumps(row) for row in rows))):
        page.get_by_role("textbox", name=name).fill(text)
        page.keyboard.press("Control+Enter")
        one.settled()


def models_yaml(endpoint, *names: str) -> str:
    entry = "  - name: {}\n    endpoint: {}\n    api_key: ${{BENCH_TEST_KEY}}\n    price_input_per_1k_usd: 1\n    price_output_per_1k_usd: 2\n    retries: 1\n"
    return "models:\n" + "".join(entry.format(name, endpoint.url) for name in names)


def process_of(run: str) -> int:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"run" in line and any(part.endswith(run.encode()) for part in line):
            return int(path.parent.name)
    raise AssertionError(f"no process of {run}")


def test_from_two_files_to_selectors_through_a_killed_process(visit, address, endpoint, state):
    one = visit(base=address)
    page = one.open("/benchmark")
    named(page)
    expect(page.get_by_text("This is a template")).to_be_visible()
    write(one, models_yaml(endpoint, "adder", "speller", "dead"), fake.queries(100))
    expect(page.get_by_text("100 queries × 3 models = 300 calls.")).to_be_visible()

    page.get_by_role("button", name="Check the models").click()
    expect(page.get_by_text("All 3 models answer.")).to_be_visible()
    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_text("300 calls, cost at most $")).to_be_visible()
    expect(page.get_by_text("All 3 models answer.")).to_be_visible()
    assert not endpoint.asked

    endpoint.latency_s |= {"adder": 5.0, "speller": 5.0}  # until the process is killed
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_text(re.compile(r"of 300 answers · Under way"))).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text(re.compile(r"of 300 answers · Paused"))).to_be_visible()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text(re.compile(r"of 300 answers · Under way"))).to_be_visible()
    run = next(path.name for path in (state / "benchmarks").iterdir())
    os.kill(process_of(run), signal.SIGKILL)
    expect(page.get_by_text("Its process ended before it was done").first).to_be_visible()
    rows = state / "benchmarks" / run / "rows.jsonl"
    before = rows.read_bytes().count(b"\n")
    endpoint.latency_s |= {"adder": 0.01, "speller": 0.01}
    page.get_by_role("button", name="Continue this run").click()
    expect(page.get_by_text(re.compile("of 300 answers · Done, but some models were left out"))).to_be_visible()  # the killed process never said so
    one.settled()  # while a page is drawn anew, parts of the old one stand beside the new
    expect(page.get_by_text("Results by model")).to_be_visible()
    expect(page.get_by_text("Left out: dead: given up after")).to_be_visible()
    assert rows.read_bytes().count(b"\n") > before
    assert all(n <= 2 for (model, _), n in endpoint.asked.items() if model != "dead")

    page.get_by_role("textbox", name="Name").fill("from-the-page")
    page.get_by_role("button", name="Train selectors").click()
    expect(page.get_by_text(re.compile("from-the-page: trained on"))).to_be_visible(timeout=180_000)
    assert (state / "selectors" / "from-the-page").is_dir()

    assert f"run={run}" in page.url
    other = visit(base=address)
    other.open(page.url.removeprefix(address))
    expect(other.page.get_by_text("Results by model")).to_be_visible()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="For training (JSONL)").click()
    kept = [json.loads(line) for line in Path(waiting.value.path()).read_text().splitlines()]
    assert {row["model_name"] for row in kept} == {"adder", "speller"}
    assert fake.ECHOED not in page.content()
    written = [path for path in (state / "benchmarks").rglob("*") if path.is_file()]
    assert len(written) > 6
    assert not [path for path in written if fake.ECHOED.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ("models: [{name: m, endpoint: 'http://127.0.0.1:1/v1', api_key: sk-written-out}]", "api_key is written out"),
        ("models: [{name: m, api_key: '${HOME}'}]", "the variable HOME may not be used"),
        ("models: [", "is not YAML"),
    ],
)
def test_what_may_not_be_asked_is_a_sentence_and_nothing_starts(visit, models, said):
    one = visit()
    page = one.open("/benchmark?view=New+run")
    named(page)
    write(one, models, [{"query": "hi"}])
    expect(page.get_by_text(said)).to_be_visible()
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_disabled()


def test_a_private_address_is_refused_by_the_check(visit):
    one = visit()
    page = one.open("/benchmark?view=New+run")
    named(page)
    write(one, "models: [{name: m, endpoint: 'http://127.0.0.1:22/v1'}]", [{"query": "hi"}])
    page.get_by_role("button", name="Check the models").click()
    expect(page.get_by_text("1 of 1 models do not answer.")).to_be_visible()


def test_what_was_written_is_still_there_after_a_look_at_another_view(visit):
    one = visit()
    page = one.open("/benchmark?view=New+run")
    named(page)
    write(one, "models: [{name: kept, endpoint: 'https://api.example.com/v1'}]", [{"query": "kept too"}])
    page.get_by_role("radio", name="Decisions").click()
    expect(page.get_by_text("Test query")).to_be_visible()
    page.get_by_role("radio", name="New run").click()
    expect(page.get_by_role("textbox", name="models.yaml")).to_have_value(re.compile("kept"))
    expect(page.get_by_role("textbox", name="queries.jsonl")).to_have_value(re.compile("kept too"))


def test_a_decision_is_tried_with_a_query(visit):
    one = visit()
    page = one.open("/benchmark?view=Decisions")
    expect(page.get_by_role("heading", name=re.compile("Meta-Llama|mathstral"))).to_be_visible()
    expect(page.get_by_text("Category math")).to_be_visible()
    page.get_by_role("textbox", name="Test query").fill("Who was the first king of France?")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Category history")).to_be_visible()
    page.get_by_role("textbox", name="config.yaml").fill("decisions: [{name: d, rules: {operator: XOR, conditions: []}}]")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_test_id("stAlert")).to_be_visible()


def test_the_page_opens_in_both_themes(visit):
    for theme in ("light", "dark"):
        page = visit(theme=theme).open("/benchmark?view=Runs")
        expect(page.get_by_role("heading", name="Benchmark")).to_be_visible()
