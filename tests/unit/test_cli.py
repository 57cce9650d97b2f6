"""The command line: what it prints, what it writes, and how it fails (lab.cli)."""

import json
import os
import subprocess
import sys

import pytest

from lab.cli.main import main
from lab.files import sha256_file
from lab.router.router import Router

CLEAN = [("Bonjour, ça va ?", "chat-fr"), ("How do I mount a docker volume read-only?", "docker")]


def jsonl(path, *values):
    path.write_bytes(
        b"".join((value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()) + b"\n" for value in values)
    )
    return str(path)


def rows(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture
def run(capsys):
    """Exit status, standard output, standard error of one command."""

    def call(*arguments):
        capsys.readouterr()
        status = main([str(one) for one in arguments])
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture
def own_state(tmp_path, monkeypatch, bench):
    """A state folder of the test's own that shares the exported encoders."""
    bench.encoder("all-MiniLM-L6-v2", "fp32")
    state = tmp_path / "state"
    state.mkdir()
    (state / "encoders").symlink_to(bench.home.encoders)
    monkeypatch.setenv("ROUTER_LAB_HOME", str(state))
    return state


# route


@pytest.mark.real
def test_route_json_says_what_was_decided_and_by_what(run):
    status, out, err = run("route", "How do I flash an STM32 over SWD?", "--json", "--top-k", "3", "--router", "v9-47")
    answer = json.loads(out)
    assert (status, err) == (0, "")
    assert set(answer) == {
        "router",
        "router_sha256",
        "encoder",
        "domains",
        "selections",
        "decision",
        "backend",
        "specialist",
        "margin",
        "language",
        "outside",
        "timings_ms",
    }
    assert answer["router"] == "v9-47"
    assert set(answer["encoder"]) == {"id", "precision"}
    assert [set(one) for one in answer["domains"]] == [{"domain", "score", "probability"}] * 3
    assert set(answer["decision"]) == {"domain", "abstained", "reason", "threshold"}
    assert set(answer["timings_ms"]) == {"prepare", "encode", "head", "total"}
    assert answer["decision"]["domain"] == answer["domains"][0]["domain"] == answer["selections"][0]["domain"] == "stm32"
    assert answer["backend"] == "apertus-70b-embedded-8bit"


@pytest.mark.real
def test_route_prints_the_answer_the_reason_and_the_domains(run):
    status, out, _ = run("route", "How do I flash an STM32 over SWD?")
    lines = out.splitlines()
    assert status == 0
    assert lines[0].startswith("stm32  (probability 0.")
    assert lines[1] == "backend apertus-70b-embedded-8bit, specialist qwen36-embedded"
    assert lines[2].split()[0] == "stm32"
    assert len(lines) == 2 + 5 + 1
    assert lines[7].startswith("router lab-47 ")


@pytest.mark.real
def test_route_reads_standard_input(run, monkeypatch):
    import io

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"  Bonjour\n")))
    assert json.loads(run("route", "-", "--json")[1])["domains"][0]["domain"] == "chat-fr"


def test_standard_input_in_another_encoding_is_named_as_such(run, monkeypatch):
    import io

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("café".encode("latin-1"))))
    status, _, err = run("route", "-")
    assert status == 1
    assert "Standard input is not UTF-8 (byte 4)" in err


@pytest.mark.real
def test_a_higher_target_abstains_where_a_lower_one_answers(run):
    text = "how much current can this trace carry"
    low, high = (json.loads(run("route", text, "--json", "--target", target)[1]) for target in ("0.7", "0.98"))
    assert low["domains"] == high["domains"]
    assert low["decision"]["threshold"] < high["decision"]["threshold"]
    assert (low["decision"]["abstained"], high["decision"]["abstained"]) == (False, True)


@pytest.mark.real
def test_one_route_in_a_fresh_process_imports_neither_torch_nor_sentence_transformers(project):
    code = (
        "import sys\nfrom lab.cli.main import main\nstatus = main(['route', 'Bonjour', '--json'])\n"
        "heavy = [name for name in ('torch', 'sentence_transformers', 'transformers', 'sklearn', 'streamlit', 'pandas') if name in sys.modules]\n"
        "sys.exit(f'imported {heavy}' if heavy else status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": str(project)},
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert json.loads(done.stdout)["decision"]["domain"] == "chat-fr"


