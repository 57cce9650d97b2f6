"""The golden set: kept out of the corpus, and passed by the routers that are shipped."""

import json

import numpy as np
import pytest

from lab.corpus.duplicates import THRESHOLD, fold, grams
from lab.errors import InputError
from lab.files import sha256_file
from lab.release.golden import read_golden, reserved_ids, run_golden
from lab.taxonomy import Taxonomy


@pytest.fixture(scope="module")
def golden(project):
    return read_golden(project / "models" / "golden.jsonl")


def test_the_golden_set_is_whole_and_asks_of_every_domain(project, golden):
    record = json.loads((project / "models" / "golden.PROVENANCE.json").read_text(encoding="utf-8"))
    assert record["sha256"] == sha256_file(project / "models" / "golden.jsonl") and record["prompts"] == len(golden)
    assert {one.domain for one in golden} == set(Taxonomy.load(project / "models" / "taxonomy.json").by_name)
    assert (
        reserved_ids(project / "models" / "golden.jsonl") == {one.text_id for one in golden}
        and reserved_ids(project / "none") == frozenset()
    )


def test_no_golden_prompt_or_near_duplicate_is_in_the_corpus(golden, bench):
    assert not {one.text_id for one in golden} & {row.id for row in bench.corpus.rows}
    mine = [grams(fold(one.prompt)) for one in golden]
    for row in bench.corpus.rows:
        theirs = grams(fold(row.text))
        near = [len(one & theirs) / len(one | theirs) for one in mine if THRESHOLD * len(one) <= len(theirs) <= len(one) / THRESHOLD]
        assert max(near, default=0) < THRESHOLD, row.text


@pytest.mark.real
def test_the_default_router_passes_every_golden_prompt_but_the_one_that_its_provenance_names(golden, bench):
    router = bench.router("lab-47")
    encoder = bench.encoder(router.encoder_name, "fp32")
    passed = run_golden(router, golden, lambda texts: router.logits(encoder.encode(texts), texts), bench.taxonomy)
    assert len(passed) == len(golden) and [one for one, good in passed.items() if not good] == ["security-2"]


def test_prompts_of_unknown_domains_are_not_asked(golden, project):
    taxonomy = Taxonomy.load(project / "models" / "taxonomy.json")
    router = type("Router", (), {"domains": ["py", "sql"]})()
    seen = []

    def logits(texts):
        seen.extend(texts)
        return np.asarray([[1.0, 0.0]] * len(texts))

    passed = run_golden(router, golden, logits, taxonomy)
    assert len(passed) == len(seen) == sum(one.domain in ("python", "sql") for one in golden)
    assert all(good == one.startswith("python") for one, good in passed.items())


def test_a_broken_line_is_named(tmp_path):
    path = tmp_path / "golden.jsonl"
    for text, said in (
        ('{"id": "a"}', "prompt, domain missing"),
        ("{", "not JSON"),
        ("", "no golden prompt"),
        ('{"id":"a","prompt":"x","domain":"d"}\n' * 2, "is taken"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=said):
            read_golden(path)
