"""Selections are appended, found again, and the same one is kept once."""

import pytest

from lab.curation.selections import Selections
from lab.errors import InputError


def test_a_selection_is_kept_and_read_back(tmp_path):
    kept = Selections(tmp_path / "s.jsonl")
    made = kept.add("matrix", "spice → power", ["a", "b", "a"], "http://x/confusions?label=spice")
    assert made.text_ids == ("a", "b")
    assert Selections(tmp_path / "s.jsonl").all() == [made]


def test_the_same_selection_sent_twice_is_kept_once(tmp_path):
    kept = Selections(tmp_path / "s.jsonl")
    assert kept.add("map", "t", ["a", "b"]).id == kept.add("map", "t", ["b", "a"]).id
    assert len(kept.all()) == 1


def test_an_empty_selection_is_refused(tmp_path):
    with pytest.raises(InputError, match="Nothing is selected"):
        Selections(tmp_path / "s.jsonl").add("map", "t", [])


def test_a_line_cut_by_a_crash_loses_only_itself(tmp_path):
    path = tmp_path / "s.jsonl"
    Selections(path).add("map", "t", ["a"])
    path.write_bytes(path.read_bytes() + b'{"id": "half')
    assert len(Selections(path).all()) == 1
