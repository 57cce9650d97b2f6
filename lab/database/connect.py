"""One database, SQLite (WAL) or PostgreSQL, brought to the newest schema when it is opened."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError

from lab.errors import LabError, SettingsError
from lab.files import make_folder

WAIT_S = 60
"""How long a writer waits for the others before it gives up."""
_LOCK = 7215  # PostgreSQL's advisory lock for migrations and the first import


class DatabaseError(LabError):
    """The database cannot be reached, is busy for too long, or is of another version."""


def now(later_s: float = 0.0) -> str:
    """UTC, ISO 8601 with microseconds: text that sorts by time."""
    return (datetime.now(UTC) + timedelta(seconds=later_s)).isoformat(timespec="microseconds")


class Database:
    """``url``: an SQLAlchemy address (postgresql://…), or a path for SQLite. Safe to share between threads; each process opens its own."""

    def __init__(self, url: str | Path) -> None:
        self._engine = _engine(url)
        self.dialect = self._engine.dialect.name
        self.address = self._engine.url.render_as_string(hide_password=True)
        self._writing = self._engine.execution_options(write=True)
        self._migrate()

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One snapshot for reading."""
        with _told(self.address), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction: all of it is stored when the block ends well, nothing when it does not. SQLite's writers take turns."""
        with _told(self.address), self._writing.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def alone(self) -> Iterator[sa.Connection]:
        """As :meth:`write`, with no other such block running anywhere: migrations, first import."""
        with self.write() as connection:
            if self.dialect == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            yield connection

    def _migrate(self) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.runtime.migration import MigrationContext
        from alembic.script import ScriptDirectory
        from alembic.util.exc import CommandError

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        newest = ScriptDirectory.from_config(config).get_current_head()
        with self.read() as connection:
            if MigrationContext.configure(connection).get_current_revision() == newest:
                return
        with self.alone() as connection:
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise DatabaseError(
                    f"The database {self.address} has a schema that this version does not know ({error}).",
                    "Start the version of Router Lab that wrote it, or a newer one.",
                ) from None

    def close(self) -> None:
        self._engine.dispose()


def _engine(url: str | Path) -> sa.Engine:
    if isinstance(url, Path):
        make_folder(url.parent)
        address = sa.URL.create("sqlite", database=str(url))
    else:
        try:
            address = sa.make_url(url)
        except ArgumentError:
            raise SettingsError("ROUTER_LAB_DATABASE_URL is no database address.", "Write postgresql://user:password@host/name.") from None
        if address.drivername in ("postgres", "postgresql"):
            address = address.set(drivername="postgresql+psycopg")
    if address.get_backend_name() == "postgresql":
        return sa.create_engine(address, pool_pre_ping=True, connect_args={"connect_timeout": 10})
    if address.get_backend_name() != "sqlite":
        raise SettingsError(f"ROUTER_LAB_DATABASE_URL names {address.get_backend_name()}.", "SQLite and PostgreSQL are supported.")
    engine = sa.create_engine(address, connect_args={"timeout": WAIT_S})

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection, _record) -> None:
        connection.isolation_level = None  # transactions begin where this module says, not where the driver guesses
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-65536"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("write") else "BEGIN")

    return engine


@contextlib.contextmanager
def _told(address: str) -> Iterator[None]:
    """A refused or broken connection as a sentence. Faults of a statement stay what they are: bugs."""
    try:
        yield
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
        if not isinstance(error, sa.exc.OperationalError) and not error.connection_invalidated:
            raise
        raise DatabaseError(
            f"The database {address} cannot be used: {reason}.", "Check that it runs, is reachable and has room; then try again."
        ) from None
