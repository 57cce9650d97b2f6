"""The desk on a small store of its own (a SQLite file named by DESK_DB, which outlives a killed server): no encoder, no router."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import streamlit as st

PROJECT = Path(__file__).resolve().parents[2]
if str(PROJECT) not in sys.path:
    sys.path.insert(0, str(PROJECT))

from lab.curation.state import Actor, Item, Outcome, Prompt, State  # noqa: E402
from lab.errors import InputError  # noqa: E402
from lab.files import sha256_bytes  # noqa: E402
from lab.taxonomy import Taxonomy  # noqa: E402
from pages.shared.desk.component import Desk, desk  # noqa: E402

TAXONOMY = Taxonomy.load(PROJECT / "models" / "taxonomy.json")
NAMES = [one.name for one in TAXONOMY.domains]
NASTY = [
    '<img src=x onerror="window.hacked=1"> $E=mc^2$ **bold**',
    "# not a title\n- no list\n<script>window.hacked=1</script>",
    "`code` [link](javascript:window.hacked=1) {{7*7}} &lt;b&gt; \u202eright to left\u202c",
]
LONG = "A long prompt that must scroll. " * 120
SCHEMA = """
create table if not exists labels(id text primary key, place integer, text text, state text, done integer default 0);
create table if not exists events(session text, seq integer, id text, action text, before text, after text, who text, queue text, batch text,
  undone integer default 0, unique(session, seq));
