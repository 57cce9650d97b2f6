"""The migrations make the schema that the code describes, once, however many start at a time."""

import subprocess
import sys
import time

import pytest
import sqlalchemy as sa

from lab.database.connect import Database, DatabaseError
from lab.database.schema import METADATA
from lab.errors import SettingsError


def test_the_migrated_schema_is_the_one_in_the_code(database):
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_six_processes_can_open_an_empty_database_at_once(url):
    workers = [subprocess.Popen([sys.executable, "-m", "tests.database.writer", str(url), "0", "0"]) for _ in range(6)]
    assert [one.wait(60) for one in workers] == [0] * 6


def test_a_database_of_a_newer_version_is_refused_with_a_sentence(url):
    opened = Database(url)
    with opened.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    opened.close()
    with pytest.raises(DatabaseError, match="does not know"):
        Database(url)


def test_what_fails_in_a_transaction_leaves_nothing(database, prompts):
    from lab.curation import events
    from lab.curation import prompts as store

    with pytest.raises(ZeroDivisionError), database.write() as connection:
        connection.execute(sa.delete(METADATA.tables["queue_items"]))
        connection.execute(sa.update(METADATA.tables["labels"]).values(domain="lost"))
        _ = 1 / 0
    with database.read() as connection:
        assert "lost" not in {state.domain for state in store.states(connection, prompts).values()}
        assert events.wrong_folds(connection) == []


def test_addresses_that_are_none_are_refused_and_passwords_are_not_shown():
    with pytest.raises(SettingsError, match="no database address"):
        Database("not an address")
    with pytest.raises(SettingsError, match="mysql"):
        Database("mysql://somebody:secret@host/name")
    start = time.monotonic()
    with pytest.raises(DatabaseError) as told:
        Database("postgresql://somebody:secret@127.0.0.1:9/name")
    assert "secret" not in str(told.value) and time.monotonic() - start < 20
