"""The honest table at every weight, and the kept judgement of a set."""

import json

import numpy as np
import pytest

from lab.errors import AccessError, InputError
from lab.home import Home
from lab.selector.by_weight import points, short, tables_by_weight
from lab.selector.choose import train
from lab.selector.held_out import Part, best_by_category, best_single
from lab.selector.options import Options
from lab.selector.table import Cells, OutcomeTable
from lab.selector.utility import Utility
from lab.settings import Settings
from lab.workbench import Workbench


def judged(latency=True, forms=("lab",), n=120):
    """A slow model that is right on even queries, a fast one that is right on odd ones and a third of the others."""
    random = np.random.default_rng(1)
    kind = np.arange(n) % 2
    x = np.concatenate([np.eye(2)[kind] + 0.05 * random.normal(size=(n, 2)), np.zeros((n, 1))], axis=1).astype(np.float32)
    x[:, 2] = 1
    quality = np.stack([kind == 0, (kind == 1) | (np.arange(n) % 3 == 0)], axis=1).astype(float)
    latency_s = np.tile([5.0, 0.1], (n, 1)) if latency else np.full((n, 2), np.nan)
    table = OutcomeTable([f"q{one}" for one in range(n)], ["c"] * n, [""] * n, ["slow", "fast"], Cells(quality, latency_s, np.full((n, 2), np.nan)))
    rows, utility = np.arange(80), Utility(0.9)
    own = utility.for_cells(table.cells)
    chosen = [train("knn", form, x[rows], table.cells[rows], own, 1) for form in forms]
    return table, x, Part(rows, np.arange(80, n), chosen, best_single(table, rows, utility), best_by_category(table, rows, utility)), utility


def row(tables, weight, strategy):
    return next(one for one in next(table for table in tables if table["quality_weight"] == weight)["rows"] if one["strategy"] == strategy)


def test_at_weight_0_the_fastest_model_is_picked_and_at_weight_1_the_best():
    tables = tables_by_weight(*judged(), weights=(0.0, 1.0))
    assert row(tables, 0.0, "knn")["picks"] == {"slow": 0.0, "fast": 1.0}
    assert tables[0]["best_single"] == "fast" and row(tables, 0.0, "knn")["latency_s"] == pytest.approx(0.1)
    assert row(tables, 1.0, "knn")["quality"] == 1.0 and row(tables, 1.0, "knn")["latency_s"] == pytest.approx(2.55)


def test_every_row_keeps_n_and_an_interval():
    tables = tables_by_weight(*judged(), weights=(0.5,))
    for one in tables[0]["rows"]:
        assert one["n"] == 40 and one["quality_low"] <= one["quality"] <= one["quality_high"]


def test_a_compatible_form_stays_where_it_is():
    tables = tables_by_weight(*judged(forms=("lab", "compatible")), weights=(0.0, 1.0))
    assert row(tables, 0.0, "knn (compatible)")["picks"] == row(tables, 1.0, "knn (compatible)")["picks"]


def test_without_latency_and_cost_there_is_nothing_to_weigh():
    assert tables_by_weight(*judged(latency=False)) == []


def test_points_name_the_best_single_model_of_each_weight_and_each_model_once():
    found = points(tables_by_weight(*judged(), weights=(0.0, 1.0)))
    assert [one["strategy"] for one in found if one["kind"] == "single"] == ["Always slow", "Always fast"]
    assert len([one for one in found if one["strategy"] == "Best single"]) == 2
    assert all(one["on_frontier"]["cost_usd"] is None for one in found)
    fast = next(one for one in found if one["strategy"] == "Always fast")
    assert fast["on_frontier"]["latency_s"]


def test_short_rounds_floats_only():
    assert short({"a": [0.1234567, 3, None, "x", True]}) == {"a": [0.123457, 3, None, "x", True]}


# through the workbench


