"""What a taxonomy may look like, and what follows from changing it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lab.curation.state import State
from lab.errors import InputError
from lab.taxonomy import Backends, Domain, Taxonomy

SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
MAX_NAME = 40
FEW = 20
"""Below this many prompts a domain is warned about: no held-out figure can judge it."""


def check_domain(domain: Domain) -> None:
    """InputError for a name that is no slug, or a missing definition or border."""
    if len(domain.name) > MAX_NAME or not SLUG.fullmatch(domain.name):
        raise InputError(
            f"'{domain.name[:60]}' cannot be the name of a domain.",
            f"Small letters, digits and single hyphens, at most {MAX_NAME}: power-audio.",
        )
    for what, text in (("definition", domain.definition), ("border", domain.border)):
        if not text.strip():
            raise InputError(
                f"Domain '{domain.name}' has no {what}.", "Curators need both: what belongs here, and where the neighbours begin."
            )


def known(taxonomy: Taxonomy, name: str) -> Domain:
    if name not in taxonomy.by_name:
        other = taxonomy.canonical(name)
        raise InputError(f"There is no domain '{name}'.", f"It is an alias of {other}." if other != name else "Choose one of the taxonomy.")
    return taxonomy.by_name[name]


def successor(taxonomy: Taxonomy, domains: Sequence[Domain]) -> Taxonomy:
    """The next version, in the order of names. InputError if a name or alias stands twice."""
    used = Counter(name for one in domains for name in (one.name, *one.aliases))
    twice = sorted(name for name, n in used.items() if n > 1)
    if twice:
        holders = sorted({one.name for one in domains if twice[0] in (one.name, *one.aliases)})
        raise InputError(f"The name '{twice[0]}' is taken: it is a name or alias of {' and of '.join(holders)}.", "Choose another name.")
    return Taxonomy(taxonomy.version + 1, taxonomy.rule, tuple(sorted(domains, key=lambda one: one.name)))


def merge_target(merged: Sequence[Domain], into: Domain | str) -> Domain:
    """The domain that stands for all of ``merged``, with their names and aliases."""
    by_name = {one.name: one for one in merged}
    if isinstance(into, str):
        if into not in by_name:
            raise InputError(f"'{into}' is none of the merged domains.", "Name one of them, or describe the new domain.")
        into = by_name[into]
    check_domain(into)
    aliases = dict.fromkeys((*into.aliases, *(name for one in merged for name in (one.name, *one.aliases))))
    v5 = into.v5 or next((one.v5 for one in merged if one.v5), None)
    return replace(into, v5=v5, aliases=tuple(name for name in aliases if name != into.name))


def split_parts(was: Domain, parts: Sequence[Domain], heir: str) -> list[Domain]:
    """The parts with what they inherit: all the v5 name, the heir also the old name and aliases."""
    names = [one.name for one in parts]
    if len(set(names)) != len(names) or len(names) < 2:
        raise InputError("A split needs two parts of different names.", "Describe at least two.")
    if heir not in names or (was.name in names and heir != was.name):
        raise InputError(
            f"'{heir}' cannot take over the name {was.name}.", f"Choose one of {', '.join(names)}; a part of the old name keeps it."
        )
    out = []
    for one in parts:
        check_domain(one)
        aliases = (*one.aliases, *was.aliases, was.name) if one.name == heir else one.aliases
        out.append(replace(one, v5=one.v5 or was.v5, aliases=tuple(dict.fromkeys(name for name in aliases if name != one.name))))
    return out


def mapped(state: State, names: Mapping[str, str | None]) -> State:
    """``state`` with its labels renamed; a label that maps to None is dropped."""
    domain = names.get(state.domain, state.domain) if state.domain else None
    also = tuple(name for one in state.also if (name := names.get(one, one)))
    return replace(state, domain=domain, also=also)


def rehoused(backends: Backends, names: Mapping[str, Sequence[str]]) -> Backends:
    """Each new name gets the model of the old one; an old name with no new one leaves the map."""

    def moved(models: Mapping[str, str]) -> dict[str, str]:
        out: dict[str, str] = {}
        for domain, model in models.items():
            out |= dict.fromkeys(names.get(domain, [domain]), model)
        return out

    return Backends(moved(backends.backend), moved(backends.specialist))


def consequences(before: Taxonomy, after: Taxonomy, was: Backends, now: Backends, back: Mapping[str, str | None]) -> list[str]:
    """Sentences: whose prompts reach another model from now on, and which new domain has none."""
    out = []
    for name in before.by_name:
        final = after.canonical(name)
        old, new = was.backend.get(name), now.backend.get(final)
        if final in after.by_name and old != new:
            out.append(f"Prompts of {name} go from {old or 'no model'} to {new or 'no model'}.")
    for name in after.by_name:
        if name not in before.by_name and name not in now.backend:
            out.append(f"{name} has no backend model: until it has one, every confusion with it counts as one that costs.")
        elif name not in before.by_name and back.get(name, name) is None:
            out.append(f"Prompts of {name} go to {now.backend[name]}.")
    return out


def mentions(taxonomy: Taxonomy, names: Sequence[str]) -> list[str]:
    """Guidelines that still speak of a name that is gone."""
    out = []
    for name in names:
        word = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
        holders = [one.name for one in taxonomy.domains if word.search(one.definition) or word.search(one.border)]
        if holders:
            out.append(f"The guideline of {', '.join(holders)} says '{name}': read it again.")
    return out


def few(sizes: Mapping[str, int]) -> list[str]:
    return [f"{name} has {n} prompts: under {FEW}, no figure can judge it." for name, n in sizes.items() if n < FEW]
