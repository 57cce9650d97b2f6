"""Gateway logs: masked before they are stored, scored in one pass, queued, counted, and offered as new domains."""

from __future__ import annotations

import json

import pytest

from lab.curation import batches
from lab.curation import prompts as prompt_store
from lab.errors import AccessError, InputError
from tests.unit.curation_bench import made


@pytest.fixture
def bench(tmp_path, fake_encoder):
    opened = made(tmp_path, fake_encoder)
    yield opened
    opened.database.close()


@pytest.fixture
def anna(bench):
    return bench.actor("Anna")


def log(*records: dict) -> bytes:
    return "\n".join(json.dumps(one) for one in records).encode()


SAID = log(
    {"prompt": "kite wind cloud storm bird", "ts": "2026-11-01T10:00:00", "domain": "sea", "score": 0.5},
    {"prompt": "kite wind cloud storm bird", "ts": "2026-11-03T10:00:00", "domain": "sky", "score": 0.9, "feedback": "good"},
    {"prompt": "write to anna@example.org about boats", "ts": "2026-11-02T10:00:00"},
    {"nothing": 1},
)


def stored(bench):
    with bench.database.read() as connection:
        return prompt_store.everything(connection, origin="traffic")


def test_a_preview_says_what_would_come_in_and_writes_nothing(bench):
    plan = bench.plan_traffic(SAID, "log.jsonl", {"time": "ts"})
    assert (plan.reading.read, len(plan.new), plan.known, len(plan.reading.refused)) == (4, 2, 0, 1)
    assert plan.reading.masked == {"email": 1}
    assert stored(bench) == []


def test_an_import_stores_masked_prompts_without_a_label_in_one_batch_and_fills_the_queue(bench, anna):
    done = bench.apply_traffic(anna, bench.plan_traffic(SAID, "log.jsonl", {"time": "ts"}))
    pairs = stored(bench)
    assert {prompt.text for prompt, _ in pairs} == {"kite wind cloud storm bird", "write to ⟨email⟩ about boats"}
    assert all(state.domain is None and state.routable for _, state in pairs)
    assert {event.batch_id for prompt, _ in pairs for event in bench.history(prompt.id)} == {done.batch_id}
    waiting = bench.peek("from-traffic")
    assert len(waiting) == done.queued == 2
    assert {prompt.id for prompt, _, _ in waiting} == {prompt.id for prompt, _ in pairs}


def test_each_prompt_keeps_what_the_gateway_and_the_router_said(bench, anna):
    bench.apply_traffic(anna, bench.plan_traffic(SAID, "log.jsonl", {"time": "ts"}))
    first = bench.traffic_rows()[0]
    assert (first.count, first.domain, first.score, first.feedback) == (2, "sky", 0.9, ("good",))
    assert (first.first_at[:10], first.last_at[:10]) == ("2026-11-01", "2026-11-03")
    assert first.top[0][0] == "sky" and 0 < first.top[0][1] <= 1
    event = bench.history(first.prompt.id)[0]
    assert event.model["router"] == "tiny" and event.model["top"][0][0] == "sky"


def test_prompts_seen_again_are_counted_on_and_keep_their_label(bench, anna):
    bench.apply_traffic(anna, bench.plan_traffic(SAID, "log.jsonl", {"time": "ts"}))
    kite = next(prompt for prompt, _ in stored(bench) if "kite" in prompt.text)
    bench.apply_batch(anna, "kite", [_change(bench, kite.id, "sky")])
    later = log({"prompt": "kite wind cloud storm bird", "ts": "2026-12-01T10:00:00", "domain": "ground"}, {"prompt": "sail a boat at sea"})
    done = bench.apply_traffic(anna, bench.plan_traffic(later, "later.jsonl", {"time": "ts"}))
    assert (done.new, done.known) == (1, 1)
    row = next(one for one in bench.traffic_rows() if one.prompt.id == kite.id)
    assert (row.count, row.domain, row.state.domain, row.last_at[:10]) == (3, "ground", "sky", "2026-12-01")
    summary = bench.traffic_summary()
    assert (summary.prompts, summary.requests, summary.unlabelled) == (3, 5, 2)


