"""Outcome records: every bad one is refused with its line and reason; the table knows its gaps."""

import csv
import gzip
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import InputError
from lab.selector.records import parse_outcomes, read_outcomes, records
from lab.selector.table import Cells, build_table
from lab.selector.utility import Utility, filled, means


def line(**changes) -> dict:
    value = {"query": "What is 2+2?", "category": "math", "model_name": "a", "response": "4", "performance": 1.0, "response_time": 0.5}
    return {key: one for key, one in (value | changes).items() if one is not ...}


def jsonl(*rows) -> bytes:
    return "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows).encode()


def test_a_record_is_read_with_its_unknown_fields_and_written_back():
    read = parse_outcomes(jsonl(line(task_name="mmlu", cost=0.01, extra={"x": 1})), "o.jsonl")
    one = read.rows[0]
    assert (one.model, one.quality, one.latency_s, one.cost_usd, one.extra["extra"]) == ("a", 1.0, 0.5, 0.01, {"x": 1})
    assert list(records(read.rows)) == [line(task_name="mmlu", cost=0.01, extra={"x": 1})]


@pytest.mark.parametrize(
    "bad,reason",
    [
        (line(query=...), "query missing"),
        (line(query="  "), "the query has only white space"),
        (line(query=7), "the query is a int, not a text"),
        (line(model_name=None), "model_name missing"),
        (line(model_name=["a"]), r"model_name is \['a'\]"),
        (line(performance=...), "performance missing"),
        (line(performance="good"), "performance is 'good', expected a number"),
        (line(performance=1.2), "performance is 1.2, expected 0 to 1"),
        (line(performance=True), "performance is True, expected a finite number"),
        (line(response_time=-1), "response_time is -1, expected 0 or more"),
        (line(response_time="nan"), "response_time is 'nan', expected a finite number"),
        (line(cost=-0.1), "cost is -0.1"),
        (line(category=3), "category is 3"),
        ('{"query": NaN}', "not finite"),
        ("{broken", "not JSON"),
        ("[1]", "expected an object"),
    ],
)
def test_a_bad_record_is_refused_with_its_line_and_reason(bad, reason):
    read = parse_outcomes(jsonl(line(), bad), "o.jsonl")
    assert len(read.rows) == 1
    assert [one.where for one in read.refused] == ["o.jsonl:2"]
    import re

    assert re.search(reason, read.refused[0].reason), read.refused[0].reason


def test_failed_calls_and_records_without_a_score_are_left_out_and_counted():
    rows = jsonl(line(), line(model_name="b", response="Error: timeout", performance=0.0), line(model_name="c", performance=None))
    read = parse_outcomes(rows, "o.jsonl")
    assert ([one.model for one in read.rows], read.failed, read.unscored) == (["a"], 1, 1)
    assert [one.model for one in parse_outcomes(rows, "o.jsonl", keep_failed=True).rows] == ["a", "b"]


def test_csv_parquet_and_gzip_say_the_same_as_jsonl():
    import pyarrow
    import pyarrow.parquet

    rows = [line(), line(model_name="b", performance=0.0, response_time=None)]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    packed = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), packed)
    wanted = parse_outcomes(jsonl(*rows), "o.jsonl").rows
    assert parse_outcomes(text.getvalue().encode(), "o.csv").rows == wanted
    assert [one.quality for one in parse_outcomes(packed.getvalue(), "o.parquet").rows] == [1.0, 0.0]
    assert parse_outcomes(gzip.compress(jsonl(*rows)), "o.jsonl.gz").rows == wanted


@pytest.mark.parametrize(
    "name,data", [("o.parquet", b"PAR?"), ("o.jsonl.gz", b"no"), ("o.csv", b"\xff\xfe"), ("o.jsonl", b""), ("o.csv", b"a,b\n1,2,3\n")]
)
def test_a_file_that_holds_nothing_usable_is_refused_by_name(name, data):
    with pytest.raises(InputError, match=name):
        parse_outcomes(data, name)


