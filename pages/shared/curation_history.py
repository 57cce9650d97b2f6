"""Everything that was decided, and batches with the way back."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lab.curation.batches import Batch
from pages.shared import people
from pages.shared.curation_changes import queue_title
from pages.shared.curation_common import (
    ACTIONS,
    MOST_ROWS,
    NAME_FIRST,
    checked,
    chosen,
    moments,
    person,
    plural,
    prompt_panel,
    say,
    show,
    when,
    wide,
)  # fmt: skip
from pages.shared.frame import bench, literal

SHOWN = ("Batches", "Decisions")
KINDS = {"import": "import", "bulk": "in bulk", "taxonomy": "taxonomy", "traffic": "traffic", "revert": "revert"}


def history() -> None:
    shown = st.segmented_control("Show", SHOWN, default=SHOWN[0], required=True, key="of", bind="query-params", label_visibility="collapsed")
    {"Batches": _batches, "Decisions": _decisions}[shown]()


def _batches() -> None:
    listed = bench().batches()
    titles = {one.id: one for one in listed}
    frame = pd.DataFrame(
        {
            "When": moments([one.at_utc for one in listed]),
            "Title": [one.title for one in listed],
            "Who": [one.who for one in listed],
            "Kind": [KINDS.get(one.kind, one.kind) for one in listed],
            "Prompts": [one.n for one in listed],
            "Stands": [_standing_of(one, titles) for one in listed],
            "Verified": [one.verified for one in listed],
        }
    )
    config = {"When": when(), "Verified": checked(), "Title": wide(), "Stands": st.column_config.TextColumn(help="Whether it was taken back.")}
    st.dataframe(
        frame, hide_index=True, height=min(420, 38 + 35 * len(frame)), key="batches-table", on_select="rerun", selection_mode="single-row", column_config=config
    )
    row = chosen("batches-table")
    if row is None or row >= len(listed):
        st.caption("Choose a batch to look into it, or to take it back.")
        return
    _batch(listed[row])


def _standing_of(one: Batch, titles: dict[str, Batch]) -> str:
    if one.reverted_by is None:
        return "yes"
    by = titles.get(one.reverted_by)
    return f"reverted by {by.who}" if by else "reverted"


def _batch(batch: Batch) -> None:
    with st.container(border=True):
        st.markdown(f"**{literal(batch.title)}**")
        detail = [f"{key.replace('_', ' ')} {value}" for key, value in batch.detail.items() if isinstance(value, str | int) and value not in ("", None)]
        if detail:
            st.caption(literal(" · ".join(detail)))
        with st.container(horizontal=True, vertical_alignment="center"):
            _revert_button(batch)
            st.button("What has changed since", icon=":material/difference:", key="batch-since", on_click=_show_since, args=(batch.id,))
        listed = bench().decisions(0, 200, batch_id=batch.id)
        if not listed:
            return
        st.caption(f"{'The last 200' if len(listed) == 200 else 'All'} of its prompts")
        frame = pd.DataFrame(
            {
                "Prompt": [one.prompt.text for one in listed],
                "Before": [str(one.before) for one in listed],
                "After": [str(one.after) for one in listed],
                "Why": [one.reason for one in listed],
            }
        )
        st.dataframe(frame, hide_index=True, height=min(320, 38 + 35 * len(frame)), key="batch-prompts", column_config={"Prompt": st.column_config.TextColumn(width="large")})


def _show_since(batch_id: str) -> None:
    st.query_params["since"] = f"batch-{batch_id}"
    st.session_state.pop("since_point", None)
    show("Changes")


def _revert_button(batch: Batch) -> None:
    if not people.may("curator") or batch.who == "Router Lab":
        return
    if batch.reverted_by:
        st.caption("It is reverted. To have it again, revert the revert.")
    elif "taxonomy_version" in batch.detail:
        st.button("Revert it under Taxonomy", icon=":material/account_tree:", key="to-taxonomy", on_click=show, args=("Taxonomy",))
    elif st.button("Revert …", icon=":material/undo:", key="revert", disabled=person() is None, help=NAME_FIRST if person() is None else None):
        confirm_revert(batch.id)


@st.dialog("Revert this batch?")
def confirm_revert(batch_id: str) -> None:
    """What a revert would leave, and the one confirmation."""
    shown = bench().revert_preview(batch_id)
    st.markdown(f"**{literal(shown.batch.title)}** by {literal(shown.batch.who)}")
    st.markdown(f"{plural(shown.back, 'label')} {'goes' if shown.back == 1 else 'go'} back to what {'it was' if shown.back == 1 else 'they were'}.")
    if shown.changed:
        st.markdown(f"{plural(shown.changed, 'label')} somebody has changed since {'stays as it is' if shown.changed == 1 else 'stay as they are'}.")
    if shown.batch.kind in ("import", "traffic"):
        st.caption("Prompts that it brought stay in the curation set, without a label.")
    if shown.moves:
        rows = [(now, then, n) for (now, then), n in list(shown.moves.items())[:50]]
        st.dataframe(pd.DataFrame(rows, columns=["Now", "Back to", "Prompts"]), hide_index=True, height=min(250, 38 + 35 * len(rows)))
    if not shown.back:
        st.info("There is no label to take back.", icon=":material/info:")
    left, right = st.columns(2)
    if left.button(f"Revert {plural(shown.back, 'label')}", type="primary", icon=":material/undo:", disabled=not shown.back, width="stretch"):
        done = bench().revert_batch(person(), batch_id)
        kept = f" {plural(done.conflicts, 'label')} changed since and stay; see Conflicts." if done.conflicts else ""
        say("success", f"{plural(done.applied, 'label')} taken back.{kept}")
        st.rerun()
    if right.button("Keep it", width="stretch"):
        st.rerun()


def _decisions() -> None:
    people_known = bench().people_since()
    if not people_known:
        st.info("Nobody has decided anything yet.", icon=":material/hourglass_empty:")
        st.page_link("pages/queue.py", label="Start with a queue", icon=":material/inbox:")
        return
    with st.sidebar:
        who = st.selectbox("Person", list(people_known), index=None, placeholder="anybody", key="who", bind="query-params")
    total = people_known[who] if who else sum(people_known.values())
    listed = bench().decisions(limit=MOST_ROWS, who=who or "")
    undone = bench().undone_events()
    frame = pd.DataFrame(
        {
            "When": moments([one.at_utc for one in listed]),
            "Who": [one.who for one in listed],
            "What": [ACTIONS.get(one.action, one.action) + (", undone" if one.id in undone else "") for one in listed],
            "Prompt": [one.prompt.text for one in listed],
            "Before": [str(one.before) for one in listed],
            "After": [str(one.after) for one in listed],
            "Why": [one.reason for one in listed],
            "Queue": [queue_title(one.queue) if one.queue else "" for one in listed],
            "Verified": [one.verified for one in listed],
        }
    )
    st.caption(f"{plural(total, 'decision')} since the shipped corpus" + (f"; the newest {MOST_ROWS:,} are listed." if total > MOST_ROWS else "."))
    config = {"When": when(), "Prompt": wide(), "Verified": checked()}
    st.dataframe(
        frame, hide_index=True, height=min(420, 38 + 35 * len(frame)), key="decisions-table", on_select="rerun", selection_mode="single-row", column_config=config
    )
    row = chosen("decisions-table")
    if row is not None and row < len(listed):
        prompt_panel(listed[row].prompt.id, "decision")
