"""Files, batches, gateway logs and the taxonomy, in a browser with a database of its own."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.e2e.axe import serious

HOSTILE = "# Title $x^2$ <img src=x onerror=alert(1)> **bold** [a](javascript:alert(1))"
SECRET = "write to anna.example@mail.example.org about the boat"


@pytest.fixture
def curation(visit, server):
    """The page as Anna sees it, where nothing is changed."""
    return as_anna(visit, server)


@pytest.fixture
def own_curation(visit, new_server):
    """The same in an app of the test's own: a second try of a test that writes must not meet what the first has written."""
    return as_anna(visit, new_server)


def as_anna(visit, address: str):
    def start(path: str, **options):
        one = visit(address, **options)
        one.context.add_init_script("localStorage.setItem('router-lab-name', 'Anna')")
        one.open(path)
        see(one.page.get_by_role("button", name=re.compile("Anna · maintainer")))
        one.settled()
        return one

    return start


def see(what) -> None:
    """Other work may slow the server down: what is waited for here is no budget."""
    expect(what).to_be_visible(timeout=40_000)


def choose_row(one, row: int, table: int = 0) -> None:
    """Tick a row of a table: its first column holds the boxes."""
    box = one.page.get_by_test_id("stDataFrame").nth(table).bounding_box()
    one.page.mouse.click(box["x"] + 17, box["y"] + 35 + 35 * row + 17)
    one.settled()


def upload(one, name: str, rows: list[dict]) -> None:
    data = "\n".join(json.dumps(row) for row in rows).encode()
    one.page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "application/x-ndjson", "buffer": data})
    one.settled()


def view(one, name: str) -> None:
    one.page.get_by_role("radio", name=name, exact=True).or_(one.page.get_by_role("button", name=name, exact=True)).first.click()
    one.settled()


def press(one, name: str) -> None:
    one.page.get_by_role("button", name=name).click()
    one.settled()


def figure(one, label: str):
    return one.page.get_by_test_id("stMetric").filter(has_text=label).get_by_test_id("stMetricValue")


def test_a_file_is_imported_seen_as_changes_and_its_batch_reverted(own_curation, bench):
    row = next(one for one in bench.corpus.rows if one.domain == "docker")
    one = own_curation("/curation?show=Files")
    upload(one, "annotated.jsonl", [{"prompt": HOSTILE, "domain": "security"}, {"prompt": row.text, "domain": "devops"}, {"prompt": "x", "domain": "nonsense"}])
    for label, value in {"New": "1", "Other label": "1", "Refused": "1"}.items():
        expect(figure(one, label)).to_have_text(value, timeout=40_000)
    press(one, "Apply 2 changes as one batch")
    see(one.page.get_by_text("2 prompts of annotated.jsonl stored as one batch"))

    view(one, "Changes")
    expect(figure(one, "Changed")).to_have_text("2", timeout=40_000)
    one.page.get_by_label("Text").fill("onerror")
    one.page.get_by_label("Text").press("Enter")
    one.settled()
    choose_row(one, 0)
    see(one.page.get_by_test_id("stText").filter(has_text=HOSTILE))
    assert one.page.locator("img[src='x']").count() == 0
    assert "find=onerror" in one.page.url and "prompt=" in one.page.url
    second = own_curation(one.page.url.removeprefix(one.base))
    see(second.page.get_by_test_id("stText").filter(has_text=HOSTILE))

    view(one, "History")
    choose_row(one, 0)
    press(one, "Revert …")
    see(one.page.get_by_role("dialog").get_by_text("2 labels go back to what they were"))
    press(one, "Revert 2 labels")
    see(one.page.get_by_text("2 labels taken back"))
    view(one, "Changes")
    see(one.page.get_by_text("Nothing relabelled yet"))


def test_a_log_is_masked_imported_and_waits_in_its_queue(own_curation):
    one = own_curation("/curation?show=Traffic")
    rows = [{"request": {"messages": [{"role": "user", "content": SECRET}]}, "chosen_domain": "general", "score": 0.4}, {"prompt": HOSTILE + " again"}]
    upload(one, "gateway.jsonl", [*rows, rows[1], {"nothing": 1}])
    for label, value in {"Records": "4", "New": "2", "Duplicates": "1", "Refused": "1"}.items():
        expect(figure(one, label)).to_have_text(value, timeout=40_000)
    see(one.page.get_by_text("1 value masked."))
    press(one, "Import 2 new prompts")
    see(one.page.get_by_text(re.compile("[1-9] wait in the queue")))
    see(one.page.get_by_text("2 prompts seen 3 times"))
    one.page.get_by_role("link", name="Queue “From traffic”").click()
    one.settled()
    see(one.page.get_by_text(re.compile("⟨email⟩|<img src=x")).first)
    assert "anna.example" not in one.page.content()


def test_a_domain_is_renamed_after_a_preview_and_the_rename_taken_back(own_curation):
    one = own_curation("/curation?show=Taxonomy")
    view(one, "Rename")
    one.page.get_by_role("combobox", name=re.compile("Domain")).click()
    one.page.get_by_role("option", name="docker").click()
    one.settled()
    one.page.get_by_role("textbox", name="New name").fill("containers")
    one.page.get_by_role("textbox", name="New name").press("Enter")
    one.settled()
    press(one, "Preview")
    see(one.page.get_by_text(re.compile(r"\d+ labels would move")))
    press(one, "Apply")
    see(one.page.get_by_text("Rename docker to containers: version 2"))
    press(one, "Revert version 2 …")
    see(one.page.get_by_role("dialog").get_by_text("as version 3"))
    press(one, "Revert it")
    see(one.page.get_by_text("Revert: Rename docker to containers: version 3"))
    view(one, "Changes")
    see(one.page.get_by_text("Nothing relabelled yet"))


def test_an_export_is_made_when_asked_for_and_shows_its_hash(curation):
    from hashlib import sha256
    from pathlib import Path

    one = curation("/curation?show=Files")
    with one.page.expect_download() as download:
        one.page.get_by_role("button", name="Download the whole set").click()
    digest = sha256(Path(download.value.path()).read_bytes()).hexdigest()
    see(one.page.get_by_text(digest))


def test_dark_theme_and_a_wide_screen(curation):
    for theme, width in (("dark", 1280), ("light", 1920)):
        one = curation("/curation?show=History", theme=theme, width=width)
        see(one.page.get_by_role("heading", name="Curation set"))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_the_views_of_this_page_and_on_every_other(curation, theme):
    one = curation("/curation?show=Changes", theme=theme)
    for name in ("Changes", "History", "Second opinions", "Conflicts", "Files", "Traffic", "Taxonomy"):
        view(one, name)
        assert not serious(one.page), name
    navigation = one.page.locator(".st-key-navigation")
    for name in ("Queue", "Try a prompt", "Scorecard", "Confusions", "Map", "Guide", "Retrain", "Models", "Selectors", "Benchmark"):
        navigation.get_by_role("link", name=name, exact=True).click()
        see(one.page.get_by_role("heading", name=name, exact=True))
        one.settled()
        assert not serious(one.page), name
