"""The four forms for a change of the taxonomy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from lab.curation.taxonomy_draft import Draft
from lab.taxonomy import Domain
from pages.shared.curation_common import plural
from pages.shared.frame import bench

MOST_PARTS = 4


@dataclass(frozen=True)
class Filled:
    """A form as it stands. ``given``: what was filled in, to see whether it has changed; ``draft`` makes the change it describes."""

    complete: bool
    given: tuple
    draft: Callable[[], Draft]


def _guideline(key: str, known: Domain | None = None, wanted: str = "") -> tuple[str, str]:
    """Definition and border. ``known``: the domain whose texts the fields begin with."""
    begin = known or Domain("", "", "", None, ())
    definition = st.text_area("Definition" + wanted, begin.definition, key=f"{key}-definition", height=80, placeholder="what belongs here")
    border = st.text_input("Border" + wanted, begin.border, key=f"{key}-border", placeholder="where the neighbours begin, for example: a pure C question: embedded")
    return definition.strip(), border.strip()


def _backend(key: str) -> str | None:
    models = sorted(set(bench().backends.backend.values()))
    return st.selectbox("Backend that answers it", models, index=None, placeholder="none yet", accept_new_options=True, key=key)


def _new() -> Filled:
    given = st.session_state.get("domain_from") or {"name": "", "ids": ()}
    left, right = st.columns(2, gap="medium")
    with left:
        name = st.text_input("Name", given["name"], key=f"new-name-{given['name']}", placeholder="power-audio", help="Small letters, digits and single hyphens.")
        backend = _backend("new-backend")
        if given["ids"]:
            st.caption(f"{plural(len(given['ids']), 'prompt')} of the traffic would get it as their label.")
            st.button("Without these prompts", icon=":material/close:", key="forget", on_click=st.session_state.pop, args=("domain_from", None))
    with right:
        definition, border = _guideline("new")
    draft = Draft("add", bench().taxonomy.version, domains=(Domain(name.strip(), definition, border, None, ()),), prompts=tuple(given["ids"]), backend=backend)
    return Filled(bool(name.strip()), (name, definition, border, backend, draft.prompts), lambda: draft)


def _rename() -> Filled:
    left, right = st.columns(2, gap="medium")
    with left:
        old = st.selectbox("Domain", sorted(bench().taxonomy.by_name), index=None, placeholder="Choose one", key="rename-old")
        name = st.text_input("New name", key="rename-name", help="The old one becomes an alias, so that routers trained with it still map.")
    with right:
        definition, border = _guideline(f"rename-{old}", bench().taxonomy.by_name.get(old or ""))
    draft = Draft("rename", bench().taxonomy.version, (old or "",), (Domain(name.strip(), definition, border, None, ()),))
    return Filled(bool(old and name.strip()), (old, name, definition, border), lambda: draft)


def _merge() -> Filled:
    left, right = st.columns(2, gap="medium")
    with left:
        names = st.multiselect("Domains", sorted(bench().taxonomy.by_name), key="merge-names", placeholder="Choose two or more")
        into = st.selectbox("Into", names, index=0 if names else None, accept_new_options=True, key=f"merge-into-{'-'.join(names)}", help="One of them, or a new name.")
        backend = _backend("merge-backend")
    with right:
        definition, border = _guideline(f"merge-{into}", bench().taxonomy.by_name.get(into or ""))
    draft = Draft("merge", bench().taxonomy.version, tuple(names), (Domain((into or "").strip(), definition, border, None, ()),), backend=backend)
    return Filled(len(names) > 1 and bool(into), (*names, into, definition, border, backend), lambda: draft)


def _split() -> Filled | None:
    left, right = st.columns([2, 1], gap="medium", vertical_alignment="bottom")
    name = left.selectbox("Domain", sorted(bench().taxonomy.by_name), index=None, placeholder="Choose one", key="split-name")
    count = right.number_input("Parts", 2, MOST_PARTS, 2, key="split-count")
    if not name:
        return None
    parts, words = [], {}
    for n, cell in enumerate(st.columns(count, gap="medium")):
        with cell:
            part = st.text_input(f"Part {n + 1}", name if n == 0 else "", key=f"part-{name}-{n}", placeholder=f"{name}-more").strip()
            known = bench().taxonomy.by_name[name] if n == 0 else None
            definition, border = _guideline(f"part-{name}-{n}", known)
            words[part] = st.text_input(
                "Words of its prompts", key=f"words-{name}-{n}", placeholder="commas between them",
                help="Prompts with one of them, and none of another part's, are its examples; the others go to the part whose examples they are most like.",
            )  # fmt: skip
            parts.append(Domain(part, definition, border, None, ()))
    names = [part.name for part in parts]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        heir = st.selectbox("Takes over the old name", [one for one in names if one] or [""], index=0, key="split-heir", disabled=name in names,
            help="Routers trained before answer the old name, which counts as this part.", width=260)  # fmt: skip
        unsure = st.number_input("Least sure, flagged (%)", 0, 100, 10, key="split-unsure", width=200, help="They go to that part too, and wait for a second opinion.")
    own = name if name in names else heir
    filled = (name, *parts, *words.items(), own, unsure)
    wanted = {part: _words(text) for part, text in words.items()}
    return Filled(all(names) and len(set(names)) == len(names), filled, lambda: _assigned(name, parts, wanted, own, unsure))


def _words(text: str) -> list[str]:
    return [word for one in text.casefold().split(",") if (word := one.strip())]


def _assigned(name: str, parts: list[Domain], words: dict[str, list[str]], heir: str, unsure: int) -> Draft:
    found = bench().propose_split(name, bench().prompts_with(name, words))
    order = sorted(found.margin, key=lambda one: found.margin[one])
    flagged = set(order[: len(order) * unsure // 100])
    assigned = {one: part for one, part in found.part.items() if one not in flagged}
    return Draft("split", bench().taxonomy.version, (name,), tuple(parts), assigned=assigned, heir=heir, rest=heir)


FORMS: dict[str, Callable[[], Filled | None]] = {"New domain": _new, "Rename": _rename, "Merge": _merge, "Split": _split}
