"""The app itself on a state folder of its own, for tests that kill it, look into its database, or log in."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tests.e2e.conftest import PROJECT, own_home


class LiveApp:
    """The app on one port with a state folder of its own; it can be killed and started again on both."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.home, self._environment = home, own_home(home) | settings
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"

    def start(self, *options: str) -> None:
        command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(self.port), "--server.address", "127.0.0.1", *options]
        with (self.home / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=PROJECT, env=self._environment, stdout=log, stderr=log)
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{self.base}/_stcore/health", timeout=1)
                return
            except OSError:
                assert self.process.poll() is None, (self.home / "server.log").read_text()
                time.sleep(0.25)
        raise RuntimeError("the app did not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def rows(self, sql: str, *values) -> list[tuple]:
        with sqlite3.connect(f"file:{self.home / 'lab.sqlite'}?mode=ro", uri=True, timeout=20) as database:
            return database.execute(sql, values).fetchall()

    def decisions(self) -> list[tuple[str, str, str | None]]:
        """(text, action, domain after it) of each decision of a desk, in the order in which they were stored."""
        sql = "select text, action, after from events join prompts on prompts.id = prompt_id where session not like 'batch:%' order by events.id"
        return [(text, action, json.loads(after)["domain"]) for text, action, after in self.rows(sql)]
