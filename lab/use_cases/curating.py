"""Decisions about labels: the desk, batches, what has changed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lab.curation import batches, conflicts, intake, prompts, queue_store, selections
from lab.curation import events as log
from lab.curation.batches import Batch, BatchResult
from lab.curation.events import Change
from lab.curation.selections import Selection
from lab.curation.state import ACTIONS, Actor, Event, Item, Outcome, Prompt, State, Write
from lab.errors import InputError
from lab.text.language import detect
from lab.text.prepare import text_id
from lab.use_cases.people import People

SESSION = re.compile(r"[A-Za-z0-9_-]{8,64}")
MAX_REASON = 500


class Curating(People):
    """A part of :class:`lab.workbench.Workbench`."""

    # decisions

    def write(self, actor: Actor, writes: Sequence[Write]) -> list[Outcome]:
        """Store decisions, each in a transaction of its own, each once. AccessError if the actor is no curator.

        A decision that cannot be taken has the outcome "refused" with a sentence; the others are stored all the same.
        """
        self.require(actor, "curator")
        return [self._write(actor, one) for one in writes]

    def _write(self, actor: Actor, write: Write) -> Outcome:
        fault = self._fault(write)
        return Outcome(write.session, write.seq, "refused", fault) if fault else log.record(self.database, actor, write)

    def _fault(self, write: Write) -> str:
        if not SESSION.fullmatch(write.session) or write.seq < 0:
            return "The session or its number is not usable."
        if write.action not in ACTIONS:
            return f"There is no action “{write.action[:40]}”."
        if write.action in ("label", "also", "not_routable", "flag") and write.after is None:
            return f"“{write.action}” needs the state after it."
        if len(write.reason) > MAX_REASON:
            return f"The reason has {len(write.reason)} characters; at most {MAX_REASON} are kept."
        return self._unknown(write.after) if write.after is not None else ""

    def _unknown(self, state: State) -> str:
        names = [one for one in (state.domain, *state.also) if one is not None and one not in self.taxonomy.by_name]
        if state.also and state.domain is None:
            return "A prompt without a domain has no other domains."
        return f"There is no domain “{names[0][:60]}”." if names else ""

    def take(self, actor: Actor, session: str, queue: str, n: int) -> list[tuple[Prompt, State, Item]]:
        """Up to ``n`` items for one desk, held for it for ten minutes: no prompt is on two desks."""
        self.require(actor, "curator")
        if not SESSION.fullmatch(session):
            raise InputError("The session's name is not usable.", "Reload the page.")
        with self.database.write() as connection:
            return self._full(connection, queue_store.take(connection, actor, session, queue, n))

    def peek(self, queue: str, n: int | None = None, open_only: bool = True) -> list[tuple[Prompt, State, Item]]:
        """The items of a queue in order, held by nobody."""
        with self.database.read() as connection:
            return self._full(connection, queue_store.items(connection, queue, n, open_only))

    def _full(self, connection, items: Sequence[Item]) -> list[tuple[Prompt, State, Item]]:
        ids = [item.prompt_id for item in items]
        known, states = prompts.get(connection, ids), prompts.states(connection, ids)
        return [(known[one.prompt_id], states[one.prompt_id], one) for one in items]

    def release(self, session: str) -> int:
        """The desk is left: its prompts are free again."""
        with self.database.write() as connection:
            return queue_store.release(connection, session)

    def state(self, ids: Sequence[str]) -> dict[str, tuple[Prompt, State]]:
        """Prompts and labels now; ids that are not in the database are left out."""
        with self.database.read() as connection:
            known, states = prompts.get(connection, ids), prompts.states(connection, ids)
        return {one: (known[one], states[one]) for one in known}

    def known(self, text: str) -> tuple[Prompt, State] | None:
        """The prompt of the curation set with this text."""
        one = text_id(text)
        return self.state([one]).get(one)

    def find(self, prefix: str) -> tuple[Prompt, State]:
        """The prompt whose id begins so. InputError if there is none, or more than one."""
        with self.database.read() as connection:
            found = prompts.with_prefix(connection, prefix.lower())
        if len(found) != 1:
            raise InputError(f"{'No prompt has' if not found else 'Several prompts have'} an id that begins with '{prefix[:64]}'.", "Give its id, or more of it.")
        return self.state(found)[found[0]]

    def history(self, prompt_id: str) -> list[Event]:
        with self.database.read() as connection:
            return log.history(connection, prompt_id)

    # batches

    def apply_batch(self, actor: Actor, title: str, changes: Sequence[Change], queue: str = "", kind: str = "bulk", detail: Mapping[str, Any] | None = None) -> BatchResult:
        """Many changes in one transaction, revertible as one. InputError for an unknown domain."""
        self.require(actor, "curator")
        for one in changes:
            fault = self._unknown(one.after)
            if fault:
                raise InputError(fault, "Use a domain of the taxonomy.")
        return batches.apply(self.database, actor, kind, title[:200], changes, queue, detail)

    def revert_batch(self, actor: Actor, batch_id: str) -> BatchResult:
        self.require(actor, "curator")
        return batches.revert(self.database, actor, batch_id)

    def batches(self) -> list[Batch]:
        with self.database.read() as connection:
            return batches.everything(connection)

    # typed prompts and selections

    def keep_prompt(self, actor: Actor, text: str, source: str = "typed") -> tuple[Prompt, State]:
        """The prompt of the database with this text; a new one, without a label, if there is none."""
        self.require(actor, "curator")
        one = Prompt(text_id(text), text, detect(text), source, origin="typed")
        with self.database.write() as connection:
            if one.id not in prompts.known_ids(connection, [one.id]):
                batch = batches.add(connection, actor, "import", "Typed prompt", 1)
                intake.add_in(connection, actor, batch, "import", [(one, State())], "typed by a person")
            return prompts.get(connection, [one.id])[one.id], prompts.states(connection, [one.id])[one.id]

    def send_to_queue(self, actor: Actor, origin: str, title: str, text_ids: Sequence[str], link: str = "") -> Selection:
        """Prompts from a view into the queue "from-<origin>". Those that the database does not have are refused with a sentence."""
        self.require(actor, "curator")
        with self.database.write() as connection:
            known = prompts.known_ids(connection, text_ids)
            missing = [one for one in text_ids if one not in known]
            if missing:
                raise InputError(f"{len(missing)} of {len(text_ids)} prompts are not in the curation set.", "Import them first.")
            made = selections.add(connection, actor, origin, title, text_ids, link)
            items = [Item(one, 1.0, f"Sent by {actor.name} from “{title}”.", detail={"selection": made.id}) for one in made.text_ids]
            queue_store.extend(connection, f"from-{origin}", items, actor.name, log.newest(connection))
        return made

    # conflicts

    def conflicts(self) -> list[conflicts.Conflict]:
        with self.database.read() as connection:
            return conflicts.open_ones(connection)

    def close_conflict(self, actor: Actor, conflict_id: int, apply: bool) -> Outcome | None:
        """Somebody has looked: ``apply`` writes what was wanted over the label as it is now; otherwise the refused decision is laid aside."""
        self.require(actor, "curator")
        with self.database.read() as connection:
            one = next((one for one in conflicts.open_ones(connection) if one.id == conflict_id), None)
            now = prompts.states(connection, [one.prompt_id])[one.prompt_id] if one else None
        if one is None or now is None:
            raise InputError(f"Conflict {conflict_id} is not open.", "Reload the list.")
        outcome = None
        if apply:
            wanted = replace(one.wanted, flagged=now.flagged)
            write = Write(f"conflict-{one.id:08d}", 0, one.prompt_id, "label", now, wanted, one.queue, f"conflict of {one.who} decided by {actor.name}")
            outcome = self._write(actor, write)
            if outcome.status not in ("stored", "known"):
                return outcome
        with self.database.write() as connection:
            conflicts.close(connection, conflict_id, actor)
        return outcome
