"""The domains as they are, a change looked at before it is applied, and the way back."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lab.curation.taxonomy_draft import Draft
from lab.errors import InputError
from lab.use_cases.taxonomies import TaxonomyPlan
from pages.shared import people
from pages.shared.curation_common import NAME_FIRST, moments, person, plural, revision, say, when, wide
from pages.shared.curation_taxonomy_forms import FORMS
from pages.shared.frame import bench, literal, show_error


def taxonomy() -> None:
    _domains()
    _strays()
    st.subheader("Change it", anchor=False)
    if not people.may("maintainer"):
        st.caption("You can look at a preview; applying it needs a maintainer.")
    kind = st.segmented_control("Change", list(FORMS), key="change", label_visibility="collapsed")
    if kind:
        _form(kind)
    _versions()


def _form(kind: str) -> None:
    """The form, and the preview of what it said when the button was pressed; a changed form is looked at again."""
    filled = FORMS[kind]()
    if filled is None:
        return
    given = (kind, bench().taxonomy.version, filled.given)
    if st.button("Preview", icon=":material/visibility:", key="preview", disabled=not filled.complete):
        st.session_state.pop("draft", None)
        try:
            st.session_state["draft"] = (given, filled.draft())
        except InputError as error:
            show_error(error)
    known = st.session_state.get("draft")
    if known and known[0] == given:
        _preview(known[1])
    elif known and known[0][0] == kind:
        st.caption("The form has changed: look at the preview again.")


def _domains() -> None:
    counts, _ = bench().standing()
    backends = bench().backends
    rows = [
        {
            "Domain": one.name, "Prompts": counts.get(one.name, 0), "Backend": backends.backend.get(one.name, ""), "Definition": one.definition,
            "Border": one.border, "Also called": ", ".join(one.aliases),
        }
        for one in bench().taxonomy.domains
    ]  # fmt: skip
    st.caption(f"{plural(len(rows), 'domain')}, version {bench().taxonomy.version}")
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, height=320, key="domains",
        column_config={
            "Prompts": st.column_config.NumberColumn(width=70), "Backend": st.column_config.TextColumn(width=190),
            "Definition": st.column_config.TextColumn(width="large"), "Border": st.column_config.TextColumn(width="medium"),
        },
    )  # fmt: skip


def _strays() -> None:
    found = _stray(*revision(), bench().taxonomy.version)
    if not found:
        return
    st.warning(f"{plural(found, 'label')} crossed a change of the taxonomy and still {'has' if found == 1 else 'have'} an old name.", icon=":material/label_off:")
    if people.may("maintainer") and st.button("Give them the names of today", icon=":material/label:", key="mend", disabled=person() is None):
        done = bench().mend_strays(person("maintainer"))
        say("success", f"{plural(done.applied, 'label')} renamed.")
        st.rerun()


@st.cache_resource(max_entries=4, ttl=600, show_spinner=False)
def _stray(address: str, newest: int, version: int) -> int:
    return len(bench().strays())


def _preview(draft: Draft) -> None:
    try:
        plan = bench().plan_taxonomy(draft)
    except InputError as error:
        show_error(error)
        return
    with st.container(border=True):
        st.markdown(f"**{literal(plan.change.title)}**, version {plan.change.before.version} → {plan.change.after.version}")
        show_plan(plan, "draft")
        if not people.may("maintainer"):
            return
        who = person("maintainer")
        if st.button("Apply", type="primary", icon=":material/check:", key="apply-taxonomy", disabled=who is None, help=NAME_FIRST if who is None else None):
            done = bench().apply_taxonomy(who, draft)
            for key in ("draft", "domain_from", "change"):
                st.session_state.pop(key, None)
            say("success", f"{done.title}: version {done.version}, {plural(done.moved, 'label')} moved. It can be reverted below.")
            st.rerun()


def show_plan(plan: TaxonomyPlan, key: str) -> None:
    """What a change would do: labels, evaluation set, who answers, samples."""
    moved = len(plan.change.migrations)
    test = plan.preview.per_split.get("test", 0)
    said = f"{plural(moved, 'label')} would move" if moved else "No label would move"
    st.markdown(f"{said}." + (f" {test:,} of them on the test side: the evaluation set gets a new version." if test else ""))
    for line in plan.change.consequences:
        st.markdown(f":material/dns: {literal(line)}")
    for line in plan.change.warnings:
        st.markdown(f":material/warning: {literal(line)}")
    if not moved:
        return
    left, right = st.columns([2, 3], gap="medium")
    counts = [{"Domain": name, "Now": now, "Then": then, "Change": then - now} for name, (now, then) in plan.preview.counts.items()]
    if counts:
        left.dataframe(
            pd.DataFrame(counts), hide_index=True, height=min(280, 38 + 35 * len(counts)), key=f"{key}-counts",
            column_config={"Change": st.column_config.NumberColumn(format="%+d")},
        )  # fmt: skip
    samples = [
        {"Prompt": plan.texts.get(one.prompt_id, ""), "From": str(one.before), "To": str(one.after)} for drawn in plan.preview.samples.values() for one in drawn
    ][:30]
    right.dataframe(
        pd.DataFrame(samples), hide_index=True, height=min(280, 38 + 35 * len(samples)), key=f"{key}-samples",
        column_config={"Prompt": wide(230)},
    )  # fmt: skip


def _versions() -> None:
    listed = bench().taxonomy_versions()
    if not listed:
        return
    st.subheader("Versions", anchor=False)
    frame = pd.DataFrame(
        {
            "Version": [one.version for one in listed],
            "When": moments([one.at_utc for one in listed]),
            "Who": [one.who for one in listed],
            "What": [one.title for one in listed],
        }
    )
    st.dataframe(frame, hide_index=True, height=min(250, 38 + 35 * len(frame)), key="versions", column_config={"When": when()})
    if people.may("maintainer"):
        off = {"disabled": person() is None, "help": NAME_FIRST if person() is None else None}
        if st.button(f"Revert version {listed[0].version} …", icon=":material/undo:", key="revert-taxonomy", **off):
            _confirm()


@st.dialog("Revert this change of the taxonomy?", width="large")
def _confirm() -> None:
    plan = bench().plan_taxonomy_revert()
    st.markdown(f"**{literal(plan.change.title)}**: the domains of version {plan.change.before.version - 1} again, as version {plan.change.after.version}.")
    show_plan(plan, "undo")
    left, right = st.columns(2)
    if left.button("Revert it", type="primary", icon=":material/undo:", width="stretch"):
        done = bench().revert_taxonomy(person("maintainer"), plan.change.before.version)
        say("success", f"{done.title}: version {done.version}, {plural(done.moved, 'label')} moved back.")
        st.rerun()
    if right.button("Keep it", width="stretch"):
        st.rerun()
