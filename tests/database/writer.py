"""``python -m tests.database.writer ADDRESS NUMBER COUNT``: one of several processes that relabel the same prompts at once."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from lab.curation import batches, intake
from lab.curation import events as log
from lab.curation import prompts as prompt_store
from lab.curation.state import Actor, Prompt, State, Write
from lab.database.connect import Database
from lab.text.prepare import text_id


def fill(database, n: int) -> list[str]:
    given = []
    for k in range(n):
        text = f"prompt number {k}"
        given.append((Prompt(text_id(text), text, "en", split="train", origin="corpus", added_at_utc=f"2026-01-01T00:00:00.{k:06d}+00:00"), State("abc"[k % 3])))
    with database.write() as connection:
        batch = batches.add(connection, intake.SHIPPED, "import", "test", n)
        intake.add_in(connection, intake.SHIPPED, batch, "import", given, "test")
    return [prompt.id for prompt, _ in given]


def relabel(database: Database, number: int, count: int) -> None:
    """``count`` decisions that are stored: one that meets a newer label is looked at again and sent anew. Each seventh is sent twice."""
    rng, actor = random.Random(number), Actor(f"writer {number}")
    with database.read() as connection:
        ids = [prompt.id for prompt, _ in prompt_store.everything(connection)]
    for seq in range(count):
        one = rng.choice(ids)
        for attempt in range(1000):
            with database.read() as connection:
                seen = prompt_store.states(connection, [one])[one]
            write = Write(f"writer-{number}-{attempt}", seq, one, "label", seen, State(rng.choice([name for name in "abcdef" if name != seen.domain])))
            outcome = log.record(database, actor, write)
            if seq % 7 == 0:
                again = log.record(database, actor, write)
                assert again.status == ("known" if outcome.status == "stored" else "conflict"), again
            if outcome.status == "stored":
                break
            assert outcome.status == "conflict", outcome
        else:
            raise AssertionError("never stored")


if __name__ == "__main__":
    address = sys.argv[1]
    relabel(Database(address if "://" in address else Path(address)), int(sys.argv[2]), int(sys.argv[3]))