"""


class Shown(NamedTuple):
    prompt: Prompt
    state: State
    item: Item
    candidates: list


class FakeStore:
    """Enough of the workbench: idempotent writes, a stale one refused, leases by session, batches."""

    def __init__(self, path: str) -> None:
        self.path = path
        with self._open() as db:
            db.executescript("pragma journal_mode=wal;" + SCHEMA)
            if not db.execute("select 1 from labels").fetchone():
                rng = np.random.default_rng(5)
                texts = [*NASTY, LONG] + [f"Prompt {n}: how do I route the differential pair of board {n} past the connector?" for n in range(4, 400)]
                rows = [(f"p{n:03d}", n, text, self._dump(State(NAMES[int(rng.integers(len(NAMES)))]))) for n, text in enumerate(texts)]
                db.executemany("insert into labels(id, place, text, state) values (?,?,?,?)", rows)

    def _open(self):
        db = sqlite3.connect(self.path, timeout=10, isolation_level=None)
        db.execute("pragma synchronous=full")
        return db

    def _dump(self, state: State) -> str:
        return json.dumps(state.to_json())

    def write(self, actor, writes):
        return [self._write(actor, one) for one in writes]

    def _write(self, actor, write):
        with self._open() as db:
            db.execute("begin immediate")
            row = db.execute("select after from events where session=? and seq=?", (write.session, write.seq)).fetchone()
            if row:
                return Outcome(write.session, write.seq, "known", state=State.from_json(json.loads(row[0])))
            found = db.execute("select state from labels where id=?", (write.prompt_id,)).fetchone()
            if found is None:
                return Outcome(write.session, write.seq, "refused", "The prompt is not in the database.")
            now = State.from_json(json.loads(found[0]))
            seen, after = write.seen, write.after or write.seen
            if write.action == "undo":
                target = db.execute("select before, after from events where session=? and seq=? and not undone", write.undoes).fetchone()
                if target is None:
                    return Outcome(write.session, write.seq, "refused", "There is nothing to undo.")
                after, seen = (State.from_json(json.loads(one)) for one in target)
                db.execute("update events set undone=1 where session=? and seq=?", write.undoes)
            if now != seen and write.action != "skip":
                return Outcome(write.session, write.seq, "conflict", f"The label is now “{now}”; the screen showed “{seen}”. Look again.", state=now)
            row = (write.session, write.seq, write.prompt_id, write.action, self._dump(now), self._dump(after), actor.name, write.queue)
            db.execute("insert into events(session, seq, id, action, before, after, who, queue) values (?,?,?,?,?,?,?,?)", row)
            depth = db.execute("select count(*) from events where id=? and action='undo'", (write.prompt_id,)).fetchone()[0]
            open_again = write.action == "undo" and depth % 2 == 1
            db.execute("update labels set state=?, done=? where id=?", (self._dump(after), 0 if open_again else 1, write.prompt_id))
            return Outcome(write.session, write.seq, "stored", state=after)

    def _prompt(self, row) -> tuple[Prompt, State]:
        return Prompt(row[0], row[1], "en", split="train"), State.from_json(json.loads(row[2]))

    def take(self, actor, session, queue, n):
        with self._open() as db:
            rows = db.execute("select id, text, state from labels where not done order by place limit ?", (n,)).fetchall()
        return [self._shown(row) for row in rows]

    def _shown(self, row) -> Shown:
        best = self._best(row[0])
        shares = (0.52, 0.2, 0.1, 0.06, 0.04, 0.03, 0.02, 0.01, 0.01)
        item = Item(row[0], 0.9, f"Its neighbours say {best[0]}.", best[0])
        return Shown(*self._prompt(row), item, list(zip(best, shares, strict=True)))

    def show(self, prompt_id):
        with self._open() as db:
            row = db.execute("select id, text, state from labels where id=?", (prompt_id,)).fetchone()
        return self._shown(row) if row else None

    def next_queue(self, queue):
        return {"name": "audit", "title": "Audit", "left": 40}

    def peek(self, queue, n):
        return self.take(None, "", queue, n)

    def states(self, ids):
        with self._open() as db:
            rows = [db.execute("select id, text, state from labels where id=?", (one,)).fetchone() for one in ids]
        return {row[0]: self._prompt(row)[1] for row in rows if row}

    def release(self, session):
        return 0

    def left(self, queue):
        with self._open() as db:
            return db.execute("select count(*) from labels where not done").fetchone()[0]

    def _best(self, prompt_id):
        order = np.random.default_rng(int(sha256_bytes(prompt_id.encode())[:8], 16)).permutation(len(NAMES))[:9]
        return [NAMES[one] for one in order]

    def neighbours(self, prompt_id, k):
        with self._open() as db:
            rows = db.execute("select id, text, state from labels where id != ? order by id desc limit ?", (prompt_id, k)).fetchall()
        return [(*self._prompt(row), 0.95 - 0.01 * n) for n, row in enumerate(rows)]

    def apply_batch(self, actor, request, title, queue, changes):
        applied = 0
        with self._open() as db:
            db.execute("begin immediate")
            if not db.execute("select 1 from events where batch=?", (request,)).fetchone():
                for seq, (prompt_id, seen, after) in enumerate(changes):
                    now = State.from_json(json.loads(db.execute("select state from labels where id=?", (prompt_id,)).fetchone()[0]))
                    if now == seen:
                        row = (request, seq, prompt_id, "bulk", self._dump(seen), self._dump(after), actor.name, queue, request)
                        db.execute("insert into events(session, seq, id, action, before, after, who, queue, batch) values (?,?,?,?,?,?,?,?,?)", row)
                        db.execute("update labels set state=?, done=1 where id=?", (self._dump(after), prompt_id))
                        applied += 1
        return {"batch": request, "applied": applied, "conflicts": len(changes) - applied}

    def revert_batch(self, actor, batch_id):
        with self._open() as db:
            rows = db.execute("select id, before from events where batch=?", (batch_id,)).fetchall()
            if not rows:
                raise InputError("There is no such batch.")
            for prompt_id, before in rows:
                db.execute("update labels set state=?, done=0 where id=?", (before, prompt_id))
        return {"batch": batch_id, "applied": len(rows), "conflicts": 0}


def main() -> None:
    st.set_page_config(page_title="Desk harness", layout="wide")
    st.header("Queue", anchor=False)
    st.sidebar.radio("Queues", ["Label issues · 214", "Audit · 40"])
    time.sleep(float(os.environ.get("DESK_SLOW_S", "0")))
    query = st.query_params
    static = {
        "hash": "h1",
        "domains": NAMES,
        "guidelines": {one.name: {"definition": one.definition, "border": one.border} for one in TAXONOMY.domains},
    }
    actor = Actor("Ada", role=query.get("role", "curator"))
    if actor.role == "viewer":
        st.info("You are a viewer here: reading is possible, deciding is not.")
    model = {"router": "r", "sha256": "0"}
    about = Desk(FakeStore(os.environ["DESK_DB"]), actor, "label-issues", query.get("blind") == "1", actor.role == "viewer", model, static, query.get("prompt", ""))
    asked = desk(about)
    if asked:
        st.write(f"Asked for {asked}")
    st.text_input("Another field of the page")


main()