@pytest.mark.real
def test_route_file_adds_a_field_and_keeps_the_others_in_order(run, tmp_path):
    given = [
        {"prompt": "Bonjour", "id": 7, "nested": {"é": [1, None]}},
        {"text": "docker compose down", "domain": "x"},
        {"messages": [{"role": "user", "content": "SELECT 1"}]},
    ]
    source = jsonl(tmp_path / "in.jsonl", given[0], b"", *given[1:])
    status, out, err = run("route", "--file", source, "--output", tmp_path / "out.jsonl", "--json", "--top-k", "2")
    found = rows(tmp_path / "out.jsonl")
    assert (status, err) == (0, "")
    assert [{key: value for key, value in row.items() if key != "route"} for row in found] == given
    assert list(found[0]) == ["prompt", "id", "nested", "route"]
    assert "timings_ms" not in found[0]["route"]
    assert len(found[0]["route"]["domains"]) == 2
    summary = json.loads(out)
    assert (summary["routed"], summary["bad"]) == (3, [])
    assert summary["abstained"] == sum(row["route"]["decision"]["abstained"] for row in found)


@pytest.mark.real
def test_routing_a_file_twice_gives_the_same_bytes(run, tmp_path):
    source = jsonl(tmp_path / "in.jsonl", *({"prompt": text} for text, _ in CLEAN))
    for name in ("a", "b"):
        run("route", "--file", source, "--output", tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_bad_line_names_file_and_line_and_nothing_is_written(run, tmp_path):
    source = jsonl(tmp_path / "in.jsonl", {"prompt": "Bonjour"}, b"{broken", {"prompt": "  "}, {"question": "?"})
    (tmp_path / "out.jsonl").write_text("old")
    status, out, err = run("route", "--file", source, "--output", tmp_path / "out.jsonl")
    assert (status, out) == (1, "")
    assert err.startswith("Error: 3 of 4 rows cannot be routed; nothing was written. ")
    for part in (f"{source}:2: not JSON", f"{source}:3: the prompt has only white space", f"{source}:4: no prompt", "--skip-bad"):
        assert part in err
    assert (tmp_path / "out.jsonl").read_text() == "old"


@pytest.mark.real
def test_skip_bad_routes_the_rest_and_lists_what_was_left_out(run, tmp_path):
    source = jsonl(tmp_path / "in.jsonl", {"prompt": "Bonjour"}, b"{broken", {"prompt": "hello"})
    status, out, err = run("route", "--file", source, "--output", tmp_path / "out.jsonl", "--skip-bad")
    assert status == 0
    assert [row["prompt"] for row in rows(tmp_path / "out.jsonl")] == ["Bonjour", "hello"]
    assert out.startswith("2 routed, ")
    assert f"left out: {source}:2: not JSON" in err


@pytest.mark.real
def test_a_surrogate_in_another_field_does_not_break_the_file(run, tmp_path):
    source = jsonl(tmp_path / "in.jsonl", b'{"prompt": "Bonjour", "note": "\\ud800"}')
    status, _, err = run("route", "--file", source, "--output", tmp_path / "out.jsonl")
    assert status == 0 or (status == 1 and err.startswith("Error: ") and "in.jsonl:1" in err)


# evaluate


@pytest.mark.real
@pytest.mark.parametrize("name", ["lab-47", "v5-32", "v9-47"])
def test_evaluating_the_test_side_gives_the_shipped_figures(run, bench, name):
    status, out, _ = run("evaluate", "router", "--router", name, "--data", bench.home.corpus, "--side", "test", "--json")
    report, shipped = json.loads(out), bench.router(name).metrics
    assert status == 0
    assert (report["n"], report["rows_from_training"], report["refused"]) == (shipped["n"], 0, [])
    for key in ("top1", "top3", "macro_f1", "weighted_f1", "ece", "ece_of_raw_score"):
        assert report[key] == pytest.approx(shipped[key], abs=2e-3), key
    for key, interval in shipped["intervals"].items():
        assert report["intervals"][key] == pytest.approx(interval, abs=3e-3), key
    assert report["gateway"]["answered"] == pytest.approx(shipped["gateway"]["answered"], abs=3e-3)
    for found, wanted in zip(report["abstain"], shipped["abstain"], strict=True):
        assert (found["target"], found["threshold"]) == (wanted["target"], wanted["threshold"])
        assert found["coverage"] == pytest.approx(wanted["coverage"], abs=3e-3)
    assert {domain: row["support"] for domain, row in report["per_domain"].items()} == {
        domain: row["support"] for domain, row in shipped["per_domain"].items()
    }
    for key in ("router_sha256", "encoder_id", "trained_on"):
        assert report["bound_to"][key] == shipped["bound_to"][key], key


@pytest.mark.real
def test_evaluate_counts_rows_seen_in_training_and_labels_it_cannot_judge(run, bench, tmp_path):
    seen = next(row for row in bench.corpus.rows if bench.frozen_split[row.id] == "train")
    source = jsonl(
        tmp_path / "d.jsonl",
        {"prompt": seen.text, "domain": seen.domain},
        {"prompt": "new one", "domain": "electronics"},
        {"prompt": "x", "domain": "made-up"},
        {"prompt": ""},
    )
    report = json.loads(run("evaluate", "router", "--data", source, "--json")[1])
    assert (report["n"], report["rows_from_training"], report["unknown_labels"]) == (2, 1, {"made-up": 1})
    assert [one["where"] for one in report["refused"]] == ["d.jsonl:4"]
    status, out, _ = run("evaluate", "router", "--data", source)
    assert status == 0
    assert "warning: 1 of these rows were in the router's training data" in out
    assert "made-up" in out


# models, doctor, corpus


def test_models_list_json_names_every_shipped_router_with_its_figures(run, bench):
    status, out, err = run("models", "list", "--json")
    assert (status, err) == (0, "")
    found = {row["name"]: row for row in json.loads(out)}
    assert set(found) == set(bench.shipped_names())
    for name, row in found.items():
        router = bench.router(name)
        assert (row["router_sha256"], row["domains"], row["parameters"]) == (
            router.sha256,
            len(router.domains),
            router.parameters,
        )
        assert row["test"]["top1"] == router.metrics["top1"]
    assert [line.split()[0] for line in run("models", "list")[1].splitlines()] == bench.router_names()


@pytest.mark.real
def test_doctor_finds_this_installation_whole(run):
    status, out, _ = run("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(out)}
    assert status == 0
    assert {check["state"] for check in checks.values()} == {"ok"}
    assert {"python", "torch", "onnxruntime", "encoder", "router lab-47", "corpus", "state folder", "device"} <= set(checks)
    assert "serving auto" in checks["encoder"]["found"]
    assert len(run("doctor")[1].splitlines()) == len(checks)


def test_doctor_says_what_is_missing_and_exits_2(run, monkeypatch):
    monkeypatch.setenv("ROUTER_LAB_ENCODER", "/no/such/model")
    status, out, _ = run("doctor", "--json")
    encoder = next(check for check in json.loads(out) if check["name"] == "encoder")
    assert (status, encoder["state"]) == (2, "missing")
    assert "/no/such/model" in encoder["found"]
    assert encoder["fix"]


def test_corpus_health_of_a_good_file_exits_0_and_of_a_bad_one_2(run, tmp_path):
    good = jsonl(tmp_path / "good.jsonl", *({"prompt": text, "domain": domain} for text, domain in CLEAN))
    bad = jsonl(
        tmp_path / "bad.jsonl",
        {"prompt": "tempÃ©rature", "domain": "a"},
        {"prompt": ""},
        {"prompt": "same", "domain": "a"},
        {"prompt": "same", "domain": "b"},
    )
    status, out, _ = run("corpus", "health", good)
    assert (status, out.splitlines()[0].split(": ")[-1]) == (0, "healthy")
    status, out, _ = run("corpus", "health", bad)
    assert (status, out.splitlines()[0].split(": ")[-1]) == (2, "NOT healthy")
    assert "bad.jsonl:2 the prompt is empty" in out
    status, out, _ = run("corpus", "health", bad, "--json")
    report = json.loads(out)
    assert (status, report["healthy"], report["rows"], report["refused"]) == (2, False, 3, 1)
    assert {one["kind"]: one["count"] for one in report["findings"] if one["severity"] == "error" and one["count"]} == {
        "refused": 1,
        "mojibake": 1,
        "conflicting_duplicates": 1,
    }


# train


@pytest.fixture
def small(tmp_path):
    docker = [
        f"how do I {verb} a docker {noun}"
        for verb in ("build", "push", "prune", "tag")
        for noun in ("image", "volume", "network", "container", "registry")
    ]
    sql = [
        f"SQL query to {verb} the {noun}"
        for verb in ("count", "join", "update", "sort")
        for noun in ("users", "orders", "invoices", "products", "payments")
    ]
    return jsonl(
        tmp_path / "small.jsonl",
        *({"prompt": text, "domain": "docker"} for text in docker),
        *({"text": text, "label": "sql"} for text in sql),
        {"prompt": ""},
    )


@pytest.mark.real
def test_training_on_a_small_file_twice_writes_the_same_loadable_router(run, own_state, small, tmp_path):
    answers = []
    for name in ("a", "b"):
        status, out, err = run("train", "router", "--corpus", small, "--output", tmp_path / name, "--epochs", "5", "--json")
        assert (status, err) == (0, "")
        answers.append(json.loads(out))
    first, second = answers
    assert (
        first["router_sha256"]
        == second["router_sha256"]
        == sha256_file(tmp_path / "a" / "router.safetensors")
        == sha256_file(tmp_path / "b" / "router.safetensors")
    )
    assert first["account"]["domains"] == 2
    assert sum(first["account"]["rows"].values()) == 40
    assert first["account"]["refused"] == [{"where": "small.jsonl:41", "reason": "the prompt is empty"}]
    router = Router.load(tmp_path / "a")
    assert router.domains == ["docker", "sql"]
    assert router.ours["recipe"]["epochs"] == 5
    assert (own_state / "vectors.sqlite").is_file()
    answer = json.loads(run("route", "prune every unused docker image", "--router", tmp_path / "a", "--json")[1])
    assert answer["domains"][0]["domain"] == "docker"
    assert (answer["router"], answer["backend"] or "abstains") in (("a", "Qwen3-Coder-30B-A3B-Instruct-MLX-4bit"), ("a", "abstains"))


@pytest.mark.real
def test_another_seed_or_recipe_trains_other_weights_over_the_old_router(run, own_state, small, tmp_path):
    shas = []
    for options in ((), ("--seed", "43"), ("--recipe", "published")):
        status, out, _ = run("train", "router", "--corpus", small, "--output", tmp_path / "r", "--epochs", "2", *options)
        assert status == 0
        shas.append(sha256_file(tmp_path / "r" / "router.safetensors"))
        assert shas[-1] in out
        assert "refused small.jsonl:41: the prompt is empty" in out
    assert len(set(shas)) == 3


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_train_refuses_to_overwrite_what_is_no_router(run, small, tmp_path, kind):
    target = tmp_path / "precious"
    keep = target / "thesis.txt" if kind == "folder" else target
    keep.parent.mkdir(exist_ok=True)
    keep.write_text("years of work")
    status, out, err = run("train", "router", "--corpus", small, "--output", target)
    assert (status, out) == (1, "")
    assert "exists and is no router folder" in err
    assert keep.read_text() == "years of work"


# how it fails

WRONG = {
    "unknown router": (["route", "hello", "--router", "v6"], "There is no router 'v6'. Known are: lab-47"),
    "empty prompt": (["route", ""], "The prompt is empty."),
    "white space": (["route", " \n "], "only white space"),
    "nothing to route": (["route"], "Nothing to route."),
    "output without file": (["route", "hello", "--output", "{tmp}/out"], "--output goes with --file."),
    "file without output": (["route", "--file", "{tmp}/in.jsonl"], "--file needs --output"),
    "file and text": (["route", "hello", "--file", "{tmp}/in.jsonl", "--output", "{tmp}/out"], "--file needs --output and no TEXT"),
    "top-k": (["route", "hello", "--top-k", "0"], "--top-k is 0."),
    "file that is absent": (["route", "--file", "{tmp}/absent.jsonl", "--output", "{tmp}/out"], "absent.jsonl does not exist."),
    "file that is a folder": (["route", "--file", "{tmp}", "--output", "{tmp}/out"], "is a folder; a JSONL file was expected."),
    "router that is no folder": (["route", "hello", "--router", "{tmp}/in.jsonl"], "is not a folder."),
    "router without weights": (["route", "hello", "--router", "{tmp}"], "router.safetensors, meta.json, label_map.json missing"),
    "data that is absent": (["evaluate", "router", "--data", "{tmp}/absent.jsonl"], "absent.jsonl does not exist."),
    "data without a row": (["evaluate", "router", "--data", "{tmp}/none.jsonl"], "There are no rows to evaluate."),
    "labels nobody knows": (
        ["evaluate", "router", "--data", "{tmp}/odd.jsonl"],
        "None of the 1 labels is a domain of router lab-47 (e.g. made-up)",
    ),
    "corpus that is absent": (["corpus", "health", "{tmp}/absent"], "does not exist."),
    "corpus without files": (["corpus", "health", "{tmp}/empty"], "holds no *.jsonl file."),
    "recipe": (
        ["train", "router", "--corpus", "{tmp}/in.jsonl", "--output", "{tmp}/r", "--recipe", "best"],
        "There is no recipe 'best'. Known are: published, upstream, lab, hybrid.",
    ),
    "epochs": (["train", "router", "--corpus", "{tmp}/in.jsonl", "--output", "{tmp}/r", "--epochs", "0"], "epochs is 0."),
    "one label": (["train", "router", "--corpus", "{tmp}/in.jsonl", "--output", "{tmp}/r"], "there is only one label"),
    "encoder": (
        ["train", "router", "--corpus", "{tmp}/two.jsonl", "--output", "{tmp}/r", "--encoder", "nobody/nothing"],
        "Encoder 'nobody/nothing' is neither a folder",
    ),
    "route's output is a folder": (["route", "--file", "{tmp}/in.jsonl", "--output", "{tmp}/empty"], "{tmp}/empty"),
    "route's output is under a file": (["route", "--file", "{tmp}/in.jsonl", "--output", "{tmp}/in.jsonl/out"], "{tmp}/in.jsonl"),
    "train's output is under a file": (
        ["train", "router", "--corpus", "{tmp}/two.jsonl", "--output", "{tmp}/in.jsonl/r", "--epochs", "1"],
        "{tmp}/in.jsonl",
    ),
}


@pytest.mark.real
@pytest.mark.parametrize("wrong", WRONG)
def test_a_mistake_is_one_line_with_the_cause_and_exit_1(run, tmp_path, wrong):
    arguments, said = WRONG[wrong]
    jsonl(tmp_path / "in.jsonl", {"prompt": "hello", "domain": "docker"})
    jsonl(
        tmp_path / "two.jsonl",
        {"prompt": "hello", "domain": "docker", "split": "train"},
        {"prompt": "select", "domain": "sql", "split": "train"},
    )
    jsonl(tmp_path / "odd.jsonl", {"prompt": "hello", "domain": "made-up"})
    (tmp_path / "empty").mkdir()
    (tmp_path / "none.jsonl").write_text("")
    before = sorted(path.name for path in tmp_path.iterdir())
    status, out, err = run(*(one.replace("{tmp}", str(tmp_path)) for one in arguments))
    assert (status, out) == (1, "")
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert said.replace("{tmp}", str(tmp_path)) in err
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("ROUTER_LAB_PRECISION", "int4", "ROUTER_LAB_PRECISION is 'int4'."), ("ROUTER_LAB_ROUTER", "v6", "There is no router 'v6'.")],
)
def test_a_wrong_environment_is_one_line_too(run, monkeypatch, name, value, said):
    monkeypatch.setenv(name, value)
    status, out, err = run("route", "hello")
    assert (status, out) == (1, "")
    assert err.startswith(f"Error: {said}")


@pytest.mark.real
def test_a_state_folder_that_cannot_be_written_is_one_line_too(run, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ROUTER_LAB_HOME", str(tmp_path / "file" / "state"))
    status, out, err = run("evaluate", "router", "--data", jsonl(tmp_path / "in.jsonl", {"prompt": "hello", "domain": "docker"}))
    assert (status, out) == (1, "")
    assert err.splitlines()[-1].startswith("Error: ")
    assert "ROUTER_LAB_HOME" in err


def test_every_command_has_help(capsys):
    for arguments in (
        [],
        ["route"],
        ["train"],
        ["train", "router"],
        ["evaluate", "router"],
        ["corpus", "health"],
        ["models", "list"],
        ["doctor"],
        ["prepare"],
    ):
        with pytest.raises(SystemExit) as caught:
            main([*arguments, "--help"])
        assert caught.value.code == 0
        assert capsys.readouterr().out.startswith("usage: python -m lab")


def test_an_unknown_command_or_option_is_a_usage_error(capsys):
    for arguments in (["fly"], ["route", "hello", "--target", "0.5"], []):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
        assert "usage: python -m lab" in capsys.readouterr().err
