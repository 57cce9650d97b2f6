"""Labelled prompts as files: a preview before anything is taken in, and exports that are made when they are asked for."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import streamlit as st

from lab.curation.diff import place
from lab.curation.formats.export import FORMATS
from lab.errors import InputError
from lab.files import sha256_bytes
from lab.use_cases.collecting import ImportPlan
from pages.shared import people
from pages.shared.curation_common import NAME_FIRST, person, plural, revision, say, wide
from pages.shared.frame import bench, literal, show_error

KINDS = ["jsonl", "ndjson", "csv", "tsv", "parquet", "json", "zip"]
POLL_S = 2.0


def files() -> None:
    left, right = st.columns([3, 2], gap="large")
    with left:
        _import()
    with right:
        _export()


def _import() -> None:
    st.subheader("Import", anchor=False)
    round_ = st.session_state.setdefault("import_round", 0)
    upload = st.file_uploader(
        "Labelled prompts: JSONL, CSV, Parquet, a Hugging Face folder as zip, Argilla or Label Studio JSON", type=KINDS, key=f"import-{round_}"
    )
    if upload is None:
        st.caption("Nothing is taken in before you have seen what it would do.")
        return
    try:
        plan = _plan(*revision(), sha256_bytes(upload.getvalue()), upload.name, upload.getvalue())
    except InputError as error:
        show_error(error)
        return
    _figures(plan)
    _lists(plan)
    if not people.may("curator"):
        return
    keep = st.toggle("Only new prompts: labels of known ones stay", key="import-keep", disabled=not plan.changed)
    n = len(plan.new) + (0 if keep else len(plan.changed))
    who = person()
    if st.button(
        f"Apply {plural(n, 'change')} as one batch", type="primary", icon=":material/check:", key="import-apply", disabled=not n or who is None,
        help=NAME_FIRST if who is None else None,
    ):  # fmt: skip
        done = bench().apply_import(who, plan, not keep)
        st.session_state["import_round"] = round_ + 1
        kept = f" {plural(done.conflicts, 'label')} changed meanwhile: see Conflicts." if done.conflicts else ""
        say("success", f"{plural(done.applied, 'prompt')} of {plan.reading.name} stored as one batch; History takes it back.{kept}")
        st.rerun()


@st.cache_resource(max_entries=2, ttl=1_800, show_spinner="Reading …")
def _plan(address: str, newest: int, sha256: str, name: str, _data: bytes) -> ImportPlan:
    return bench().plan_import(_data, name)


def _figures(plan: ImportPlan) -> None:
    reading = plan.reading
    values = {"New": len(plan.new), "Other label": len(plan.changed), "Same": plan.same, "Repeated": len(reading.repeated), "Refused": len(reading.refused)}
    for cell, (label, value) in zip(st.columns(5), values.items(), strict=True):
        cell.metric(label, f"{value:,}")
    st.caption(literal(f"{reading.name} · {reading.format} · {plural(reading.read, 'record')} · sha256 {reading.sha256[:12]}"))
    unlabelled = sum(row.domain is None and row.routable for row in plan.new)
    if unlabelled:
        st.caption(f"{plural(unlabelled, 'new prompt')} without a label: {'it comes' if unlabelled == 1 else 'they come'} in without one.")


def _lists(plan: ImportPlan) -> None:
    reading = plan.reading
    tables = {
        "Other label": [{"Prompt": row.text, "Now": str(state), "In the file": str(row.state), "Where": row.where} for row, state in plan.changed],
        "New": [{"Prompt": row.text, "Label": str(row.state), "Side": row.split, "Where": row.where} for row in plan.new],
        "Refused": [{"Where": one.where, "Why": one.reason, "Beginning": getattr(one, "excerpt", "")} for one in reading.refused],
        "Repeated": [{"Where": one.where, "Why": one.reason} for one in reading.repeated],
        "Renamed": [{"In the file → here": name, "Labels": n} for name, n in reading.renamed.items()],
        "Side stays": [{"Where": one.where, "Why": one.reason} for one in reading.kept_split],
        "Read over": [{"Key": name, "Records": n} for name, n in reading.unused.items()]
        + [{"Key": one.where, "Why": one.reason} for one in reading.skipped],
    }
    there = {name: rows for name, rows in tables.items() if rows}
    if not there:
        return
    name = st.segmented_control("List", list(there), default=next(iter(there)), required=True, key="import-list", label_visibility="collapsed")
    rows = there[name]
    st.dataframe(
        pd.DataFrame(rows[:500]), hide_index=True, height=min(300, 38 + 35 * min(500, len(rows))), key="import-rows",
        column_config={"Prompt": wide(230), "Why": wide()},
    )  # fmt: skip
    if len(rows) > 500:
        st.caption(f"The first 500 of {len(rows):,}.")
    if plan.changed and name == "Other label":
        moves = Counter((place(state), place(row.state)) for row, state in plan.changed)
        st.caption(literal("; ".join(f"{a} → {b} {n}" for (a, b), n in moves.most_common(6))))


def _export() -> None:
    st.subheader("Export", anchor=False)
    only = st.radio("What", ["Everything", "Changed only"], key="what", bind="query-params", horizontal=True, help="Changed: since the shipped corpus.")
    form = st.selectbox("Format", list(FORMATS), format_func=lambda name: FORMATS[name].title, key="format", bind="query-params")
    st.caption(f"Labels as they are now, sha256 {_digest(*revision())[:16]}: what training can see of them, whatever the format.")
    made = st.session_state.setdefault("exports", {})
    wanted = (*revision(), only, form)
    changed = [one.prompt.id for one in bench().changes()] if only == "Changed only" else None
    if changed is not None and not changed:
        st.info("Nothing has changed since the shipped corpus.", icon=":material/event_available:")
        return
    lab = bench()

    def make() -> bytes:
        """Runs when the button is pressed, outside of the page's run."""
        export = lab.export_set(form, changed)
        made[wanted] = (export.sha256, export.n, len(export.data))
        return export.data

    st.download_button(
        f"Download {'the whole set' if changed is None else plural(len(changed), 'prompt')}", make, f"curation-set{FORMATS[form].suffix}",
        FORMATS[form].media_type, icon=":material/download:", key="export", on_click="ignore",
    )  # fmt: skip
    st.fragment(_hash, run_every=None if wanted in made else POLL_S)(wanted)


@st.cache_resource(max_entries=4, ttl=600, show_spinner=False)
def _digest(address: str, newest: int) -> str:
    return bench().labels_hash()


def _hash(wanted: tuple) -> None:
    """The file's hash, which is known once it is made: a press of the button runs no script, so this looks until then."""
    done = st.session_state["exports"].get(wanted)
    if done is None:
        st.session_state["export_open"] = wanted
        st.caption("The file is made when you press the button; its hash stands here then. The same labels give the same bytes.")
        return
    if st.session_state.pop("export_open", None):
        st.rerun()  # ends the looking
    sha256, n, size = done
    st.caption(f"{n:,} prompts, {size:,} bytes, sha256")
    st.code(sha256, language=None, wrap_lines=True)
