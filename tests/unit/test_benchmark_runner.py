"""The runner against a real HTTP server that behaves well and badly."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest

from lab.benchmark.endpoints import read_models
from lab.benchmark.ledger import Ledger, Place, is_running, read_rows
from lab.benchmark.plan import Plan
from lab.benchmark.queries import parse_queries
from lab.benchmark.rules import Rules
from lab.benchmark.runner import run
from lab.errors import ArtefactError, InputError

sys.path.insert(0, os.path.dirname(__file__))
from fake_endpoint import ECHOED, FakeEndpoint, queries

PRICES = {"price_input_per_1k_usd": 1, "price_output_per_1k_usd": 2}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr("lab.benchmark.limits.FIRST_WAIT_S", 0.05)


@pytest.fixture
def server():
    with FakeEndpoint() as one:
        yield one


def models_of(server, *names, **fields):
    entries = [{"name": name, "endpoint": server.url, "retries": 2, "timeout_s": 5} | PRICES | fields for name in names]
    return read_models(json.dumps({"models": entries}), {"KEY": ECHOED}, Rules.own())


def asked(n=6, start=0):
    return parse_queries("\n".join(json.dumps(row) for row in queries(n, start)).encode()).rows


def started(server, tmp_path, names, n=6, plan=None, **fields):
    place = Place.of_output(tmp_path / "rows.jsonl")
    status = run(models_of(server, *names, **fields), asked(n), place, plan or Plan(concurrency=8), Rules.own())
    return status, list(read_rows(place.rows))


def test_every_model_answers_every_query_once_with_score_tokens_and_cost(server, tmp_path):
    status, rows = started(server, tmp_path, ["adder", "speller"], 20)
    assert (status["phase"], status["done"], status["calls"], status["failed"]) == ("done", 40, 40, 0)
    assert set(server.asked.values()) == {1}
    assert status["models"]["adder"]["scored"] == 20
    sums = [row["performance"] for row in rows if row["model_name"] == "adder" and row["category"] == "math"]
    words = [row["performance"] for row in rows if row["model_name"] == "adder" and row["category"] == "other"]
    assert sum(sums) > sum(words)
    one = next(row for row in rows if row["model_name"] == "adder" and row["query"] == "What is 1 + 1?")
    assert (one["prompt_tokens"], one["completion_tokens"], one["ground_truth"], one["metric"]) == (5, 4, "2", "GSM8K")
    assert one["cost"] == pytest.approx(5 / 1000 * 1 + 4 / 1000 * 2)
    assert one["response"].startswith("The answer is")
    assert 0.004 <= one["response_time"] < 5
    assert 0 < one["time_to_first_token_s"] <= one["response_time"]


@pytest.mark.parametrize("fault", ["flaky", "broken-json", "cut-stream", "cut-body", "error-inside"])
def test_a_fault_that_passes_is_tried_again_outside_the_latency(server, tmp_path, fault):
    server.latency_s[fault] = 0.02
    status, rows = started(server, tmp_path, [fault], 4)
    assert (status["failed"], status["calls"]) == (0, 8)
    for row in rows:
        assert row["attempts"] == 2
        assert row["performance"] == 1.0
        assert row["response_time"] < 0.5
    waited = sum(row["retry_wait_s"] for row in rows)
    assert waited > 0
    assert sum(row["response_time"] for row in rows) < waited + 4 * 0.5


def test_loading_certificates_is_neither_latency_nor_time_out(server, tmp_path, monkeypatch):
    import httpx2

    make = httpx2.create_ssl_context
    monkeypatch.setattr("lab.benchmark.client.httpx2.create_ssl_context", lambda **more: time.sleep(0.6) or make(**more))
    status, _ = started(server, tmp_path, ["even"], 2, timeout_s=0.5, retries=0)
    assert (status["done"], status["failed"]) == (2, 0)
    assert status["health"][0]["latency_s"] < 0.5


@pytest.mark.parametrize(
    ("fault", "cause", "calls"),
    [
        ("dead", "server error", 3), ("shapeless", "malformed", 3), ("hang", "timeout", 3), ("drip", "timeout", 3),
        ("huge", "too large", 1), ("moved", "redirect", 1),
    ],
)  # fmt: skip
def test_a_fault_that_stays_is_a_failed_row_with_its_cause(server, tmp_path, fault, cause, calls):
    status, rows = started(server, tmp_path, [fault, "even"], 2, timeout_s=0.4 if cause == "timeout" else 5)
    failed = [row for row in rows if row["model_name"] == fault]
    assert [row["cause"] for row in failed] == [cause] * 2
    assert all(row["performance"] is None and "response_time" not in row and row["response"].startswith("Error: ") for row in failed)
    assert server.asked[fault, "What is 1 + 1?"] == calls
    assert status["causes"][cause]["models"] == {fault: 2}
    assert status["models"]["even"]["ok"] == 2


def test_failed_rows_are_left_out_by_the_selectors_reader(server, tmp_path):
    from lab.selector.records import read_outcomes

    started(server, tmp_path, ["dead", "even"], 4)
    outcomes = read_outcomes(tmp_path / "rows.jsonl")
    assert (len(outcomes.rows), outcomes.failed) == (4, 4)
    assert {row.model for row in outcomes.rows} == {"even"}


def test_429_pauses_the_address_for_what_it_asked(server, tmp_path):
    status, rows = started(server, tmp_path, ["limited"], 8)
    assert status["failed"] == 0
    again = [row for row in rows if row["attempts"] > 1]
    assert again
    assert all(row["retry_wait_s"] >= 0.3 and row["response_time"] < 0.3 for row in again)


def test_concurrency_and_rate_of_an_address_hold(server, tmp_path):
    server.latency_s |= {"a": 0.03, "b": 0.03}
    started(server, tmp_path, ["a", "b"], 10, concurrency=3)
    assert server.most_at_once["a"] + server.most_at_once["b"] <= 6
    assert max(server.most_at_once.values()) <= 3
    begun = time.monotonic()
    started(server, tmp_path / "two", ["c"], 6, requests_per_minute=1200)
    assert time.monotonic() - begun >= 5 * 0.05
    gaps = [later - earlier for earlier, later in zip(server.times["c"], server.times["c"][1:], strict=False)]
    assert sum(gaps) >= 5 * 0.05 * 0.9


def test_calls_that_waited_for_a_place_start_at_the_rate_of_their_address_and_after_its_pause():
    from lab.benchmark.endpoints import Endpoint
    from lab.benchmark.limits import Pace

    starts = []

    async def go():
        gate, pace = asyncio.Semaphore(1), Pace([Endpoint("m", "http://x/v1", "m", requests_per_minute=3000)], 4)
        await gate.acquire()  # a slow call to another address

        async def call():
            await pace.turn(gate)
            starts.append(time.monotonic())
            gate.release()

        calls = [asyncio.create_task(call()) for _ in range(4)]
        await asyncio.sleep(0.1)
        pace.pause(0.2)
        paused = time.monotonic()
        gate.release()
        await asyncio.gather(*calls)
        return paused

    paused = asyncio.run(go())
    assert starts[0] - paused >= 0.199
    assert min(later - earlier for earlier, later in itertools.pairwise(starts)) >= 0.019


def test_the_overall_concurrency_holds_over_all_addresses(tmp_path):
    with FakeEndpoint() as one, FakeEndpoint() as two:
        one.latency_s["x"] = two.latency_s["y"] = 0.02
        two.together = one.together
        entries = [{"name": "x", "endpoint": one.url}, {"name": "y", "endpoint": two.url}]
        models = read_models(json.dumps({"models": entries}), {}, Rules.own())
        run(models, asked(10), Place.of_output(tmp_path / "rows.jsonl"), Plan(concurrency=2), Rules.own())
        assert one.together[1] == 2


def test_a_budget_of_calls_and_of_cost_is_never_passed_and_a_resume_goes_on(server, tmp_path):
    status, _ = started(server, tmp_path, ["flaky"], 10, Plan(concurrency=4, most_calls=7))
    assert (status["phase"], sum(server.asked.values())) == ("budget", 7)
    status, rows = started(server, tmp_path, ["flaky"], 10, Plan(concurrency=4))
    assert (status["phase"], len(rows)) == ("done", 10)

    most = 0.5
    status, rows = started(server, tmp_path / "cost", ["even"], 50, Plan(concurrency=4, most_usd=most), max_tokens=20)
    assert status["phase"] == "budget"
    assert 0 < sum(row["cost"] for row in rows) <= most
    assert len(rows) < 50


def test_a_cost_budget_without_prices_is_refused(server, tmp_path):
    with pytest.raises(InputError, match="no prices for even"):
        started(server, tmp_path, ["even"], 2, Plan(most_usd=1), price_input_per_1k_usd=None)
    assert not server.asked


def test_an_unhealthy_model_stops_the_run_before_the_first_query(server, tmp_path):
    with pytest.raises(InputError, match=r"1 of 2 models do not answer: ill: authentication: HTTP 401"):
        started(server, tmp_path, ["ill", "even"])
    assert not server.asked
    status, rows = started(server, tmp_path, ["ill", "even"], plan=Plan(skip_unhealthy=True))
    assert status["phase"] == "stopped"
    assert {row["model_name"] for row in rows} == {"even"}
    assert "authentication" in status["left_out"]["ill"]


def test_a_model_that_only_fails_is_given_up(server, tmp_path):
    status, _ = started(server, tmp_path, ["dead", "even"], 30, Plan(concurrency=2, give_up_after=3), retries=0)
    assert status["models"]["dead"]["failed"] <= 5
    assert status["models"]["even"]["ok"] == 30
    assert "given up after" in status["left_out"]["dead"]


def test_how_a_model_streams_is_found_by_the_health_check(server, tmp_path):
    status, rows = started(server, tmp_path, ["plain", "no-usage", "even"], 2)
    assert [one["mode"] for one in status["health"]] == ["plain", "plain", "stream with usage"]
    assert all("cost" not in row for row in rows if row["model_name"] == "no-usage")
    assert status["models"]["no-usage"]["cost_unknown"] == 2


def test_failed_rows_are_asked_again_only_if_wished(server, tmp_path):
    started(server, tmp_path, ["hang"], 2, timeout_s=0.2, retries=0)
    started(server, tmp_path, ["hang"], 2, timeout_s=0.2, retries=0)
    assert set(server.asked.values()) == {1}
    status, rows = started(server, tmp_path, ["hang"], 2, Plan(retry_failed=True), timeout_s=0.2, retries=0)
    assert set(server.asked.values()) == {2}
    assert (status["failed"], len(rows)) == (2, 2)


def test_a_finished_run_started_again_asks_nobody(server, tmp_path):
    started(server, tmp_path, ["even"])
    before = len(server.bodies)
    status, _ = started(server, tmp_path, ["even"])
    assert (status["phase"], status["done"], len(server.bodies)) == ("done", 6, before)


def test_more_queries_and_models_join_a_run_but_other_requests_do_not(server, tmp_path):
    started(server, tmp_path, ["even"], 4)
    status, rows = started(server, tmp_path, ["even", "adder"], 6)
    assert (status["done"], len(rows)) == (12, 12)
    assert server.asked["even", "What is 1 + 1?"] == 1
    with pytest.raises(InputError, match="12 answers to other requests"):
        started(server, tmp_path, ["even", "adder"], 6, temperature=0.7)


def test_a_torn_last_line_is_cut_and_asked_again(server, tmp_path):
    started(server, tmp_path, ["even"], 4)
    path = tmp_path / "rows.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    status, rows = started(server, tmp_path, ["even"], 4)
    assert (status["done"], len(rows)) == (4, 4)
    assert status["cut_bytes"] > 0
    assert path.read_bytes().startswith(whole[: whole[:-1].rfind(b"\n") + 1])


def test_two_runs_cannot_write_the_same_rows(tmp_path):
    place = Place.of_output(tmp_path / "rows.jsonl")
    assert not is_running(place)
    ledger = Ledger(place)
    assert is_running(place)
    with pytest.raises(InputError, match="Another run is writing"):
        Ledger(place)
    ledger.close()
    assert not is_running(place)


def test_a_full_disk_leaves_whole_rows_and_a_sentence(server, tmp_path, monkeypatch):
    written = os.write

    def full(handle, data):
        if b'"model_name"' in data and os.fstat(handle).st_size > 900:
            written(handle, data[:10])
            raise OSError(28, "No space left on device")
        return written(handle, data)

    monkeypatch.setattr("lab.benchmark.ledger.os.write", full)
    with pytest.raises(ArtefactError, match=r"No space left on device.*it continues"):
        started(server, tmp_path, ["even"], 20)
    monkeypatch.undo()
    assert (tmp_path / "rows.jsonl").read_bytes().endswith(b"}\n")
    status, rows = started(server, tmp_path, ["even"], 20)
    assert (status["done"], len(rows)) == (20, 20)


def test_pause_resume_and_cancel_by_the_control_file(server, tmp_path):
    import threading

    server.latency_s["even"] = 0.05
    place, seen, result = Place.of_output(tmp_path / "rows.jsonl"), [], {}
    thread = threading.Thread(
        target=lambda: result.update(run(models_of(server, "even"), asked(400), place, Plan(concurrency=2), Rules.own(), seen.append))
    )
    thread.start()
    wait(lambda: seen and seen[-1]["done"] > 4)
    place.control.write_text("pause")
    wait(lambda: seen[-1]["phase"] == "paused")
    time.sleep(0.3)
    count = sum(server.asked.values())
    beat = seen[-1]["heartbeat"]
    wait(lambda: seen[-1]["heartbeat"] > beat + 1)
    assert sum(server.asked.values()) == count
    place.control.write_text("")
    wait(lambda: sum(server.asked.values()) > count)
    place.control.write_text("cancel")
    thread.join(120)
    assert result["phase"] == "cancelled"
    assert result["done"] == len(list(read_rows(place.rows))) == sum(server.asked.values()) < 400


def wait(true, seconds=120):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "this did not happen"
        time.sleep(0.02)


CHILD = """
import json, sys
sys.path[:0] = {path!r}
from test_benchmark_runner import asked, models_of
from lab.benchmark.ledger import Place
from lab.benchmark.plan import Plan
from lab.benchmark.rules import Rules
from lab.benchmark.runner import run
from pathlib import Path
class Server: url = {url!r}
status = run(models_of(Server, "adder", "even"), asked(150), Place.of_output(Path({output!r})), Plan(concurrency=8), Rules.own())
print(json.dumps(status))
"""


def test_killed_again_and_again_it_neither_loses_nor_repeats_a_written_answer(server, tmp_path, project):
    server.latency_s |= {"adder": 0.03, "even": 0.03}
    output = tmp_path / "rows.jsonl"
    script = CHILD.format(path=[str(project), os.path.dirname(__file__)], url=server.url, output=str(output))
    held, kept = 0, []
    for kill_at in (20, 120):
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL)
        wait(lambda: output.exists() and output.read_bytes().count(b"\n") >= kill_at)  # noqa: B023
        process.send_signal(signal.SIGKILL)
        process.wait()
        status = json.loads((tmp_path / "rows.jsonl.run" / "status.json").read_text())
        lines = [line for line in output.read_bytes().split(b"\n") if line.endswith(b"}")]
        assert len(lines) >= max(status["done"], held), "what was told as done is on disk"
        held = len(lines)
        kept.append((Counter(server.asked), [json.loads(line) for line in lines]))
    last = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    status = json.loads(last.stdout)
    rows = list(read_rows(output))
    assert (status["phase"], len(rows), status["done"]) == ("done", 300, 300)
    assert output.read_bytes().count(b"\n") == 300, "no row twice"
    for asked_then, rows_then in kept:
        for row in rows_then:
            key = row["model_name"], row["query"]
            assert server.asked[key] == asked_then[key], "a written answer is never asked for again"
    assert 300 <= sum(server.asked.values()) <= 300 + status["interrupted"], "only what was under way at a kill was asked twice"
    assert status["interrupted"] <= 2 * 8
    assert status["calls"] == 300 + status["interrupted"]


def test_no_secret_is_in_anything_that_is_written(server, tmp_path, caplog, capfd):
    caplog.set_level(0)
    fields = {"api_key": "${KEY}", "headers": {"X-Token": "${KEY}"}}
    status, rows = started(server, tmp_path, ["echo", "even"], 2, **fields)
    assert ECHOED in json.dumps(server.bodies), "the key was really sent"
    assert "[secret]" in rows[0]["response"] + rows[-1]["response"]
    with pytest.raises(InputError) as error:
        started(server, tmp_path / "ill", ["ill"], 2, **fields)
    out = capfd.readouterr()
    told = str(error.value) + json.dumps(status) + caplog.text + out.out + out.err + repr(models_of(server, "even", **fields))
    assert ECHOED not in told
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or ECHOED.encode() not in path.read_bytes(), path


def test_memory_stays_flat_over_many_calls_at_once(tmp_path):
    from benchmarks.endpoint_runner import FAKE, measured
    from benchmarks.endpoint_runner import asked as sums

    other = subprocess.Popen([sys.executable, str(FAKE)], stdout=subprocess.PIPE, text=True)
    try:
        url = f"http://127.0.0.1:{int(other.stdout.readline())}/v1"
        found = measured(url, sums(1_000), 64, tmp_path, False)
    finally:
        other.kill()
        other.wait()
    assert found["rows"] == found["done"] == 1_000
    assert found["grown_mb"] < 10
    assert found["cpu_ms"] < 20


def test_results_count_failed_and_unscored_apart_and_compare_on_shared_queries(tmp_path):
    from lab.benchmark.results import interval, summary

    rows = [
        {"query": "1", "model_name": "a", "category": "math", "performance": 1.0, "response_time": 1.0, "status": "ok", "cost": 0.5},
        {"query": "2", "model_name": "a", "category": "law", "performance": 0.0, "response_time": 3.0, "status": "ok"},
        {"query": "3", "model_name": "a", "category": "law", "performance": None, "response_time": 5.0, "status": "ok"},
        {"query": "1", "model_name": "b", "category": "math", "performance": 0.5, "response_time": 2.0, "status": "ok"},
        {"query": "2", "model_name": "b", "category": "law", "performance": None, "status": "failed"},
        {"query": "1", "model_name": "dead", "category": "math", "performance": None, "status": "failed"},
    ]
    found = summary(rows)
    by_model = {one["model"]: one for one in found["by_model"]}
    assert (by_model["a"]["n"], by_model["a"]["answers"], by_model["a"]["quality"], by_model["a"]["quality_shared"]) == (2, 3, 0.5, 1.0)
    assert (by_model["a"]["latency_p50_s"], by_model["a"]["cost_usd"], by_model["a"]["costed"]) == (3.0, 0.5, 1)
    assert (by_model["b"]["failed"], by_model["b"]["n"], by_model["dead"]["quality"]) == (1, 1, None)
    assert (found["shared"], found["compared"]) == (1, 2)
    low, high = interval(np.array([0.0, 1.0] * 50))
    assert low == pytest.approx(0.404, abs=0.001)
    assert high == pytest.approx(0.596, abs=0.001)
    low, high = interval(np.array([0.2, 0.4, 0.9] * 30))
    assert 0.35 < low < 0.5 < high < 0.65
    assert interval(np.array([1.0])) == (None, None)


def code_query():
    return parse_queries(json.dumps({"query": "Write add(a, b) in Python", "ground_truth": "['assert add(1, 2) == 3', 'assert add(2, 2) == 5']", "metric": "code_eval"}).encode()).rows


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the filter is written for x86-64")
def test_code_is_run_only_if_the_plan_says_so(server, tmp_path):
    answer = "```python\ndef add(a, b):\n    return a + b\n```"
    server.said = lambda model, text: answer
    for code, score, rule in ((False, None, "code_eval is off"), (True, 0.5, "code_eval: ran")):
        place = Place.of_output(tmp_path / f"{code}.jsonl")
        run(models_of(server, "even", stream=False), code_query(), place, Plan(code=code), Rules.own())
        row = next(read_rows(place.rows))
        assert (row["performance"], row["rule"], row["response"]) == (score, rule, answer)


def test_where_code_cannot_be_isolated_the_run_ends_before_the_first_call(server, tmp_path, monkeypatch):
    monkeypatch.setattr("lab.benchmark.sandbox._run", lambda code, tests: __import__("lab.benchmark.sandbox", fromlist=["Result"]).Result(0, 1, "killed"))
    from lab.benchmark.sandbox import unavailable

    unavailable.cache_clear()
    with pytest.raises(InputError, match="cannot be isolated here"):
        run(models_of(server, "even"), code_query(), Place.of_output(tmp_path / "rows.jsonl"), Plan(code=True), Rules.own())
    assert server.bodies == []
    unavailable.cache_clear()
