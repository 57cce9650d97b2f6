"""Traffic, the diff, and a change of the taxonomy with its way back, on both databases."""

from __future__ import annotations

import json

import pytest

from lab.curation import events as log
from lab.curation.events import Change
from lab.curation.state import State
from lab.curation.taxonomy_draft import Draft
from lab.taxonomy import Domain
from tests.unit.curation_bench import made


@pytest.fixture
def bench(url, tmp_path, fake_encoder):
    opened = made(tmp_path, fake_encoder, database_url=url if isinstance(url, str) else "")
    assert opened.database.dialect == ("postgresql" if isinstance(url, str) else "sqlite")
    yield opened
    opened.database.close()


def test_the_life_of_a_curation_set(bench):
    anna = bench.actor("Anna")
    records = [{"prompt": f"boat sail {n}", "time": f"2026-11-0{1 + n % 9}T10:00:00", "feedback": "good"} for n in (1, 2, 2)]
    done = bench.apply_traffic(anna, bench.plan_traffic("\n".join(map(json.dumps, records)).encode(), "log.jsonl"))
    assert (done.new, done.queued) == (2, 2)
    summary = bench.traffic_summary()
    assert (summary.prompts, summary.requests, summary.unlabelled, summary.first_at[:10], summary.last_at[:10]) == (2, 3, 2, "2026-11-02", "2026-11-03")
    assert [(row.count, row.feedback, len(row.top)) for row in bench.traffic_rows(unlabelled=True)] == [(2, ("good",), 3), (1, ("good",), 3)]

    one, two = [prompt_id for prompt_id, _ in bench.prompts_of("sea")[:2]]
    batch = bench.apply_batch(anna, "to sky", [Change(prompt_id, State("sea"), State("sky"), "it flies") for prompt_id in (one, two)])
    assert {(change.prompt.id, change.after.domain, change.reason) for change in bench.changes()} == {(one, "sky", "it flies"), (two, "sky", "it flies")}
    assert bench.flows(bench.changes())["sea"].left == 2 and bench.people_since() == {"Anna": 4}
    assert [len(bench.decisions(batch_id=batch.id)), len(bench.decisions(who="Ben")), len(bench.decisions(limit=3))] == [2, 0, 3]

    bench.apply_taxonomy(anna, Draft("rename", 1, ("sea",), (Domain("ocean", "", "", None, ()),)))
    assert bench.revert_preview(batch.id).moves == {("sky", "ocean"): 2}
    assert bench.revert_batch(anna, batch.id).applied == 2
    bench.revert_taxonomy(anna, 2)
    assert bench.changes() == [] and bench.strays() == [] and bench.taxonomy.version == 3
    with bench.database.read() as connection:
        assert log.wrong_folds(connection) == []
