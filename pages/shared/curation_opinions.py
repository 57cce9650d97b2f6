"""How far curators agree, and decisions that were refused because the label had changed under them."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lab.curation.agreement import FEWEST, Agreement, agreements
from lab.curation.agreement import Decision as Opinion
from lab.curation.conflicts import Conflict
from lab.use_cases.reviewing import disagreements
from pages.shared import people
from pages.shared.curation_common import NAME_FIRST, chosen, moments, person, plural, prompt_panel, revision, say, when, wide
from pages.shared.frame import bench, literal


def opinions() -> None:
    every = st.toggle(
        "Count also decisions that saw the other's choice", key="led", bind="query-params",
        help="Off: of each prompt the first decision, and those made in Audit and Second opinions, where nobody's choice is shown.",
    )  # fmt: skip
    given, found = _agreements(*revision(), not every)
    if not found:
        _missing(given)
        return
    st.dataframe(
        pd.DataFrame([_row(one) for one in found]),
        hide_index=True,
        key="pairs-table",
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "Kappa": st.column_config.NumberColumn(format="%.2f", help="Cohen's kappa: 0 is what chance gives, 1 is full agreement."),
            "95 % low": st.column_config.NumberColumn(format="%.2f"),
            "95 % high": st.column_config.NumberColumn(format="%.2f"),
        },
    )
    st.caption(f"Choose a pair to see where they differ. From {FEWEST} prompts in common on a kappa is given; its interval is a bootstrap over prompts.")
    row = chosen("pairs-table")
    _pair(found[row if row is not None and row < len(found) else 0], given)


@st.cache_resource(max_entries=4, ttl=600, show_spinner="Measuring …")
def _agreements(address: str, newest: int, independent: bool) -> tuple[list[Opinion], list[Agreement]]:
    given = bench().opinions(independent)
    return given, agreements(given)


def _row(one: Agreement) -> dict:
    low, high = one.interval or (None, None)
    return {
        "First": one.first, "Second": one.second, "Prompts in common": one.n, "Same choice": one.same, "Kappa": one.kappa,
        "95 % low": low, "95 % high": high, "Note": one.note,
    }  # fmt: skip


def _missing(given: list[Opinion]) -> None:
    names = sorted({one.who for one in given})
    if not names:
        what = "Nobody has decided a prompt one by one yet."
    elif len(names) == 1:
        what = f"Only {names[0]} has decided prompts so far ({len(given):,})."
    else:
        what = f"{', '.join(names[:5])} have no prompt in common, decided without seeing the other's choice."
    st.info(
        literal(f"{what} For a kappa, two people must decide the same prompts without seeing each other's choice, at least {FEWEST} of them."),
        icon=":material/group:",
    )
    with st.container(horizontal=True):
        st.page_link("pages/queue.py", label="Second opinions", icon=":material/inbox:", query_params={"queue": "second-opinions"})
        st.page_link("pages/queue.py", label="Audit", icon=":material/inbox:", query_params={"queue": "audit"})


def _pair(one: Agreement, given: list[Opinion]) -> None:
    st.subheader(f"{literal(one.first)} and {literal(one.second)}", anchor=False)
    differ = disagreements(given, (one.first, one.second))
    if not differ:
        st.caption(f"They chose the same on all {one.n:,}.")
        return
    known = bench().state([prompt_id for prompt_id, _ in differ])
    listed = [(known[prompt_id], words) for prompt_id, words in differ if prompt_id in known]
    frame = pd.DataFrame(
        {
            "Prompt": [prompt.text for (prompt, _), _ in listed],
            one.first: [words[one.first] for _, words in listed],
            f"{one.second} ": [words[one.second] for _, words in listed],
            "Label now": [str(state) for (_, state), _ in listed],
        }
    )
    st.caption(f"They differ on {len(listed):,} of {one.n:,}. Choose one to settle it.")
    st.dataframe(
        frame, hide_index=True, height=min(360, 38 + 35 * len(frame)), key="differ-table", on_select="rerun", selection_mode="single-row",
        column_config={"Prompt": st.column_config.TextColumn(width="large")},
    )  # fmt: skip
    row = chosen("differ-table")
    if row is not None and row < len(listed):
        prompt_panel(listed[row][0][0].id, "differ")


def conflicts() -> None:
    listed = bench().conflicts()
    if not listed:
        st.info("No conflict is open: no decision was refused, or somebody has looked at each.", icon=":material/task_alt:")
        return
    st.caption(f"{plural(len(listed), 'decision')} refused: the label had changed between what the screen showed and the key.")
    known = bench().state([one.prompt_id for one in listed])
    frame = pd.DataFrame(
        {
            "When": moments([one.at_utc for one in listed]),
            "Who": [one.who for one in listed],
            "Prompt": [known[one.prompt_id][0].text for one in listed],
            "Seen": [str(one.seen) for one in listed],
            "Wanted": [str(one.wanted) for one in listed],
            "Found": [str(one.found) for one in listed],
        }
    )
    st.dataframe(
        frame, hide_index=True, height=min(320, 38 + 35 * len(frame)), key="conflicts-table", on_select="rerun", selection_mode="single-row",
        column_config={"When": when(), "Prompt": wide()},
    )  # fmt: skip
    row = chosen("conflicts-table")
    _decide(listed[row if row is not None and row < len(listed) else 0])


def _decide(one: Conflict) -> None:
    now = str(bench().state([one.prompt_id])[one.prompt_id][1])
    for cell, (label, value) in zip(st.columns(4), (("Seen", one.seen), ("Wanted", one.wanted), ("Found", one.found), ("Now", now)), strict=True):
        cell.caption(label)
        cell.text(str(value))
    if people.may("curator"):
        who = person()
        off = {"disabled": who is None, "help": NAME_FIRST if who is None else None}
        with st.container(horizontal=True):
            mine = "Apply mine" if who and who.name == one.who else f"Apply what {literal(one.who)} wanted"
            if st.button(mine, type="primary", icon=":material/check:", key="conflict-apply", **off):
                outcome = bench().close_conflict(who, one.id, True)
                done = outcome is not None and outcome.status in ("stored", "known")
                say("success" if done else "warning", f"The label is “{outcome.state}” now." if done else outcome.message if outcome else "")
                st.rerun()
            if st.button("Lay aside", icon=":material/close:", key="conflict-aside", **off):
                bench().close_conflict(who, one.id, False)
                say("success", "Laid aside: the label stays as it is.")
                st.rerun()
    prompt_panel(one.prompt_id, "conflict")