def _change(bench, prompt_id, domain):
    from lab.curation.events import Change
    from lab.curation.state import State

    return Change(prompt_id, bench.state([prompt_id])[prompt_id][1], State(domain))


def test_the_same_file_is_not_counted_twice(bench, anna):
    bench.apply_traffic(anna, bench.plan_traffic(SAID, "log.jsonl", {"time": "ts"}))
    again = bench.plan_traffic(SAID, "copy.jsonl", {"time": "ts"})
    assert again.before is not None and again.before.who == "Anna"
    with pytest.raises(InputError, match=r"imported on .* by Anna"):
        bench.apply_traffic(anna, again)
    with bench.database.read() as connection:
        assert sum(one.kind == "traffic" for one in batches.everything(connection)) == 1


def test_a_prompt_of_the_corpus_in_the_traffic_keeps_its_label_and_is_only_counted(bench, anna):
    text = bench.corpus.rows[0].text
    done = bench.apply_traffic(anna, bench.plan_traffic(log({"prompt": text}), "log.jsonl"))
    assert (done.new, done.known) == (0, 1)
    row = bench.traffic_rows()[0]
    assert row.state.domain == bench.corpus.rows[0].domain and row.prompt.origin == "corpus" and row.top == ()


def test_a_log_without_a_prompt_and_a_viewer_are_refused(bench, anna):
    with pytest.raises(InputError, match="no prompt"):
        bench.apply_traffic(anna, bench.plan_traffic(log({"x": 1}), "log.jsonl"))
    with pytest.raises(InputError, match="no field 'colour'"):
        bench.plan_traffic(SAID, "log.jsonl", {"colour": "ts"})
    viewer = bench.actor("eve@example.org", verified=True)
    with pytest.raises(AccessError, match="needs a curator"):
        bench.apply_traffic(viewer, bench.plan_traffic(SAID, "log.jsonl"))
    assert stored(bench) == []


def test_groups_of_unrouted_prompts_are_offered_with_their_ids(bench, anna):
    records = [{"prompt": f"sourdough starter flour recipe {word}"} for word in "abcdefghijklmnopqrstuvwx"]
    records += [{"prompt": f"violin bow rosin concert {word}"} for word in "abcdefghijklmnopqrstuvwx"]
    bench.apply_traffic(anna, bench.plan_traffic(log(*records), "log.jsonl"))
    found = bench.new_domains()
    assert found.waiting == 48 and found.unrouted >= 24
    offered = {one for group in found.offered for one in group.ids}
    assert offered and offered <= {prompt.id for prompt, _ in stored(bench)}
    assert all(len(group.samples) and group.name not in bench.taxonomy.by_name for group in found.offered)


# the command


@pytest.fixture
def run(bench, monkeypatch, capsys):
    import argparse

    from lab.cli import traffic

    monkeypatch.setattr(traffic, "workbench", lambda: bench)

    def call(*words: str) -> tuple[int, str]:
        top = argparse.ArgumentParser()
        traffic.add(top.add_subparsers())
        options = top.parse_args(["traffic", *words])
        return options.run(options), capsys.readouterr().out

    return call


def test_the_command_previews_and_imports(bench, run, tmp_path):
    file = tmp_path / "log.jsonl"
    file.write_bytes(SAID)
    status, out = run("import", str(file), "--map", "time=ts", "--dry-run")
    assert status == 0 and "2 new, 0 in the curation set already" in out and "masked: 1 email" in out and stored(bench) == []
    _, out = run("import", str(file), "--map", "time=ts", "--who", "Anna")
    assert "2 wait in the queue from-traffic" in out and len(stored(bench)) == 2
    with pytest.raises(InputError, match="--map ts"):
        run("import", str(file), "--map", "ts")


def test_the_command_lists_what_is_masked(run):
    _, out = run("masks")
    assert "⟨email⟩" in out and "⟨iban⟩" in out
