"""What is sent from a view is kept once, in order."""

import pytest

from lab.curation import selections
from lab.curation.state import Actor
from lab.errors import InputError

ANNA = Actor("Anna")


def add(database, *given):
    with database.write() as connection:
        return selections.add(connection, ANNA, *given)


def test_a_selection_is_kept_and_read_back(database):
    made = add(database, "matrix", "spice → power", ["a", "b", "a"], "confusions?label=spice")
    assert made.text_ids == ("a", "b") and made.who == "Anna"
    with database.read() as connection:
        assert selections.everything(connection) == [made]


def test_the_same_selection_sent_twice_is_kept_once(database):
    assert add(database, "map", "t", ["a", "b"]).id == add(database, "map", "t", ["b", "a"]).id
    with database.read() as connection:
        assert len(selections.everything(connection)) == 1


def test_an_empty_selection_is_refused(database):
    with pytest.raises(InputError, match="Nothing is selected"):
        add(database, "map", "t", [])
