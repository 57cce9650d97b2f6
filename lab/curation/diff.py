"""Two snapshots of labels (text id → State) compared: every change with before and after, per domain, with hashes of both sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lab.curation.state import State
from lab.files import canonical, sha256_bytes


def labels_sha256(labels: Mapping[str, State]) -> str:
    """Hash of what training can see: text id, domain and also of labelled, routable prompts. As lab.corpus.rows.corpus_sha256."""
    rows = sorted([one, state.domain, *sorted(state.also)] for one, state in labels.items() if state.domain and state.routable)
    return sha256_bytes(canonical(rows))


@dataclass(frozen=True)
class Changed:
    """``before`` None: the prompt was not there; ``after`` None: it is not there any more."""

    prompt_id: str
    before: State | None
    after: State | None

    @property
    def kind(self) -> str:
        """added, removed, labelled, unlabelled, relabelled, routable (can be routed or not), also, flagged: the first that fits."""
        if self.before is None or self.after is None:
            return "added" if self.before is None else "removed"
        if self.before.routable != self.after.routable:
            return "routable"
        if self.before.domain != self.after.domain:
            return "labelled" if self.before.domain is None else "unlabelled" if self.after.domain is None else "relabelled"
        return "also" if self.before.also != self.after.also else "flagged"


@dataclass(frozen=True)
class DomainFlow:
    """Prompts whose first label is this domain: how many there were, came, left, and are."""

    before: int
    entered: int
    left: int
    after: int


@dataclass(frozen=True)
class LabelDiff:
    """``changes`` by id. ``moves``: (from, to) → prompts, most first. ``per_domain`` holds only domains with a movement."""

    changes: tuple[Changed, ...]
    kinds: dict[str, int]
    moves: dict[tuple[str, str], int]
    per_domain: dict[str, DomainFlow]
    n_before: int
    n_after: int
    sha256_before: str
    sha256_after: str

    @property
    def summary(self) -> str:
        if not self.changes:
            return f"No change: {self.n_after} prompts, labels sha256 {self.sha256_after[:12]}."
        kinds = ", ".join(f"{n} {kind}" for kind, n in self.kinds.items())
        same = "training sees no difference" if self.sha256_before == self.sha256_after else "training sees other labels"
        return f"{len(self.changes)} changes among {self.n_before} → {self.n_after} prompts ({kinds}); {same}."

    def to_json(self) -> dict[str, Any]:
        def state(one: State | None) -> dict[str, Any] | None:
            return None if one is None else one.to_json()

        return {
            "n_before": self.n_before, "n_after": self.n_after, "sha256_before": self.sha256_before, "sha256_after": self.sha256_after,
            "kinds": self.kinds, "moves": [[a, b, n] for (a, b), n in self.moves.items()],
            "per_domain": {name: asdict(flow) for name, flow in self.per_domain.items()},
            "changes": [
                {"id": one.prompt_id, "kind": one.kind, "before": state(one.before), "after": state(one.after)} for one in self.changes
            ],
        }  # fmt: skip


def place(state: State | None) -> str:
    """Where a prompt is counted: its domain, or "(not there)", "(no label)", "(not routable)"."""
    if state is None:
        return "(not there)"
    return "(not routable)" if not state.routable else state.domain or "(no label)"


def compare_labels(before: Mapping[str, State], after: Mapping[str, State]) -> LabelDiff:
    """Pure; the order of the mappings plays no part."""
    changes = tuple(Changed(one, before.get(one), after.get(one)) for one in sorted({*before, *after}) if before.get(one) != after.get(one))
    moved = Counter((a, b) for one in changes if (a := place(one.before)) != (b := place(one.after)))
    kinds = Counter(one.kind for one in changes)
    was, now = Counter(map(place, before.values())), Counter(map(place, after.values()))
    flows = {}
    for name in sorted({name for move in moved for name in move} - {"(not there)"}):
        entered, left = (sum(n for move, n in moved.items() if move[side] == name) for side in (1, 0))
        flows[name] = DomainFlow(was[name], entered, left, now[name])
    return LabelDiff(
        changes, dict(kinds.most_common()), dict(sorted(moved.items(), key=lambda item: (-item[1], item[0]))), flows,
        len(before), len(after), labels_sha256(before), labels_sha256(after),
    )  # fmt: skip
