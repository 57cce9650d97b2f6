"""The page Selectors and the picks on Try a prompt, through app.py and the real workbench."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lab.settings import Settings
from lab.workbench import Workbench
from pages.shared.frame import bench

APP = str(Path(__file__).parents[2] / "app.py")
pytestmark = pytest.mark.real


def opened(page: str = "selectors", **query: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=120).run()
    for key, value in query.items():
        app.query_params[key] = value
    app = app.switch_page(f"pages/{page}.py").run()
    assert not app.exception, app.exception
    return app


def shown(app: AppTest) -> str:
    return "\n".join(str(one.value) for kind in ("header", "subheader", "markdown", "caption", "info", "warning") for one in app.get(kind))


def write_weighed(folder: Path) -> None:
    """A set of which only the judgement exists: two weights, a model whose name is markup."""
    row = {
        "quality_low": 0.4, "quality_high": 0.6, "latency_s": 2.0, "cost_usd": 0.001, "best_model_share": 0.5, "regret": 0.2, "gain": 0.0, "gain_low": -0.1, "gain_high": 0.1,
        "utility": 0.5, "n": 50, "missing": 0, "picks": {"**bold**": 0.5, "b": 0.5},
    }  # fmt: skip
    kinds = {"Oracle": "oracle", "Domain oracle": "domain", "knn": "selector", "Always **bold**": "single", "Always b": "single", "Random": "random"}

    def rows(quality):
        return [{"strategy": name, "kind": kind, "quality": quality} | row for name, kind in kinds.items()]

    slices = [{"category": "law", "model": "**bold**", "n": 12, "best_single": 0.5, "strategies": [{"strategy": name, "quality": 0.5, "gain": 0.1, "gain_low": -0.1, "gain_high": 0.2} for name in ("Oracle", "Domain oracle", "knn")]}]
    held = {
        "n": 50, "unanswered": 3, "best_single": ["b"], "rows": rows(0.5), "verdict": {"use": "one model", "sentence": "Use one model: **bold**."}, "waterfall": [], "categories": slices,
        "by_weight": [{"quality_weight": 0.0, "best_single": "b", "rows": rows(0.25)}, {"quality_weight": 0.9, "best_single": "**bold**", "rows": rows(0.5)}],
    }  # fmt: skip
    meta = {
        "format": 1, "models": ["**bold**", "b"], "one_hot": ["other"], "encoder": {"name": "e", "id": "e@1", "dim": 2}, "default": "knn", "held_out": held,
        "utility": {"quality_weight": 0.9, "cost_share": 0.5, "latency_scale_s": 1.0, "cost_scale_usd": 0.001, "parts": ["quality", "speed", "thrift"]},
        "selectors": {"knn": {"algorithm": "knn", "form": "lab", "params": {}}}, "provenance": {"data_sha256": "f" * 64, "seed": 7},
    }  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps(meta))
    (folder / "CARD.md").write_text("# own <img src=x>")


@pytest.fixture
def weighed(tmp_path, monkeypatch):
    write_weighed(tmp_path / "own")
    shipped = bench().home.project / "models" / "selectors"
    monkeypatch.setattr(Workbench, "_selector_places", property(lambda self: (shipped, tmp_path)))


@pytest.mark.parametrize("name", ["mmlu-pro-small", "mmlu-pro-large"])
def test_the_verdict_comes_first_and_the_table_is_the_judgement(name):
    app = opened(set=name)
    made = bench().judgement(name)
    assert app.info[0].value.replace("\\", "") == f"**{made['verdict']['sentence']}**"
    table = app.dataframe[0].value
    assert list(table["Strategy"]) == [one["strategy"] for one in made["rows"]]
    assert table["Quality"][0].startswith(f"{made['rows'][0]['quality']:.3f} [") and table["n"][0] == made["rows"][0]["n"]
    assert "knn (compatible)" in list(table["Strategy"]) and not app.select_slider
    assert made["bound_to"]["data_sha256"][:12] in shown(app) and "Quality alone counts" in shown(app)


def test_the_published_table_stands_beside_ours_marked_and_with_its_faults():
    app = opened()
    published = next(one.value for one in app.dataframe if "Published" in one.value)
    measured = next(one.value for one in app.dataframe if "Measured here" in one.value)
    assert len(published) == 9 and {"Oracle", "guarded-knn", "knn (compatible)", "Random"} <= set(measured["Measured here"])
    assert "one draw" in shown(app) and "compare the conclusions" in shown(app)


def test_the_slider_takes_the_table_of_its_weight(weighed):
    app = opened(set="own")
    table = next(one.value for one in app.dataframe if "Gain" in one.value and "Strategy" in one.value)
    assert table["Quality"][0].startswith("0.500")
    app.select_slider(key="weight").set_value(0.0).run()
    assert not app.exception
    table = next(one.value for one in app.dataframe if "Gain" in one.value and "Strategy" in one.value)
    assert table["Quality"][0].startswith("0.250") and list(table["Reads"]).count("best single") == 1
    assert "The verdict above is at the trained weight, 0\\.90" in shown(app)


def test_names_of_models_are_shown_as_they_are_written(weighed):
    app = opened(set="own")
    assert "\\*\\*bold\\*\\*" in app.info[0].value
    app = opened(set="own", view="Files and card")
    assert "<img" in app.code[0].value


def test_categories_show_the_chosen_strategy_and_name_those_too_small(weighed):
    app = opened(set="own", view="Categories")
    table = app.dataframe[0].value
    assert list(table["Gain"]) == ["+0.100 [-0.100, +0.200]"] and list(table["Its best model"]) == ["**bold**"]
    assert "too few to judge: law" in shown(app).replace("\\", "")
    assert "One model per category (config.yaml)" in [one.proto.label for one in app.get("download_button")]
    assert "default_model: b" in bench().category_decisions("own")


def test_a_ballot_names_pick_scores_neighbours_and_what_would_change_it():
    app = opened(set="mmlu-pro-small", view="One query", selector="knn", category="law", query="Is an oral contract binding?")
    picked = app.subheader[0].value.replace("\\", "")
    _, _, ballot = bench().query_ballot("Is an oral contract binding?", "mmlu-pro-small/knn", "law")
    assert picked == ballot.pick.model and "Category law" in shown(app)
    assert app.dataframe[0].value["Model"].iloc[0] == picked
    assert len(app.dataframe[-1].value) == 10
    app.multiselect(key="candidates-mmlu-pro-small").set_value(["gemma-7b"]).run()
    assert app.subheader[0].value == "gemma\\-7b"


def test_a_link_to_selectors_that_are_not_here_says_so():
    app = opened(set="gone")
    assert "no selectors 'gone'" in shown(app).replace("\\", "") and not app.exception


def test_a_viewer_sees_everything_and_imports_nothing(monkeypatch):
    monkeypatch.setitem(bench().__dict__, "settings", Settings(unverified_role="viewer"))
    app = opened(view="Files and card")
    assert "needs a maintainer" in shown(app) and not app.get("file_uploader")


def test_the_picks_on_try_a_prompt_wait_until_they_are_asked_for():
    app = opened("try_prompt")
    assert not [one for one in app.dataframe if "Picked by" in one.value]
    app.toggle(key="picks").set_value(True).run()
    assert not app.exception
    table = next(one.value for one in app.dataframe if "Picked by" in one.value)
    _, made = bench().picks("how do I flash my STM32 over SWD?")
    assert {name.strip() for cell in table["Picked by"] for name in cell.split(",")} - {"–"} == {one.selector.split("/")[1] for one in made}
