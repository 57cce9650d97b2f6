"""Where the shipped prompts are from: as the record says, and only of the rows it is of."""

import json

from lab.corpus.provenance import NAME, stated_sources
from lab.corpus.rows import Row, corpus_sha256
from lab.release.snapshot import take_snapshot
from tests.unit.release_case import dataset

ROWS = [Row("one", "a", part="field"), Row("two", "b", part="plain"), Row("three", "c", part="plain")]


def record(folder, rows):
    sources = [
        {"domain": "a", "part": "field", "note": "written here", "license_spdx": "MIT"},
        {"domain": "b", "part": "plain", "huggingface_repo": "them/set", "license_spdx": "CC-BY-4.0"},
    ]
    (folder / NAME).write_text(json.dumps({"corpus_sha256": corpus_sha256(rows), "sources": sources}))


def test_each_row_has_the_source_of_its_file_and_one_that_is_not_listed_has_none(tmp_path):
    record(tmp_path, ROWS)
    assert stated_sources(tmp_path, ROWS) == {ROWS[0].id: ("written here", "MIT"), ROWS[1].id: ("them/set", "CC-BY-4.0")}


def test_a_record_of_other_rows_or_none_says_nothing(tmp_path):
    assert stated_sources(tmp_path, ROWS) == {}
    record(tmp_path, ROWS[:2])
    assert stated_sources(tmp_path, ROWS) == {}


def test_the_shipped_corpus_states_a_source_and_a_licence_for_every_prompt(bench):
    said = stated_sources(bench.home.corpus, bench.corpus.rows)
    assert len(said) == len(bench.corpus.rows) and all(source and licence for source, licence in said.values())


def test_a_snapshot_takes_the_stated_source_where_a_row_has_none():
    data = dataset()
    other = data.rows[0]
    bare = dataset([type(row)(row.text, row.domain, lang="en") if n else row for n, row in enumerate(data.rows)])
    found = take_snapshot(bare, "r", {row.id: ("written here", "CC0") for row in bare.rows}).composition["sources"]
    assert sum(one["rows"] for one in found if (one["source"], one["license_spdx"]) == ("written here", "CC0")) == len(bare.rows) - 1
    assert [one["rows"] for one in found if one["source"] == other.source] == [1]
