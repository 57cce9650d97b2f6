"""From outcomes to a pick through the workbench and the command line, with a tiny encoder; the shipped selectors."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from lab.cli import main as command_line
from lab.errors import ArtefactError, EncoderError, InputError
from lab.home import Home
from lab.selector.options import Options
from lab.settings import Settings
from lab.workbench import Workbench

WORDS = {"math": ["integral", "prime", "algebra", "sum"], "law": ["court", "contract", "statute", "appeal"]}
BEST = {"math": "calc", "law": "lawyer"}


def outcomes(n=120, split=True, seed=0):
    random = np.random.default_rng(seed)
    for number in range(n):
        category = ("math", "law")[number % 2]
        query = " ".join([*random.choice(WORDS[category], 3), f"case{number}"])
        for model in ("calc", "lawyer", "plain"):
            good = random.random() < (0.9 if BEST[category] == model else 0.35)
            yield {
                "query": query, "category": category, "model_name": model, "performance": float(good), "response_time": 1.0 + random.random(),
                **({"split": "train" if number % 4 else "val"} if split else {}),
            }  # fmt: skip


@pytest.fixture
def fake(tmp_path, make_encoder, project, monkeypatch):
    """A workbench with a tiny encoder and its own state; the command line uses it too."""

    class Fake(Workbench):
        def encoder(self, name, precision):
            return make_encoder(24)

    made = Fake(Home(project=project, state=tmp_path / "state"), Settings())
    for module in ("selectors", "selector_use", "decide"):
        monkeypatch.setattr(f"lab.cli.{module}.workbench", lambda: made)
    return made


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "outcomes.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in outcomes()), encoding="utf-8")
    return path


def run(capsys, *arguments):
    status = command_line.main([str(one) for one in arguments])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def trained(fake, data, tmp_path, **options):
    made = fake.train_selectors(data, tmp_path / "out", Options(**({"mlp_epochs": 5, "name": "mine"} | options)))
    return tmp_path / "out" / "mine", made


def test_train_writes_the_routers_files_the_lab_s_folder_and_a_card(fake, data, tmp_path):
    folder, made = trained(fake, data, tmp_path)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "kmeans_model.json",
        "knn_model.json",
        "mine",
        "mlp_model.json",
        "svm_model.json",
    ]
    assert made["files"]["knn_model.json"] == "lab" and made["n"] == 90
    assert made["held_out"]["n"] == 30 and made["held_out"]["rows"][0]["strategy"] == "Oracle"
    card = (folder / "CARD.md").read_text(encoding="utf-8")
    assert "90 queries" in card and "not stated" in card
    everything = b"".join(path.read_bytes() for path in folder.iterdir())
    assert b"integral" not in everything and b"case1" not in everything, "no query is kept"


def test_a_loaded_set_picks_as_the_trained_one_and_as_its_files(fake, data, tmp_path):
    folder, _ = trained(fake, data, tmp_path, forms=("lab", "compatible"))
    one = fake.selector_set(folder)
    assert one.keys == [
        "knn",
        "kmeans",
        "svm",
        "mlp",
        "guarded-knn",
        "knn-compatible",
        "kmeans-compatible",
        "svm-compatible",
        "mlp-compatible",
    ]
    for kind in ("knn", "kmeans", "svm", "mlp"):
        picks = {
            fake.pick("prime algebra of the court", reference, "math")[0].model
            for reference in (f"{folder}/{kind}", str(tmp_path / "out" / f"{kind}_model.json"))
        }
        assert len(picks) == 1
    assert fake.pick("prime", tmp_path / "out" / "svm_model.json", "math")[0].selector == "svm_model/svm", "named as the file is"


@pytest.mark.parametrize("key", ["knn", "kmeans", "svm", "mlp", "guarded-knn"])
def test_specialists_are_picked_and_candidates_respected(fake, data, tmp_path, key):
    folder, _ = trained(fake, data, tmp_path, quality_weight=1.0, **({"mlp_epochs": 40, "mlp_learning_rate": 0.01} if key == "mlp" else {}))
    reference = f"{folder}/{key}"
    assert fake.pick("integral prime sum", reference, "math")[0].model == "calc"
    made, about = fake.pick("court appeal contract", reference, "law", ["calc", "plain"])
    assert made.model in ("calc", "plain") and set(made.scores) <= {"calc", "plain"}
    assert about["category"] == {"name": "law", "probability": None, "source": "given"} and about["pick_ms"] > 0
    assert set(made.predicted["plain"]) == {"quality", "latency_s"}


def test_a_ballot_shows_neighbours_without_texts_and_what_would_change_the_pick(fake, data, tmp_path):
    folder, _ = trained(fake, data, tmp_path)
    shown = fake.ballot("integral prime sum", f"{folder}/knn", "math")
    assert len(shown.neighbours) == 10 and {one["category"] for one in shown.neighbours} == {"math"}
    assert set(shown.neighbours[0]) == {"cosine", "category", "quality"}
    assert all(one["model"] != shown.pick.model for one in shown.flips)
    without = [one for one in shown.flips if one["what"] == "without"]
    assert [one["to"] for one in without] == [shown.pick.model]
    assert "without" not in {one["what"] for one in fake.ballot("integral prime sum", f"{folder}/knn", "math", [shown.pick.model]).flips}


def test_a_guarded_ballot_says_how_much_evidence_would_change_the_pick(fake, data, tmp_path):
    import copy

    folder, _ = trained(fake, data, tmp_path, algorithms=("guarded-knn",), quality_weight=1.0)
    one_set, told = fake.selector_set(folder), 0
    for text, category in (("integral prime sum", "math"), ("court appeal contract", "law")):
        shown = fake.ballot(text, folder, category)
        for one in (one for one in shown.flips if one["what"].endswith("evidence")):
            other = copy.copy(one_set.selector())
            other.z = one["to"] * (1.02 if one["what"] == "more_evidence" else 0.98)
            x = fake._query(one_set, text, fake.category(text, category))
            assert one_set.models[int(other.predict(x)[0])] == one["model"] != shown.pick.model
            told += 1
    assert told


def test_export_and_import_keep_the_pick(fake, data, tmp_path, capsys):
    folder, _ = trained(fake, data, tmp_path)
    status, out, _ = run(capsys, "selectors", "export", f"{folder}/svm", "--output", tmp_path / "router", "--json")
    assert status == 0 and [Path(one["file"]).name for one in json.loads(out)["files"]] == ["svm_model.json"]
    status, out, err = run(capsys, "selectors", "import", tmp_path / "router" / "svm_model.json", "--name", "theirs", "--json")
    assert status == 0, err
    assert json.loads(out)["width"] == 38 and fake.selector_names()[-1] == "theirs"
    for text, category in (("integral prime", "math"), ("court appeal", "law")):
        assert fake.pick(text, "theirs", category)[0].model == fake.pick(text, f"{folder}/svm", category)[0].model
    assert run(capsys, "selectors", "import", tmp_path / "router" / "svm_model.json", "--name", "theirs")[2].startswith(
        "Error: There are selectors 'theirs' already"
    )
    assert "no name for selectors" in run(capsys, "selectors", "import", tmp_path / "router" / "svm_model.json", "--name", "../x")[2]


def test_the_guarded_form_has_no_file_and_says_so(fake, data, tmp_path):
    folder, _ = trained(fake, data, tmp_path)
    for name in (f"{folder}/guarded-knn", "guarded-knn"):
        with pytest.raises(InputError, match="no form in the router's files"):
            fake.export_selector(name, tmp_path / "x")
    assert len(fake.export_selector(str(folder), tmp_path / "x")) == 4


def test_a_file_of_another_width_is_refused_with_both_numbers(fake, data, tmp_path):
    trained(fake, data, tmp_path)
    with pytest.raises(ArtefactError, match=r"embeddings of 24 numbers.*gives 384"):
        fake.import_selector(tmp_path / "out" / "svm_model.json", "x", "minilm")
    value = json.loads((tmp_path / "out" / "kmeans_model.json").read_text(encoding="utf-8"))
    del value["router_lab"]
    (tmp_path / "bare.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(EncoderError, match="24 numbers and does not say of which encoder"):
        fake.import_selector(tmp_path / "bare.json", "x")
    assert fake.import_selector(tmp_path / "bare.json", "x", "somebody/24").encoder_name == "somebody/24"


@pytest.mark.parametrize("split", [True, False])
def test_evaluate_prints_the_table_with_the_agreed_keys(fake, tmp_path, capsys, split):
    path = tmp_path / "o.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in outcomes(60, split)), encoding="utf-8")
    status, out, err = run(
        capsys, "selectors", "evaluate", "--data", path, "--json", "--mlp-epochs", 2, "--mlp-hidden-dims", "8", "--svm-gamma", "1"
    )
    assert status == 0, err
    report = json.loads(out)
    assert report["n"] == (15 if split else 60)
    names = [row["strategy"] for row in report["rows"]]
    assert names[:2] == ["Oracle", "Domain oracle"] and names[-1] == "Random" and "knn (compatible)" in names and "guarded-knn" in names
    for row in report["rows"]:
        assert {"strategy", "quality", "quality_low", "quality_high", "latency_s", "cost_usd", "best_model_share", "regret"} <= set(row)
        assert row["quality_low"] <= row["quality"] <= row["quality_high"]
    assert report["verdict"]["sentence"] and report["published"]["n"] == 109 and len(report["bound_to"]["data_sha256"]) == 64
    assert run(capsys, "selectors", "evaluate", "--data", path, "--algorithm", "knn")[1].count("Always") >= 3


def test_records_that_contradict_the_category_of_their_query_are_counted(fake, tmp_path, capsys):
    path = tmp_path / "o.jsonl"
    rows = [one | ({"category": "law"} if place == 1 else {}) for place, one in enumerate(outcomes(60))]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    _, _, err = run(capsys, "selectors", "evaluate", "--data", path, "--algorithm", "knn")
    assert "1 records name another category than the first record of their query" in err


def test_a_judgement_by_the_command_line_is_what_the_page_shows(fake, data, tmp_path, capsys):
    fake.train_selectors(data, tmp_path / "state" / "selectors", Options(algorithms=("knn",), name="mine", files=False))
    assert all("compatible" not in row["strategy"] for row in fake.judgement("mine")["rows"])
    status, out, err = run(capsys, "selectors", "judge", "mine", "--data", data, "--json")
    assert status == 0, err
    assert Path(json.loads(out)["kept"]).name == "report.json"
    assert "kept: " in run(capsys, "selectors", "judge", "mine", "--data", data, "--form", "lab")[1]
    run(capsys, "selectors", "judge", "mine", "--data", data)
    assert "knn (compatible)" in [row["strategy"] for row in fake.judgement("mine")["rows"]]


def test_a_trained_selector_is_judged_on_queries_it_has_not_seen(fake, data, tmp_path, capsys):
    folder, _ = trained(fake, data, tmp_path)
    status, out, err = run(capsys, "selectors", "evaluate", "--data", data, "--selector", f"{folder}/knn", "--selector", folder, "--json")
    assert status == 0, err
    report = json.loads(out)
    assert report["n"] == 30 and report["account"]["seen_in_training"] == 90
    assert next(row["strategy"] for row in report["rows"] if row["kind"] == "selector") == "mine/knn"
    seen = tmp_path / "seen.jsonl"
    seen.write_text("\n".join(json.dumps(one) for one in outcomes() if one["split"] == "train"), encoding="utf-8")
    assert (
        "Every query of the data was in the selector's training"
        in run(capsys, "selectors", "evaluate", "--data", seen, "--selector", folder)[2]
    )


def test_bad_input_is_one_sentence_with_the_fix(fake, data, tmp_path, capsys):
    folder, _ = trained(fake, data, tmp_path, algorithms=("knn",))
    one_model = tmp_path / "one.jsonl"
    one_model.write_text("\n".join(json.dumps(one) for one in outcomes() if one["model_name"] == "calc"), encoding="utf-8")
    one_query = tmp_path / "query.jsonl"
    one_query.write_text("\n".join(json.dumps(one) for one in list(outcomes())[:3]), encoding="utf-8")
    zero = tmp_path / "zero.jsonl"
    zero.write_text("\n".join(json.dumps(one | {"performance": 0.0, "response_time": None}) for one in outcomes()), encoding="utf-8")
    train = ("selectors", "train", "--output-dir", tmp_path / "y", "--data-file")
    for arguments, what in (
        (
            ("selectors", "pick", "integral", "--selector", folder, "--category", "phisics"),
            "no category 'phisics'. Did you mean 'physics'?",
        ),
        (
            ("selectors", "pick", "integral", "--selector", folder, "--models", "calc,gpt"),
            "does not know gpt. It knows: calc, lawyer, plain",
        ),
        (("selectors", "pick", "integral", "--selector", "nobody"), "no selectors 'nobody'"),
        (("selectors", "pick", "integral", "--selector", f"{folder}/svm"), "no selector 'svm'"),
        (("selectors", "pick", " ", "--selector", folder, "--category", "math"), "only white space"),
        ((*train, one_model), "one model only"),
        ((*train, one_query), "1 query"),
        ((*train, zero), "Every outcome is 0"),
        ((*train, tmp_path / "none.jsonl"), "does not exist"),
        ((*train, data, "--knn-k", "0"), "knn_k is 0"),
        ((*train, data, "--models", "calc,gpt"), "No records of gpt"),
        ((*train, data, "--quality-weight", "2"), "quality_weight is 2.0"),
    ):
        status, _, err = run(capsys, *arguments)
        assert status == 1 and err.startswith("Error: ") and what in err, (arguments, err)
    assert not (tmp_path / "y").exists()


def test_typos_of_categories_in_the_data_are_counted_with_a_hint(fake, tmp_path):
    path = tmp_path / "o.jsonl"
    path.write_text(
        "\n".join(json.dumps(one | {"category": one["category"].replace("law", "laws")}) for one in outcomes()), encoding="utf-8"
    )
    account = trained(fake, path, tmp_path, algorithms=("knn",))[1]["account"]
    assert account["unknown_categories"] == [{"category": "laws", "queries": 60, "used_as": "other", "hint": "Did you mean 'law'?"}]


def test_a_damaged_folder_is_named(fake, data, tmp_path):
    folder, _ = trained(fake, data, tmp_path, algorithms=("kmeans",))
    for name, content in (("selectors.safetensors", b"x"), ("meta.json", b"{}"), ("meta.json", b"{")):
        broken = tmp_path / f"broken-{name}-{len(content)}"
        shutil.copytree(folder, broken)
        (broken / name).write_bytes(content)
        with pytest.raises(ArtefactError, match=name):
            fake.pick("integral", broken, "math")


CONFIG = """\
default_model: plain
model_selection: {{ml: {{enabled: true, models_path: {path}}}}}
decisions:
- {{name: numbers, priority: 2, rules: {{type: domain, name: math}}, algorithm: {{type: {kind}}}, modelRefs: [{models}]}}
"""


def decided(fake, tmp_path, kind="svm", models="{model: lawyer}, {model: calc}", path="out", category="math", monkeypatch=None):
    from lab.use_cases.selecting import Category

    monkeypatch.setattr(type(fake), "category", lambda self, text, given=None: Category(category, 0.9, "test"), raising=False)
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.format(kind=kind, models=models, path=path), encoding="utf-8")
    return fake.decide("integral prime sum", config)


def test_decide_goes_from_the_query_to_the_model_of_a_trained_file(fake, data, tmp_path, monkeypatch):
    trained(fake, data, tmp_path)
    made = decided(fake, tmp_path, monkeypatch=monkeypatch)
    assert (made["decision"], made["model"], made["confidence"]) == ("numbers", "calc", 0.9)
    assert "trained file" in made["reason"] and set(made["scores"]) == {"calc", "lawyer"}


@pytest.mark.parametrize(
    "change,model,why",
    [
        ({"kind": "static"}, "lawyer", "is static"),
        ({"path": "nowhere"}, "lawyer", "nowhere/svm_model.json is not there and no installed svm selector knows lawyer, calc"),
        ({"models": "{model: gpt}, {model: plain}"}, "plain", "only candidate"),
        ({"models": "{model: gpt}, {model: claude}"}, "gpt", "knows none of the candidates"),
        ({"category": "law"}, "plain", "the default model serves"),
    ],
)
def test_what_decide_does_without_a_selector_is_said(fake, data, tmp_path, monkeypatch, change, model, why):
    trained(fake, data, tmp_path)
    made = decided(fake, tmp_path, monkeypatch=monkeypatch, **change)
    assert made["model"] == model and why in made["reason"]
    if "gpt" in change.get("models", "") and "plain" in change["models"]:
        assert any("does not know gpt" in one for one in made["warnings"])


# what is shipped


@pytest.mark.parametrize("name", ["mmlu-pro-small", "mmlu-pro-large"])
def test_the_shipped_selectors_hold_what_their_cards_promise(bench, name):
    one = bench.selector_set(name)
    held = one.meta["held_out"]
    row = next(row for row in held["rows"] if row["strategy"] == one.default)
    random = next(row for row in held["rows"] if row["strategy"] == "Random")
    assert one.default == "guarded-knn" and row["gain_high"] > 0 and row["gain"] > 0, "the default is not worse than the best single model"
    for other in held["rows"]:
        if other["kind"] == "selector":
            assert other["quality"] > random["quality_high"]
    assert one.meta["provenance"]["licence"] and len(one.query_ids) == len(one.x) == one.meta["provenance"]["train_queries"]
    assert sum(path.stat().st_size for path in one.path.iterdir()) < 12e6


@pytest.mark.parametrize("key", ["kmeans", "svm", "mlp"])
def test_a_shipped_selector_s_file_picks_as_it_does(bench, key):
    from lab.selector.deployed import winner
    from lab.selector.read_file import parse_file
    from lab.selector.write_file import dump

    one = bench.selector_set("mmlu-pro-small")
    queries = one.x[:2000]
    file, _ = parse_file(json.loads(dump(one.deployed(key))), key)
    picked = np.asarray(file.models)[winner(file, queries)]
    assert np.mean(np.asarray(one.models)[one.selector(key).predict(queries)] == picked) >= 0.999


def test_the_category_router_stands_beside_the_domain_routers(bench):
    assert bench.shipped_names("categories") == ["categories-14"]
    assert "categories-14" not in bench.router_names()
    router = bench.router("categories-14")
    assert sorted(router.domains) == sorted({*bench.conventions.one_hot, *bench.conventions.without_place} - {"unknown"})
    assert router.metrics["top1"] > 0.75


@pytest.mark.real
def test_a_query_finds_its_category_and_its_model(bench):
    found, picks = bench.picks("Find the derivative of x squared times sin x.")
    assert found.name == "math" and found.source == "categories-14" and found.probability > 0.5
    assert len(picks) == len(bench.selector_set().keys) and all(pick.predicted for pick in picks)
