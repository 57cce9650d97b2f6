"""From endpoints to a selector that picks: by the command line, and by what the page calls."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.benchmark.plan import Plan
from lab.errors import AccessError, InputError
from lab.home import Home
from lab.settings import Settings
from lab.workbench import Workbench

sys.path.insert(0, os.path.dirname(__file__))
from fake_endpoint import ECHOED, FakeEndpoint, queries


@pytest.fixture
def server():
    with FakeEndpoint() as one:
        yield one


@pytest.fixture
def own_state(tmp_path, bench, monkeypatch):
    """A state folder of its own that shares the exported encoder."""
    state = tmp_path / "state"
    state.mkdir()
    if bench.home.encoders.exists():
        (state / "encoders").symlink_to(bench.home.encoders)
    monkeypatch.setenv("ROUTER_LAB_HOME", str(state))
    return state


@pytest.fixture
def shared(own_state, server, monkeypatch):
    """A workbench as on a server where the keeper has allowed this endpoint and one variable."""
    monkeypatch.setenv("ROUTER_LAB_PRIVATE_ENDPOINTS", f"127.0.0.1:{server.port}")
    monkeypatch.setenv("ROUTER_LAB_ENDPOINT_VARIABLES", "BENCH_TEST_KEY")
    monkeypatch.setenv("BENCH_TEST_KEY", ECHOED)
    for name in ("ROUTER_LAB_ENDPOINTS", "ROUTER_LAB_CODE_EVAL"):
        monkeypatch.delenv(name, raising=False)
    return Workbench(Home(state=own_state), Settings())


def models_yaml(server, *names, **more):
    entries = [{"name": name, "endpoint": server.url, "api_key": "${BENCH_TEST_KEY}", "price_input_per_1k_usd": 1, "price_output_per_1k_usd": 2} | more for name in names]
    return json.dumps({"models": entries})


def jsonl(rows):
    return "\n".join(json.dumps(row) for row in rows).encode()


def wait(true, seconds=180.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "this did not happen"
        time.sleep(0.05)


def lab(*arguments, **more):
    return subprocess.run([sys.executable, "-m", "lab", *map(str, arguments)], capture_output=True, text=True, cwd=Home().project, **more)


@pytest.mark.real
def test_run_kill_resume_score_train_pick(server, own_state, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_TEST_KEY", ECHOED)
    server.latency_s |= {"adder": 0.04, "speller": 0.04}
    (tmp_path / "models.yaml").write_text(models_yaml(server, "adder", "speller"))
    (tmp_path / "queries.jsonl").write_bytes(jsonl(queries(80)))
    rows = tmp_path / "out.jsonl"
    run = ["benchmark", "run", "--queries", tmp_path / "queries.jsonl", "--model-config", tmp_path / "models.yaml", "--output", rows, "--concurrency", "8"]

    process = subprocess.Popen([sys.executable, "-m", "lab", *map(str, run)], cwd=Home().project, stdout=subprocess.DEVNULL)
    wait(lambda: rows.exists() and rows.read_bytes().count(b"\n") > 40)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = rows.read_bytes().count(b"\n")
    assert before < 160

    done = lab(*run)
    assert done.returncode == 0, done.stderr
    assert "done: 160 of 160 answers" in done.stdout
    assert rows.read_bytes().count(b"\n") == 160
    assert sum(server.asked.values()) <= 160 + 8
    assert ECHOED not in done.stdout + done.stderr + rows.read_text()

    scored = lab("benchmark", "score", "--data", rows, "--output", tmp_path / "scored.jsonl")
    assert "160 rows, 0 scores changed" in scored.stdout, scored.stderr

    trained = lab("selectors", "train", "--data-file", tmp_path / "scored.jsonl", "--output-dir", tmp_path / "made", "--algorithm", "knn")
    assert trained.returncode == 0, trained.stderr
    picker = Workbench(Home(state=own_state), Settings())
    made = tmp_path / "made" / "selectors"
    assert picker.pick("What is 412 + 3?", made)[0].model == "adder"
    assert picker.pick("Spell word900x backwards", made)[0].model == "speller"


def test_a_run_of_the_page_survives_its_process_and_keeps_no_secret(shared, server):
    bench, anna = shared, shared.actor("Anna")
    server.latency_s["even"] = 0.05
    name = bench.start_benchmark(anna, models_yaml(server, "even"), jsonl(queries(120)), Plan(concurrency=4))
    wait(lambda: bench.benchmark_run(name).status.get("done", 0) > 10)
    assert bench.benchmark_run(name).phase == "running"
    with pytest.raises(InputError, match="under way"):
        bench.resume_benchmark(anna, name)

    bench.control_benchmark(anna, name, "pause")
    wait(lambda: bench.benchmark_run(name).phase == "paused")
    bench.control_benchmark(anna, name, "go on")
    wait(lambda: bench.benchmark_run(name).phase == "running")

    os.killpg(bench._children[f"run {name}"].pid, signal.SIGKILL)
    wait(lambda: bench.benchmark_run(name).phase == "interrupted")
    bench.resume_benchmark(anna, name)
    wait(lambda: bench.benchmark_run(name).phase == "done")
    results = bench.benchmark_results(name)
    assert results["by_model"][0]["answers"] == 120
    assert {line["category"] for line in results["by_category"]} == {"math", "other"}
    assert sum(server.asked.values()) <= 120 + 4

    written = [path for path in bench.benchmarks.rglob("*") if path.is_file()]
    assert len(written) > 5
    for path in written:
        assert ECHOED.encode() not in path.read_bytes(), path
    other = Workbench(bench.home, Settings())
    assert [(one.id, one.by, one.phase) for one in other.benchmark_runs()] == [(name, "Anna", "done")]


def test_cancel_keeps_what_was_answered_and_continue_asks_the_rest(shared, server):
    bench, anna = shared, shared.actor("Anna")
    server.latency_s["even"] = 0.05
    name = bench.start_benchmark(anna, models_yaml(server, "even"), jsonl(queries(100)), Plan(concurrency=2))
    wait(lambda: bench.benchmark_run(name).status.get("done", 0) > 3)
    bench.control_benchmark(anna, name, "cancel")
    wait(lambda: bench.benchmark_run(name).phase == "cancelled")
    kept = bench.benchmark_run(name).status["done"]
    assert 3 < kept < 100
    bench.resume_benchmark(anna, name)
    wait(lambda: bench.benchmark_run(name).phase == "done")
    assert sum(server.asked.values()) == 100


def test_a_run_that_stopped_at_its_budget_goes_on_with_a_larger_one(shared, server):
    bench, anna = shared, shared.actor("Anna")
    name = bench.start_benchmark(anna, models_yaml(server, "even"), jsonl(queries(20)), Plan(most_calls=7))
    wait(lambda: bench.benchmark_run(name).phase == "budget")
    assert (sum(server.asked.values()), bench.benchmark_run(name).about) == (7, "20 queries × 1 model")
    bench.resume_benchmark(anna, name, most_calls=15)
    wait(lambda: bench.benchmark_run(name).phase == "budget" and sum(server.asked.values()) > 7)
    assert (sum(server.asked.values()), bench.benchmark_plan(name).most_calls) == (15, 15)


def test_what_a_server_refuses_is_refused_before_and_inside_the_process(shared, server, monkeypatch):
    bench, anna = shared, shared.actor("Anna")
    with pytest.raises(InputError, match="api_key is written out"):
        bench.start_benchmark(anna, models_yaml(server, "even", api_key=ECHOED), jsonl(queries(2)), Plan())
    with pytest.raises(InputError, match="not enabled here"):
        bench.start_benchmark(anna, models_yaml(server, "even"), jsonl(queries(2)), Plan(code=True))
    assert bench.benchmark_runs() == []

    monkeypatch.setenv("ROUTER_LAB_PRIVATE_ENDPOINTS", "")
    found = bench.benchmark_health(anna, models_yaml(server, "even"))
    assert (found[0].ok, found[0].cause) == (False, "address")
    assert "127.0.0.1 is a private address" in found[0].message
    name = bench.start_benchmark(anna, models_yaml(server, "even"), jsonl(queries(2)), Plan())
    wait(lambda: bench.benchmark_run(name).phase == "failed")
    assert "private address" in bench.benchmark_run(name).status["message"]
    assert server.bodies == []


def test_only_a_maintainer_asks_endpoints(shared, server):
    viewer = Workbench(shared.home, Settings(unverified_role="curator"))
    ben = viewer.actor("Ben")
    for call in (
        lambda: viewer.benchmark_health(ben, models_yaml(server, "even")),
        lambda: viewer.start_benchmark(ben, models_yaml(server, "even"), jsonl(queries(2)), Plan()),
        lambda: viewer.import_benchmark(ben, b"", "a.jsonl"),
        lambda: viewer.control_benchmark(ben, "20260101-000000-abcd", "cancel"),
        lambda: viewer.resume_benchmark(ben, "20260101-000000-abcd"),
        lambda: viewer.train_on_benchmark(ben, "20260101-000000-abcd", "x"),
    ):
        with pytest.raises(AccessError, match="this needs a maintainer"):
            call()
    assert server.bodies == []


def test_a_process_that_takes_its_time_to_start_is_not_taken_for_dead(shared, server, monkeypatch):
    """Its first word may be long in coming on a busy machine; every workbench on this state sees it starting, and nobody starts a second."""
    bench, anna, other = shared, shared.actor("Anna"), Workbench(shared.home, Settings())
    popen = subprocess.Popen
    with monkeypatch.context() as patched:
        patched.setattr("lab.use_cases.benchmarking.subprocess.Popen", lambda command, **more: popen(["sleep", "600"], **more))
        name = bench.start_benchmark(anna, models_yaml(server, "even"), jsonl(queries(2)), Plan())
    asleep = bench._children[f"run {name}"]
    assert {one.benchmark_run(name).phase for one in (bench, other)} == {"starting"}
    with pytest.raises(InputError, match="under way"):
        other.resume_benchmark(anna, name)
    asleep.kill()
    asleep.wait()
    assert {one.benchmark_run(name).phase for one in (bench, other)} == {"interrupted"}
    other.resume_benchmark(anna, name)
    wait(lambda: bench.benchmark_run(name).phase == "done")


@pytest.mark.parametrize("name", ["..", "../..", "20260101-000000-abcd", "", "/etc"])
def test_a_run_is_named_by_its_id_alone(shared, name):
    with pytest.raises(InputError, match="There is no run"):
        shared.benchmark_results(name)


UPSTREAM = [
    {"query": "What is 2+2?", "category": "math", "model_name": "a", "response": "4", "ground_truth": "4", "performance": 1.0, "response_time": 0.5, "metric": "GSM8K"},
    {"query": "What is 2+2?", "category": "math", "model_name": "b", "response": "Error: Connection refused", "ground_truth": "4", "performance": 0.0, "response_time": 60.0},
    {"query": "What is 2+3?", "category": "math", "model_name": "b", "response": "6", "ground_truth": "5", "performance": 0.0, "response_time": 0.25, "metric": "GSM8K"},
    {"query": "", "model_name": "b", "performance": 1.0},
]


def test_outcomes_of_the_source_system_are_imported_with_failed_calls_apart(shared):
    name, read = shared.import_benchmark(shared.actor("Anna"), jsonl(UPSTREAM), "benchmark_output.jsonl")
    assert (len(read.rows), len(read.refused)) == (3, 1)
    assert shared.benchmark_run(name).phase == "imported"
    by_model = {one["model"]: one for one in shared.benchmark_results(name)["by_model"]}
    assert (by_model["a"]["n"], by_model["a"]["quality"], by_model["a"]["latency_s"]) == (1, 1.0, 0.5)
    assert (by_model["b"]["n"], by_model["b"]["failed"], by_model["b"]["latency_s"]) == (1, 1, 0.25)
    kept = [json.loads(line) for line in shared.benchmark_export(name, training=True).splitlines()]
    assert [(row["model_name"], row["performance"]) for row in kept] == [("a", 1.0), ("b", 0.0)]
    assert all(row["split"] in ("train", "test") for row in kept)


def test_import_and_score_on_the_command_line(tmp_path):
    (tmp_path / "up.jsonl").write_bytes(jsonl(UPSTREAM))
    assert "3 rows in" in lab("benchmark", "import", "--data", tmp_path / "up.jsonl", "--output", tmp_path / "rows.jsonl").stdout
    (tmp_path / "newer.jsonl").write_bytes(jsonl([{"query": "What is 2+3?", "ground_truth": "6", "metric": "GSM8K"}]))
    told = lab("benchmark", "score", "--data", tmp_path / "rows.jsonl", "--output", tmp_path / "again.jsonl", "--queries", tmp_path / "newer.jsonl", "--json")
    result = json.loads(told.stdout)
    assert (result["n"], result["changed"], result["failed"]) == (3, 1, 1)
    assert result["changes"] == [["What is 2+3?", "b", 0.0, 1.0]]
    again = lab("benchmark", "import", "--data", tmp_path / "up.jsonl", "--output", tmp_path / "rows.jsonl")
    assert (again.returncode, again.stderr.strip()) == (1, "Error: rows.jsonl exists. Name a new output.")


def test_check_and_dry_run_on_the_command_line(server, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_TEST_KEY", ECHOED)
    (tmp_path / "models.yaml").write_text(models_yaml(server, "even", "ill"))
    (tmp_path / "queries.jsonl").write_bytes(jsonl(queries(3)))
    checked = lab("benchmark", "check", "--model-config", tmp_path / "models.yaml")
    assert checked.returncode == 1
    assert "even: answers in" in checked.stdout
    assert "ill: authentication: HTTP 401: bad key Bearer [secret]" in checked.stdout
    asked = len(server.bodies)
    dry = lab("benchmark", "run", "--queries", tmp_path / "queries.jsonl", "--model-config", tmp_path / "models.yaml", "--dry-run", "--output", tmp_path / "none.jsonl")
    assert "3 queries × 2 models = 6 calls; cost at most $" in dry.stdout
    assert len(server.bodies) == asked
    assert not (tmp_path / "none.jsonl").exists()
    simple = lab("benchmark", "run", "--queries", tmp_path / "queries.jsonl", "--models", "even", "--endpoint", server.url, "--output", tmp_path / "o.jsonl", "--limit", "2", "--concise")
    assert "done: 2 of 2 answers" in simple.stdout, simple.stderr
    missing = lab("benchmark", "check", "--model-config", tmp_path / "models.yaml", env={key: value for key, value in os.environ.items() if key != "BENCH_TEST_KEY"})
    assert missing.stderr.startswith("Error: models.yaml, model even: the variable BENCH_TEST_KEY is not set.")


@pytest.mark.real
def test_one_click_trains_selectors_that_the_lab_then_lists(shared, server):
    bench, anna = shared, shared.actor("Anna")
    name = bench.start_benchmark(anna, models_yaml(server, "adder", "speller"), jsonl(queries(80)), Plan(concurrency=8))
    wait(lambda: bench.benchmark_run(name).phase == "done")
    bench.train_on_benchmark(anna, name, "mine")
    wait(lambda: bench.benchmark_training(name)["phase"] in ("done", "failed"), 600)
    told = bench.benchmark_training(name)
    assert told["phase"] == "done", (told, Path(bench.benchmarks / name / "log.txt").read_text()[-2000:])
    assert told["n"] + told["held_out_n"] == 80
    assert "mine" in bench.selector_names()
    assert bench.pick("What is 77 + 3?", "mine")[0].model == "adder"
    with pytest.raises(InputError, match="selectors 'mine' already"):
        bench.train_on_benchmark(anna, name, "mine")
