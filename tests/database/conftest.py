"""Every test here runs on SQLite and on PostgreSQL. Without PostgreSQL's programs its half is skipped, loudly."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path

import pytest


def _programs() -> Path | None:
    """The folder of initdb and pg_ctl: Debian keeps them out of the path."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name)
    return next((folder for folder in reversed(folders) if (folder / "initdb").exists()), None)


def pytest_collection_modifyitems(config, items):
    here = [item for item in items if Path(__file__).parent in Path(str(item.fspath)).parents and "postgresql" in item.name]
    if here and _programs() is None:
        line = f"!! {len(here)} POSTGRESQL TESTS ARE SKIPPED: no initdb found. Install it: apt-get install postgresql"
        print("\n" + "!" * 100 + f"\n{line}\n" + "!" * 100)
        for item in here:
            item.add_marker(pytest.mark.skip(reason="no PostgreSQL: apt-get install postgresql"))


@pytest.fixture(scope="session")
def postgres():
    """The address of a server of its own, on a free port, gone afterwards."""
    programs = _programs()
    assert programs is not None
    folder = Path(tempfile.mkdtemp(prefix="router-lab-pg-"))
    as_user = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        folder.chmod(0o777)
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        shutil.chown(folder, "postgres", "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def run(*command: str) -> None:
        done = subprocess.run([*as_user, *command], capture_output=True, text=True, cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr

    run(str(programs / "initdb"), "-D", str(folder / "data"), "-U", "lab", "--auth=trust", "-E", "UTF8", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c max_connections=60"
    run(str(programs / "pg_ctl"), "-D", str(folder / "data"), "-w", "-l", str(folder / "log"), "-o", options, "start")
    yield f"postgresql://lab@127.0.0.1:{port}"
    run(str(programs / "pg_ctl"), "-D", str(folder / "data"), "-m", "immediate", "stop")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """Where an empty database is: a path, or an address."""
    if request.param == "sqlite":
        return tmp_path / "lab.sqlite"
    import psycopg

    server = request.getfixturevalue("postgres")
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server}/{name}"


@pytest.fixture
def database(url):
    from lab.database.connect import Database

    opened = Database(url)
    yield opened
    opened.close()


@pytest.fixture
def prompts(database):
    """Thirty prompts about nothing, labelled a, b or c. Their ids."""
    from tests.database.writer import fill

    return fill(database, 30)
