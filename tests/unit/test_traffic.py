"""Gateway logs become distinct, masked prompts; every record is counted in one or listed with the reason."""

import io
import json
import zipfile
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.curation.traffic import read_traffic, time_utc
from lab.errors import InputError
from lab.taxonomy import Domain, Taxonomy
from lab.text.prepare import fault, text_id

TAXONOMY = Taxonomy(1, "r", (Domain("power", "d", "b", None, ("psu",)),))


def log(*lines, name="log.jsonl", **more):
    data = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines).encode()
    return read_traffic(data, name, **more)


def test_one_prompt_is_kept_once_with_its_count_times_and_last_answer():
    got = log(
        {"prompt": "size a buck", "time": "2026-03-02T10:00:00Z", "chosen_domain": "psu", "score": 0.9, "model": "m2", "feedback": "good"},
        {"prompt": "other", "time": "2026-03-01T10:00:00Z"},
        {
            "prompt": " size a buck\r\n",
            "time": "2026-03-01T12:00:00+02:00",
            "chosen_domain": "spice",
            "score": 0.4,
            "model": "m1",
            "feedback": "bad",
        },
        taxonomy=TAXONOMY,
    )
    first, other = got.prompts
    assert (first.id, first.text, first.count) == (text_id("size a buck"), "size a buck", 2)
    assert (first.first_utc, first.last_utc) == ("2026-03-01T10:00:00+00:00", "2026-03-02T10:00:00+00:00")
    assert (first.domain, first.score, first.model, first.feedback) == ("power", 0.9, "m2", ("good", "bad"))
    assert first.domains == {"power": 1, "spice": 1}
    assert (other.count, other.domain, other.score, other.where) == (1, None, None, "log.jsonl:2")
    assert (got.read, got.refused, got.unused) == (3, [], {})


def test_nothing_unmasked_is_left_anywhere():
    secret, mail = "gh" + "p_" + "aB3dE5gH7jK9mN1pQ3sT5vX7zA2cD4fG6iJ8", "jane.doe@example.org"
    got = log(
        {"prompt": f"why does {secret} fail for {mail}?", "feedback": f"ask {mail}", "model": f"m {mail}", "chosen_domain": mail},
        {"prompt": f"why does {secret} fail for other@example.org?"},
        {"prompt": f"{mail} \0"},
        {"prompt": f"{mail} \ud800"},
        {"prompt": f"{secret} " * 5000},
    )
    assert [(one.text, one.count) for one in got.prompts] == [("why does ⟨api-key⟩ fail for ⟨email⟩?", 2)]
    assert len(got.refused) == 3
    assert secret not in repr(got)
    assert "example.org" not in repr(got)
    assert got.masked == {"github-token": 2, "email": 5}


def test_messages_selections_and_nested_columns_are_understood():
    got = log(
        {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "in blocks"}]}],
         "response": {"selections": [{"domain": "power", "score": 0.7}, {"domain": "x", "score": 0.6}], "model": "m"}, "ts": 1767225600},
        {"request": {"messages": [{"role": "user", "content": "nested"}]}, "timestamp": 1767225600000},
        {"input": json.dumps([{"role": "user", "content": "as text"}]), "user": "u-7"},
        {"messages": [{"role": "assistant", "content": "no user"}]},
    )  # fmt: skip
    assert [one.text for one in got.prompts] == ["in blocks", "nested", "as text"]
    assert (got.prompts[0].domain, got.prompts[0].score, got.prompts[0].model) == ("power", 0.7, "m")
    assert {one.first_utc for one in got.prompts[:2]} == {"2026-01-01T00:00:00+00:00"}
    assert [(one.where, one.reason.split(":")[0]) for one in got.refused] == [("log.jsonl:4", "no prompt")]
    assert got.columns["score"] == ["response.selections"]
    assert got.unused == {"user": 1}


def test_a_mapping_comes_before_the_known_names():
    line = {"prompt": "not this", "body": {"q": "this one"}, "when": "2026-01-01"}
    got = log(line, mapping={"prompt": "body.q", "time": "when"})
    assert (got.prompts[0].text, got.prompts[0].first_utc) == ("this one", "2026-01-01T00:00:00+00:00")
    with pytest.raises(InputError, match="no field 'promt'"):
        log(line, mapping={"promt": "x"})


def test_csv_parquet_and_zips_give_the_same_as_jsonl():
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {"prompt": "=1+1 ?\nwhy", "time": "2026-01-01T00:00:00", "domain": "power", "score": 0.5},
        {"prompt": "b", "time": None, "domain": "", "score": None},
    ]
    expected = [(one.text, one.first_utc, one.domain, one.score) for one in log(*rows).prompts]
    csv = b'prompt,time,domain,score\n"\'=1+1 ?\nwhy",2026-01-01T00:00:00,power,0.5\nb,,,\n'
    out = io.BytesIO()
    times = [datetime(2026, 1, 1, tzinfo=UTC), None]
    pq.write_table(
        pa.table({"prompt": [row["prompt"] for row in rows], "time": times, "domain": ["power", None], "score": [0.5, None]}), out
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("logs/a.csv", csv)
        archive.writestr("notes.txt", "hello")
    for data, name in ((csv, "x.csv"), (out.getvalue(), "x.parquet"), (packed.getvalue(), "x.zip")):
        got = read_traffic(data, name)
        assert [(one.text, one.first_utc, one.domain, one.score) for one in got.prompts] == expected
        assert [one.where for one in got.refused] == (["notes.txt"] if name == "x.zip" else [])


def test_what_cannot_be_read_is_counted_or_listed():
    got = log(
        {"prompt": "a", "time": "yesterday", "score": "high"}, "{broken", [1], {"prompt": " "}, {"prompt": "x" * 100_001}, {"prompt": 5},
        {"nothing": 1},
    )  # fmt: skip
    assert [one.text for one in got.prompts] == ["a"]
    assert got.unread == {"time": 1, "score": 1}
    assert [one.where for one in got.refused] == [f"log.jsonl:{n}" for n in range(2, 8)]
    assert got.read == 7 == len(got.refused) + sum(one.count for one in got.prompts)
    assert got.summary == "7 records read: 1 distinct prompts, 6 refused; masked: nothing."
    with pytest.raises(InputError, match="no known format"):
        read_traffic(b"hello", "x.log")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00+00:00"), ("2026-01-01 02:00:00.5+02:00", "2026-01-01T00:00:00+00:00"),
        (1767225600, "2026-01-01T00:00:00+00:00"), (1767225600.9, "2026-01-01T00:00:00+00:00"), ("1767225600", "2026-01-01T00:00:00+00:00"),
        (1767225600000, "2026-01-01T00:00:00+00:00"), (1767225600000000, "2026-01-01T00:00:00+00:00"), ("20260101", "2026-01-01T00:00:00+00:00"),
        ("", ""), ("now", ""), (None, ""), (True, ""), (float("nan"), ""), (1e300, ""), ([], ""),
    ],
)  # fmt: skip
def test_times_are_brought_to_utc(value, expected):
    assert time_utc(value) == expected


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["prompt", "time", "score", "domain", "model", "feedback", "messages"]),
            st.text() | st.integers() | st.none() | st.lists(st.text()),
        ),
        max_size=6,
    )
)
def test_every_record_is_in_a_prompt_or_refused_whatever_it_holds(records):
    got = log(*records)
    assert got.read == len(records) == len(got.refused) + sum(one.count for one in got.prompts)
    assert all(one.id == text_id(one.text) and fault(one.text) is None for one in got.prompts)
    json.dumps([one.text for one in got.prompts]).encode()
