"""Gateway logs in: masked before anything is stored, scored, queued; groups of prompts that no domain fits."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lab.curation.masks import PATTERNS, documented
from lab.curation.traffic import ALIASES
from lab.errors import InputError
from lab.files import sha256_bytes
from lab.use_cases.traffic import NewDomain, NewDomains, TrafficPlan
from pages.shared import people
from pages.shared.curation_common import NAME_FIRST, chosen, moments, person, plural, revision, say, show, wide
from pages.shared.frame import bench, literal, show_error

MOST = 50_000
"""New prompts that the page takes; a larger log goes through the command line."""
LISTED = 1_000
KINDS = ["jsonl", "ndjson", "csv", "tsv", "parquet", "json", "zip"]


def traffic() -> None:
    _import()
    summary = bench().traffic_summary()
    if not summary.prompts:
        return
    _so_far(summary)
    _new_domains(summary.unlabelled)


def _import() -> None:
    st.subheader("Import a log", anchor=False)
    round_ = st.session_state.setdefault("traffic_round", 0)
    upload = st.file_uploader("A gateway's log: JSONL, CSV, Parquet, JSON, or a zip of such files", type=KINDS, key=f"traffic-{round_}")
    with st.expander(f"What is masked: {len(PATTERNS)} patterns", icon=":material/password:"):
        _masks()
    with st.expander("Names of the columns", icon=":material/view_column:"):
        st.caption("Known names are found by themselves. Write one only where the log calls it otherwise; a dot goes into an object.")
        cells = st.columns(3)
        columns = {
            field: name.strip()
            for n, field in enumerate(ALIASES)
            if (name := cells[n % 3].text_input(field.capitalize(), key=f"column-{field}", placeholder=ALIASES[field][0])).strip()
        }
    if upload is None:
        st.caption("Nothing is stored before you have seen what was masked.")
        return
    try:
        plan = _plan(*revision(), sha256_bytes(upload.getvalue()), upload.name, tuple(sorted(columns.items())), upload.getvalue())
    except InputError as error:
        show_error(error)
        return
    _preview(plan)
    if not people.may("curator"):
        return
    who = person()
    if plan.before:
        st.warning(literal(f"This very file was imported on {plan.before.at_utc[:10]} by {plan.before.who}."), icon=":material/history:")
    elif len(plan.new) > MOST:
        st.warning(f"{len(plan.new):,} new prompts; the page takes {MOST:,}. Use: python -m lab traffic import FILE", icon=":material/terminal:")
    elif st.button(
        f"Import {plural(len(plan.new), 'new prompt')}", type="primary", icon=":material/check:", key="traffic-apply",
        disabled=who is None or not plan.reading.prompts, help=NAME_FIRST if who is None else None,
    ):  # fmt: skip
        _apply(plan, who, round_)


def _apply(plan: TrafficPlan, who, round_: int) -> None:
    bar = st.progress(0.0, "Reading the prompts …")
    done = bench().apply_traffic(who, plan, lambda stage, n, of: bar.progress(n / max(1, of), f"{stage}: {n:,} of {of:,}"))
    st.session_state["traffic_round"] = round_ + 1
    other = f" The gateway chose another domain for {done.other:,} of {done.compared:,}." if done.compared else ""
    say(
        "success",
        f"{plural(done.new, 'new prompt')}, {done.known:,} known. {done.router} abstains on {done.unsure:,}; {done.outside:,} are unlike what it "
        f"was trained on.{other} {done.queued:,} wait in the queue “From traffic”.",
    )
    st.rerun()


@st.cache_resource(max_entries=2, ttl=1_800, show_spinner="Reading and masking …")
def _plan(address: str, newest: int, sha256: str, name: str, columns: tuple, _data: bytes) -> TrafficPlan:
    return bench().plan_traffic(_data, name, dict(columns))


def _preview(plan: TrafficPlan) -> None:
    reading = plan.reading
    accepted = sum(one.count for one in reading.prompts)
    values = {
        "Records": reading.read, "New": len(plan.new), "Known": plan.known, "Duplicates": accepted - len(reading.prompts), "Refused": len(reading.refused),
    }  # fmt: skip
    for cell, (label, value) in zip(st.columns(5), values.items(), strict=True):
        cell.metric(label, f"{value:,}")
    found = ", ".join(f"{field}: {', '.join(names)}" for field, names in reading.columns.items())
    st.caption(literal(f"{reading.name} · sha256 {reading.sha256[:12]} · read from {found or 'no known column'}"))
    if reading.unread:
        st.caption(literal("Not readable: " + ", ".join(f"{n} {what}" for what, n in reading.unread.items())))
    tables = {
        "Prompts": [
            {"Prompt, masked": one.text, "Seen": one.count, "Domain": one.domain, "Score": one.score, "Last": one.last_utc} for one in plan.new[:LISTED]
        ],
        "Masked": [{"Pattern": name, "Values": n} for name, n in reading.masked.items()],
        "Refused": [{"Where": one.where, "Why": one.reason, "Beginning": getattr(one, "excerpt", "")} for one in reading.refused[:LISTED]],
        "Read over": [{"Column": name, "Records": n} for name, n in reading.unused.items()],
    }  # fmt: skip
    there = {name: rows for name, rows in tables.items() if rows}
    if there:
        name = st.segmented_control("List", list(there), default=next(iter(there)), required=True, key="traffic-list", label_visibility="collapsed")
        frame = pd.DataFrame(there[name])
        st.dataframe(
            frame, hide_index=True, height=min(300, 38 + 35 * len(frame)), key="traffic-rows",
            column_config={"Prompt, masked": st.column_config.TextColumn(width="large"), "Why": st.column_config.TextColumn(width="large")},
        )  # fmt: skip
    st.caption(f"{plural(sum(reading.masked.values()), 'value')} masked." if reading.masked else "No value had to be masked.")


def _masks() -> None:
    st.caption("On the way in, before anything is stored or shown. Each find becomes its mark.")
    frame = pd.DataFrame(documented()).rename(columns={"mark": "Mark", "meaning": "What"})[["Mark", "What"]]
    st.dataframe(frame, hide_index=True, height=300, key="masks", column_config={"Mark": st.column_config.TextColumn(width=110), "What": st.column_config.TextColumn(width=620)})


def _so_far(summary) -> None:
    st.subheader("Traffic so far", anchor=False)
    span = f", {summary.first_at[:10]} to {summary.last_at[:10]}" if summary.first_at else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"**{plural(summary.prompts, 'prompt')}** seen {plural(summary.requests, 'time')}{span}; **{summary.unlabelled:,}** without a label.",
            width="stretch",
        )
        st.page_link("pages/queue.py", label="Queue “From traffic”", icon=":material/inbox:", query_params={"queue": "from-traffic"})
    waiting = st.toggle("Only prompts without a label", key="waiting", bind="query-params")
    rows = bench().traffic_rows(LISTED, waiting)
    frame = pd.DataFrame(
        {
            "Prompt": [row.prompt.text for row in rows],
            "Seen": [row.count for row in rows],
            "Last": moments([row.last_at for row in rows]),
            "Gateway chose": [row.domain for row in rows],
            "Score": [row.score for row in rows],
            "Router says": [row.top[0][0] if row.top else "" for row in rows],
            "Probability": [round(row.top[0][1], 2) if row.top else None for row in rows],
            "Label": [str(row.state) if row.state.domain or not row.state.routable else "" for row in rows],
            "Feedback": [" · ".join(row.feedback) for row in rows],
        }
    )
    if not frame["Feedback"].any():
        frame = frame.drop(columns="Feedback")
    config = {
        "Prompt": wide(300), "Last": st.column_config.DatetimeColumn(format="YYYY-MM-DD", help="UTC", width=90),
        "Score": st.column_config.NumberColumn(format="%.2f", width=60), "Seen": st.column_config.NumberColumn(width=50),
        "Probability": st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1, width=110),
    }  # fmt: skip
    st.dataframe(frame, hide_index=True, height=min(320, 38 + 35 * len(frame)), key="traffic-table", column_config=config)
    if len(rows) == LISTED:
        st.caption(f"The {LISTED:,} most frequent.")


def _new_domains(unlabelled: int) -> None:
    st.subheader("Candidates for a new domain", anchor=False)
    if not unlabelled:
        st.caption("Every prompt of the traffic has a label.")
        return
    if not st.session_state.get("look_for_domains"):
        st.caption("Groups among the prompts that the router abstains on, or that are unlike what it was trained on.")
        st.button("Look for groups", icon=":material/bubble_chart:", key="look", on_click=st.session_state.update, args=({"look_for_domains": True},))
        return
    found = _candidates(*revision(), bench().taxonomy.version, bench().router_names()[0])
    left_out = f"; {found.looked_at:,} of them, drawn at random, were grouped" if found.looked_at < found.unrouted else ""
    st.caption(
        f"Of {plural(found.waiting, 'prompt')} without a label {literal(found.router)} cannot route {found.unrouted:,}{left_out}. "
        f"{plural(len(found.offered), 'group')}; {plural(found.alone, 'prompt')} in none."
    )
    if not found.offered:
        return
    frame = pd.DataFrame(
        {
            "Group": [one.name for one in found.offered],
            "Prompts": [len(one.ids) for one in found.offered],
            "Nearest domain": [f"{one.nearest[0]} {one.nearest[1]:.0%}" if one.nearest else "" for one in found.offered],
            "Typical words": [", ".join(word for word, _, _ in one.words) for one in found.offered],
        }
    )
    config = {"Nearest domain": st.column_config.TextColumn(help="The domain with the highest mean probability, and that mean."), "Typical words": wide()}
    st.dataframe(frame, hide_index=True, height=min(300, 38 + 35 * len(frame)), key="groups", on_select="rerun", selection_mode="single-row", column_config=config)
    row = chosen("groups")
    _candidate(found.offered[row if row is not None and row < len(found.offered) else 0])


@st.cache_resource(max_entries=2, ttl=1_800, show_spinner="Looking for groups …")
def _candidates(address: str, newest: int, taxonomy: int, router: str) -> NewDomains:
    return bench().new_domains()


def _candidate(one: NewDomain) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{literal(one.name)}** · {plural(len(one.ids), 'prompt')}, some of them:", width="stretch")
            st.button("New domain from these", icon=":material/add:", key="domain-from", on_click=_draft, args=(one,))
        for text in one.samples:
            st.text(text)


def _draft(one: NewDomain) -> None:
    """The form under Taxonomy, filled in."""
    st.session_state["domain_from"] = {"name": one.name, "ids": one.ids}
    st.session_state["change"] = "New domain"
    show("Taxonomy")