@pytest.fixture
def fake(tmp_path, make_encoder, project):
    class Fake(Workbench):
        def encoder(self, name, precision):
            return make_encoder(24)

    return Fake(Home(project=project, state=tmp_path / "state"), Settings(unverified_role="maintainer"))


@pytest.fixture
def data(tmp_path):
    random = np.random.default_rng(0)
    rows = [
        {
            "query": f"{random.choice(['integral prime', 'court appeal'])} case{number}", "category": ("math", "law")[number % 2], "model_name": model, "split": "train" if number // 2 % 4 else "val",
            "performance": float(random.random() < 0.6), "response_time": 1.0 + place, "cost": 0.001 * (2 - place),
        }
        for number in range(80)
        for place, model in enumerate(("a", "b"))
    ]  # fmt: skip
    path = tmp_path / "outcomes.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


@pytest.fixture
def mine(fake, data, tmp_path):
    fake.train_selectors(data, tmp_path / "state" / "selectors", Options(algorithms=("knn",), name="mine", files=False))
    return fake


def test_training_keeps_the_table_of_every_weight_and_the_categories(mine):
    made = mine.judgement("mine")
    assert len(made["by_weight"]) == 21 and {one["category"] for one in made["categories"]} == {"math", "law"}
    assert made["n"] == made["rows"][0]["n"] > 10 and made["bound_to"]["selectors"]


def test_a_judgement_of_the_stored_set_beside_the_routers_training_is_kept_and_shown(mine, data):
    made = mine.judge_selectors("mine", data, Options(forms=("compatible",), quality_weight=0.9))
    mine.keep_judgement("mine", made)
    shown = mine.judgement("mine")
    names = [one["strategy"] for one in shown["rows"]]
    assert "knn" in names and "mlp (compatible)" in names and not shown["note"]
    first = next(one for one in mine.selector_set("mine").meta["held_out"]["rows"] if one["strategy"] == "knn")
    assert next(one for one in shown["rows"] if one["strategy"] == "knn")["quality"] == pytest.approx(first["quality"], abs=1e-6)


def test_a_judgement_of_other_files_is_left_aside_and_said(mine, data):
    made = mine.judge_selectors("mine", data, Options(quality_weight=0.9))
    made["bound_to"]["selectors"] = {"selectors.safetensors": "0" * 64}
    mine.keep_judgement("mine", made)
    shown = mine.judgement("mine")
    assert "not shown" in shown["note"] and shown["rows"] == mine.selector_set("mine").meta["held_out"]["rows"]


def test_other_data_than_the_set_s_is_refused(mine, tmp_path):
    other = tmp_path / "other.jsonl"
    other.write_text("\n".join(json.dumps({"query": f"q{n}", "category": "law", "model_name": m, "performance": 1.0}) for n in range(4) for m in "ab"))
    with pytest.raises(InputError, match="not the data"):
        mine.judge_selectors("mine", other)


def test_an_upload_needs_a_maintainer_and_has_no_judgement(mine):
    file = mine.selector_file("mine/knn")
    one = mine.upload_selector(mine.actor("Anna"), file, "knn_model.json", "theirs")
    assert one.keys == ["knn"] and mine.judgement("theirs")["rows"] == []
    mine.__dict__["settings"] = Settings(unverified_role="viewer")
    with pytest.raises(AccessError):
        mine.upload_selector(mine.actor("Anna"), file, "knn_model.json", "again")


def test_shipped_sets_show_all_forms_bound_to_their_files(fake):
    for name in fake.conventions.default, "mmlu-pro-large":
        made = fake.judgement(name)
        kinds = [one["strategy"] for one in made["rows"] if one["kind"] == "selector"]
        assert not made["note"] and sum("compatible" in one for one in kinds) == 4 and len(kinds) == 9
        assert made["n"] == 1878 and len(made["categories"]) == 14 and made["by_weight"] == []
        assert made["bound_to"]["selectors"] == fake.selector_set(name).sha256