def test_a_missing_file_and_a_folder_are_said(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_outcomes(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="is a folder"):
        read_outcomes(tmp_path)


def test_the_limit_counts_queries():
    rows = [line(query=f"q{n}", model_name=name) for n in range(3) for name in "ab"]
    assert {one.query for one in parse_outcomes(jsonl(*rows), "o.jsonl", limit=2).rows} == {"q0", "q1"}
    with pytest.raises(InputError, match="limit is 0"):
        parse_outcomes(jsonl(*rows), "o.jsonl", limit=0)


def test_the_table_has_gaps_averages_duplicates_and_counts_both():
    rows = [line(), line(performance=0.0, response_time=1.5), line(query="other", model_name="b", category="law", split="val")]
    table = build_table(parse_outcomes(jsonl(*rows), "o.jsonl").rows)
    assert (table.queries, table.models, table.splits) == (["What is 2+2?", "other"], ["a", "b"], ["", "test"])
    assert table.cells.quality[0, 0] == 0.5 and table.cells.latency_s[0, 0] == 1.0
    assert table.cells.observed.tolist() == [[True, False], [False, True]]
    assert (table.account["gaps"], table.account["duplicates"]) == (2, 1)
    with pytest.raises(InputError, match="No records of c"):
        table.only(["c"])
    assert len(table.only(["b"])) == 1


@pytest.mark.parametrize("quality,latency", [([[1.5]], [[1.0]]), ([[0.5]], [[-1.0]]), ([[0.5]], [[np.inf]])])
def test_cells_outside_their_range_are_refused(quality, latency):
    with pytest.raises(InputError, match="Use numbers from 0 up"):
        Cells(np.asarray(quality), np.asarray(latency), np.asarray([[np.nan]]))


# utility


def test_the_weights_are_really_used_in_both_forms_of_the_source():
    cells = Cells(np.asarray([[0.8, 0.6]]), np.asarray([[9.0, 0.0]]), np.full((1, 2), np.nan))
    document = Utility(0.9).for_cells(cells)
    assert document.mix(document.components(cells)).round(6).tolist() == [[0.73, 0.64]]  # 0.9·0.8 + 0.1/(1 + 9)
    code = Utility(0.9, latency_scale_s=10).for_cells(cells)
    assert code.mix(code.components(cells)).round(6).tolist() == [[0.772632, 0.64]]  # 0.9·0.8 + 0.1/(1 + 0.9)
    assert Utility(0.0).for_cells(cells).mix(document.components(cells)).round(6).tolist() == [[0.1, 1.0]]


def test_a_part_without_data_gives_its_weight_to_the_others():
    quality = np.asarray([[1.0, 0.0]])
    only = Cells.of_quality(quality)
    assert Utility(0.3).for_cells(only).mix(Utility(0.3).for_cells(only).components(only)).tolist() == [[1.0, 0.0]]
    costs = Cells(quality, np.full((1, 2), np.nan), np.asarray([[0.001, 0.0]]))
    assert Utility(0.5).for_cells(costs).parts == ("quality", "thrift")
    assert Utility(0.5).for_cells(costs).weights.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("wrong", [{"quality_weight": 1.1}, {"cost_share": -0.1}, {"latency_scale_s": 0}, {"cost_scale_usd": float("inf")}])
def test_a_weight_outside_its_range_is_refused(wrong):
    with pytest.raises(InputError):
        Utility(**wrong)


@given(st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0, None]), min_size=3, max_size=3), min_size=1, max_size=8))
def test_filling_keeps_what_is_known_and_stays_in_range(rows):
    parts = np.asarray([[np.nan if one is None else one for one in row] for row in rows])[:, :, None]
    out = filled(parts)
    known = ~np.isnan(parts)
    assert np.array_equal(out[known], parts[known])
    assert (out >= 0).all() and (out <= 1).all()
    assert not np.isnan(means(parts)).any()
