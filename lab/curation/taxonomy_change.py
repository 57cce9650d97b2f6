"""New domain, rename, merge, split: each a pure function from taxonomy and labels to a change that can be looked at and taken back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from lab.curation import taxonomy_rules as rules
from lab.curation.state import State
from lab.errors import InputError
from lab.taxonomy import Backends, Domain, Taxonomy

Labels = Mapping[str, State]


@dataclass(frozen=True)
class Migration:
    """``before``: the state that was seen when the change was made; a label changed since then is a conflict, as with every write."""

    prompt_id: str
    before: State
    after: State
    reason: str


@dataclass(frozen=True)
class TaxonomyChange:
    """``kind``: add, rename, merge, split, revert. ``back``: name that only ``after`` has → the name of ``before`` that takes its
    labels when the change is taken back (None: they lose it). ``consequences``: what changes in who answers; ``warnings``: what to look at."""

    kind: str
    title: str
    before: Taxonomy
    after: Taxonomy
    migrations: tuple[Migration, ...]
    backends_before: Backends
    backends_after: Backends
    back: Mapping[str, str | None]
    consequences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "title": self.title, "before": self.before.to_json(), "after": self.after.to_json(),
            "migrations": [
                {"id": one.prompt_id, "before": one.before.to_json(), "after": one.after.to_json(), "reason": one.reason}
                for one in self.migrations
            ],
            "backends_before": asdict(self.backends_before), "backends_after": asdict(self.backends_after), "back": dict(self.back),
            "consequences": list(self.consequences), "warnings": list(self.warnings),
        }  # fmt: skip

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> TaxonomyChange:
        return cls(
            raw["kind"], raw["title"], Taxonomy.from_json(raw["before"], "the taxonomy before"),
            Taxonomy.from_json(raw["after"], "the taxonomy after"),
            tuple(Migration(one["id"], State.from_json(one["before"]), State.from_json(one["after"]), one["reason"]) for one in raw["migrations"]),
            Backends(**raw["backends_before"]), Backends(**raw["backends_after"]), raw["back"], tuple(raw["consequences"]), tuple(raw["warnings"]),
        )  # fmt: skip


def add_domain(
    taxonomy: Taxonomy, labels: Labels, backends: Backends, new: Domain, prompts: Collection[str] = (), backend: str | None = None
) -> TaxonomyChange:
    """``prompts``: ids that get the new domain as their label (a cluster of the traffic). InputError for a name that is taken, a
    missing definition or border, an id that is not in ``labels``."""
    rules.check_domain(new)
    missing = [one for one in prompts if one not in labels]
    if missing:
        raise InputError(f"Prompt {missing[0]} is not in the project ({len(missing)} such).", "Import it first.")
    title = f"New domain {new.name}"
    moved = {one: replace(labels[one], domain=new.name, routable=True) for one in prompts}
    after = rules.successor(taxonomy, [*taxonomy.domains, new])
    told = Backends({**backends.backend, **({new.name: backend} if backend else {})}, dict(backends.specialist))
    warnings = [f"No router knows {new.name} until one is trained on its prompts.", *rules.few({new.name: len(moved)})]
    return _change("add", title, taxonomy, after, labels, moved, backends, told, {new.name: None}, warnings)


def rename_domain(
    taxonomy: Taxonomy, labels: Labels, backends: Backends, old: str, name: str, definition: str = "", border: str = ""
) -> TaxonomyChange:
    """The old name becomes an alias, so that routers trained with it still map. Definition and border stay where none is given."""
    was = rules.known(taxonomy, old)
    if name == old:
        raise InputError(f"'{old}' has this name already.", "Give another name.")
    aliases = tuple(dict.fromkeys(one for one in (*was.aliases, old) if one != name))
    new = Domain(name, definition or was.definition, border or was.border, was.v5, aliases)
    rules.check_domain(new)
    after = rules.successor(taxonomy, [new if one.name == old else one for one in taxonomy.domains])
    moved = {one: renamed for one, state in labels.items() if (renamed := rules.mapped(state, {old: name})) != state}
    told = rules.rehoused(backends, {old: [name]})
    warnings = [f"Routers trained before answer {old}, which counts as {name}.", *rules.mentions(after, [old])]
    return _change("rename", f"Rename {old} to {name}", taxonomy, after, labels, moved, backends, told, {name: old}, warnings)


def merge_domains(
    taxonomy: Taxonomy, labels: Labels, backends: Backends, names: Sequence[str], into: Domain | str, backend: str | None = None
) -> TaxonomyChange:
    """``into``: one of ``names``, which keeps its definition, or a Domain (of a new name, or of one of ``names`` with a new
    definition). The other names and all aliases become aliases of it."""
    merged = [rules.known(taxonomy, name) for name in dict.fromkeys(names)]
    if len(merged) < 2:
        raise InputError("A merge needs two domains.", "Name at least two.")
    target = rules.merge_target(merged, into)
    gone = [one.name for one in merged if one.name != target.name]
    after = rules.successor(taxonomy, [*(one for one in taxonomy.domains if one not in merged), target])
    moved = {one: new for one, state in labels.items() if (new := rules.mapped(state, dict.fromkeys(gone, target.name))) != state}
    keeper = target.name if target.name in names else merged[0].name
    told = rules.rehoused(backends, {keeper: [target.name]} | {one.name: [] for one in merged if one.name != keeper})
    if backend:
        told.backend[target.name] = backend
    lost = [one.v5 for one in merged if one.v5 and one.v5 != target.v5]
    warnings = [
        f"Routers trained before answer {', '.join(gone)}, which counts as {target.name}.",
        *([f"Router v5 parts {', '.join(lost)} from {target.v5}; from now on only {target.v5} stands for {target.name}."] if lost else []),
        *rules.mentions(after, gone),
    ]
    title = f"Merge {', '.join(one.name for one in merged)} into {target.name}"
    back = {target.name: keeper} if target.name not in taxonomy.by_name else {}
    return _change("merge", title, taxonomy, after, labels, moved, backends, told, back, warnings)


def split_domain(
    taxonomy: Taxonomy, labels: Labels, backends: Backends, name: str, parts: Sequence[Domain], assigned: Mapping[str, str],
    heir: str, rest: str | None = None,
) -> TaxonomyChange:  # fmt: skip
    """``assigned``: prompt id → part. ``heir``: the part that takes the old name and aliases, so that old routers still map; it may
    bear the old name. ``rest``: the part of prompts that nobody assigned, flagged for a second opinion; without it they are refused.

    A prompt that has the domain only as an also goes to its assigned part, else to ``rest``, else to ``heir``.
    """
    was = rules.known(taxonomy, name)
    new = rules.split_parts(was, parts, heir)
    names = {one.name for one in new}
    odd = sorted({*assigned.values(), *filter(None, [rest])} - names)
    if odd:
        raise InputError(f"'{odd[0]}' is no part of the split.", f"The parts are {', '.join(sorted(names))}.")
    moved: dict[str, State] = {}
    without = 0
    for one, state in labels.items():
        if state.domain != name and name not in state.also:
            continue
        part = assigned.get(one) or rest
        without += state.domain == name and part is None
        after_state = rules.mapped(state, {name: part or heir})
        if state.domain == name and one not in assigned:
            after_state = replace(after_state, flagged=True)
        if after_state != state:
            moved[one] = after_state
    if without:
        raise InputError(f"{without} prompts of {name} have no part.", "Assign them, or name a part for the rest.")
    after = rules.successor(taxonomy, [*(one for one in taxonomy.domains if one.name != name), *new])
    told = rules.rehoused(backends, {name: sorted(names)})
    sizes = {part: sum(assigned.get(one, rest) == part for one, state in labels.items() if state.domain == name) for part in sorted(names)}
    outside = sum(one not in labels or name not in (labels[one].domain, *labels[one].also) for one in assigned)
    warnings = [
        f"Routers trained before answer {name}, which counts as {heir}; they cannot answer {', '.join(sorted(names - {heir}))}.",
        *rules.few(sizes),
        *([f"{outside} assigned prompts are not labelled {name} and stay as they are."] if outside else []),
        *(rules.mentions(after, [name]) if name not in names else []),
    ]
    back = {part: name for part in names if part not in taxonomy.by_name}
    return _change("split", f"Split {name} into {', '.join(sorted(names))}", taxonomy, after, labels, moved, backends, told, back, warnings)


def revert(change: TaxonomyChange, current: Taxonomy, labels: Labels) -> TaxonomyChange:
    """The change back, on the labels of today. InputError if the taxonomy has changed since.

    A migrated label that stands as it was left goes back exactly. Any other label under a name that disappears goes where
    ``back`` says; if that is a guess (merge, new domain), it is flagged for a second opinion. Names that disappear become
    aliases, for the routers trained in between. The version goes on: history is not rewritten.
    """
    if current != change.after:
        raise InputError(
            f"The taxonomy is at version {current.version}; '{change.title}' made version {change.after.version}.",
            "Revert the later changes first.",
        )
    guess = change.kind in ("add", "merge")
    left = {one.prompt_id: one for one in change.migrations}
    moved: dict[str, State] = {}
    guessed = 0
    for one, state in labels.items():
        done = left.get(one)
        if done and state == done.after:
            moved[one] = done.before
        elif (mapped := rules.mapped(state, change.back)) != state:
            guessed += guess
            moved[one] = replace(mapped, flagged=mapped.flagged or guess)
    domains = [
        replace(one, aliases=(*one.aliases, *sorted(new for new, old in change.back.items() if old == one.name and new not in one.aliases)))
        for one in change.before.domains
    ]
    after = rules.successor(current, domains)
    back = {name: current.canonical(name) for name in change.before.by_name if name not in current.by_name}
    since = f"{guessed} prompts were labelled {', '.join(change.back)} since: they are flagged for a second opinion."
    title = change.title.removeprefix("Revert: ") if change.kind == "revert" else f"Revert: {change.title}"
    return _change(
        "revert", title, current, after, labels, moved, change.backends_after, change.backends_before, back, [since] if guessed else []
    )


def _change(
    kind: str, title: str, before: Taxonomy, after: Taxonomy, labels: Labels, moved: Mapping[str, State], backends: Backends, told: Backends,
    back: Mapping[str, str | None], warnings: Sequence[str],
) -> TaxonomyChange:  # fmt: skip
    reason = f"taxonomy {after.version}: {title}"
    migrations = tuple(Migration(one, labels[one], moved[one], reason) for one in sorted(moved) if moved[one] != labels[one])
    consequences = rules.consequences(before, after, backends, told, back)
    return TaxonomyChange(kind, title, before, after, migrations, backends, told, dict(back), tuple(consequences), tuple(warnings))
