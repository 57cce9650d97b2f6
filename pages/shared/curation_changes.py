"""The diff: labels that differ from what they were at a moment, with filters, and where they moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime

import pandas as pd
import streamlit as st

from lab.curation.change_list import SetChange
from lab.curation.diff import Changed, place
from lab.curation.queues import CATALOGUE
from lab.curation.state import State
from lab.errors import InputError
from lab.evaluation.confusions import ranked_pairs
from lab.evaluation.metrics import confusion
from pages.shared.curation_common import MOST_ROWS, checked, chosen, moments, plural, prompt_panel, revision, when, wide
from pages.shared.frame import bench
from pages.shared.many import to_csv

DAY = "day"
SHOWN = ("Prompts", "Moves", "Domains")
NO_QUEUE = "(no queue)"


def changes() -> None:
    point = _since()
    found = _changed(*revision(), bench().event_at(point))
    if not found:
        _nothing(point)
        return
    kept = _filtered(found)
    _figures(kept, found)
    if not kept:
        st.info("No change passes these filters. Loosen them in the sidebar.", icon=":material/filter_alt_off:")
        return
    shown = st.segmented_control(
        "Show", SHOWN, default=SHOWN[0], required=True, key="by", bind="query-params", label_visibility="collapsed"
    )
    {"Prompts": _prompts, "Moves": _moves, "Domains": _domains}[shown](kept)


@st.cache_resource(max_entries=4, ttl=600, show_spinner="Comparing …")
def _changed(address: str, newest: int, since: int) -> list[SetChange]:
    return bench().changes(since)


def _since() -> str:
    """The moment to compare with, in the address as ``since``."""
    linked = st.query_params.get("since", "shipped")
    titles = {"shipped": "the shipped corpus", DAY: "a day …"}
    titles |= {f"batch-{one.id}": f"{one.at_utc[:16].replace('T', ' ')} {one.title} ({one.who})" for one in bench().batches()[:100] if one.who != "Router Lab"}
    titles.setdefault(DAY if linked.startswith("date-") else linked, linked)
    with st.sidebar:
        start = DAY if linked.startswith("date-") else linked
        picked = st.selectbox("Changed since", list(titles), list(titles).index(start), format_func=titles.get, key="since_point")
        point = f"date-{st.date_input('Day (UTC)', _day(linked), key='since_day')}" if picked == DAY else picked
    if point == "shipped":
        st.query_params.pop("since", None)
    else:
        st.query_params["since"] = point
    return point


def _day(linked: str) -> date:
    try:
        return date.fromisoformat(linked.removeprefix("date-"))
    except ValueError:
        return datetime.now(UTC).date()


def kind_of(one: SetChange) -> str:
    """As in a comparison of two sets; "new": the prompt came with its label."""
    if one.prompt.origin == "import" and one.before == State() and one.after.domain:
        return "new"
    return Changed(one.prompt.id, one.before, one.after).kind


def queue_title(name: str) -> str:
    return CATALOGUE[name].title if name in CATALOGUE else name or NO_QUEUE


def _filtered(found: Sequence[SetChange]) -> list[SetChange]:
    """The sidebar, each filter in the address."""

    def pick(label: str, key: str, values: Sequence[str], placeholder: str = "any") -> str | None:
        return st.selectbox(label, sorted({one for one in values if one}), index=None, placeholder=placeholder, key=key, bind="query-params")

    with st.sidebar:
        who = pick("Person", "who", [name for one in found for name in one.people], "anybody")
        before = pick("From", "from", [place(one.before) for one in found], "any domain")
        after = pick("To", "to", [place(one.after) for one in found], "any domain")
        queue = pick("Queue", "in", [queue_title(one.queue) for one in found])
        kind = pick("Kind", "kind", [kind_of(one) for one in found])
        left, right = st.columns(2)
        with left:
            language = pick("Language", "language", [one.prompt.language for one in found])
        with right:
            side = pick("Side", "side", [one.prompt.split for one in found])
        words = st.text_input("Text", key="find", bind="query-params", placeholder="in the prompt or the reason").casefold().strip()
    return [
        one
        for one in found
        if (not who or who in one.people)
        and (not before or place(one.before) == before)
        and (not after or place(one.after) == after)
        and (not kind or kind_of(one) == kind)
        and (not queue or queue_title(one.queue) == queue)
        and (not language or one.prompt.language == language)
        and (not side or one.prompt.split == side)
        and (not words or words in one.prompt.text.casefold() or words in one.reason.casefold())
    ]


def _figures(kept: Sequence[SetChange], found: Sequence[SetChange]) -> None:
    moves = [(place(one.before), place(one.after)) for one in kept if place(one.before) != place(one.after)]
    touched = {name for move in moves for name in move if not name.startswith("(")}
    values = {
        "Changed": (f"{len(kept):,}", f"of {len(found):,} in all" if len(kept) < len(found) else "prompts"),
        "Moved": (f"{len(moves):,}", "to another domain"),
        "Domains": (f"{len(touched):,}", "lost or gained prompts"),
        "People": (f"{len({name for one in kept for name in one.people}):,}", "decided"),
        "Test side": (f"{sum(one.prompt.split == 'test' for one in kept):,}", "never trained on"),
    }
    for cell, (label, (value, under)) in zip(st.columns(5), values.items(), strict=True):
        cell.metric(label, value)
        cell.caption(under)


def _prompts(kept: Sequence[SetChange]) -> None:
    frame = _frame(kept[:MOST_ROWS])
    st.dataframe(
        frame,
        hide_index=True,
        height=min(420, 38 + 35 * len(frame)),
        key="changes-table",
        on_select="rerun",
        selection_mode="single-row",
        column_config={"Prompt": wide(), "When": when(), "Verified": checked()},
    )
    row = chosen("changes-table")
    if row is not None and row < len(frame):
        st.query_params["prompt"] = kept[row].prompt.id[:16]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "CSV", lambda: to_csv(_frame(kept)), "changes.csv", "text/csv", icon=":material/download:", on_click="ignore"
        )
        more = f"The newest {MOST_ROWS:,} of {len(kept):,}; the CSV has all. " if len(kept) > MOST_ROWS else ""
        st.caption(f"{more}Choose a row to see the prompt whole. The address bar links to this view.")
    linked = st.query_params.get("prompt")
    if linked:
        try:
            prompt_panel(bench().find(linked)[0].id, "change")
        except InputError:
            st.query_params.pop("prompt")


def _frame(kept: Sequence[SetChange]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Prompt": [one.prompt.text for one in kept],
            "Before": [str(one.before) for one in kept],
            "After": [str(one.after) for one in kept],
            "Who": [one.who for one in kept],
            "When": moments([one.at_utc for one in kept]),
            "Why": [one.reason for one in kept],
            "Queue": [queue_title(one.queue) if one.queue else "" for one in kept],
            "Kind": [kind_of(one) for one in kept],
            "Language": [one.prompt.language for one in kept],
            "Side": [one.prompt.split for one in kept],
            "Verified": [one.verified for one in kept],
        }
    )


def _moves(kept: Sequence[SetChange]) -> None:
    moves = Counter((place(one.before), place(one.after)) for one in kept)
    rows = [(*pair, n) for pair, n in moves.most_common() if pair[0] != pair[1]]
    if not rows:
        st.info("Nothing moved from one domain to another: only flags or other domains changed.", icon=":material/trending_flat:")
        return
    frame = pd.DataFrame(rows, columns=["From", "To", "Prompts"])
    config = {"Prompts": st.column_config.ProgressColumn(format="%d", min_value=0, max_value=int(frame["Prompts"].max()))}
    st.session_state["move-rows"] = [row[:2] for row in rows]
    st.dataframe(
        frame, hide_index=True, height=min(560, 38 + 35 * len(frame)), key="moves-table", on_select=_take_move, selection_mode="single-row", column_config=config
    )
    st.caption("Choose a row to see its prompts.")


def _take_move() -> None:
    row = chosen("moves-table")
    if row is not None:
        st.session_state["from"], st.session_state["to"] = st.session_state["move-rows"][row]
        st.session_state["by"] = SHOWN[0]


def _domains(kept: Sequence[SetChange]) -> None:
    flows = bench().flows(kept)
    rows = [
        {"Domain": name, "Before": flow.before, "Came": flow.entered, "Left": flow.left, "Now": flow.after, "Change": flow.after - flow.before}
        for name, flow in flows.items()
    ]
    if not rows:
        st.info("No domain gained or lost a prompt.", icon=":material/trending_flat:")
        return
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, height=min(560, 38 + 35 * len(rows)), key="flows-table",
        column_config={"Change": st.column_config.NumberColumn(format="%+d"), "Before": st.column_config.NumberColumn(help="Now, less what these changes moved")},
    )  # fmt: skip


def _nothing(point: str) -> None:
    if point != "shipped":
        st.info("Nothing has changed since then. Choose an earlier moment in the sidebar.", icon=":material/event_available:")
        return
    with st.container(border=True):
        st.markdown("**Nothing relabelled yet.** The shipped corpus is as it came.")
        pair = _worst()
        if pair:
            wanted, given, n = pair
            st.page_link(
                "pages/confusions.py", label=f"The worst confusion: {wanted} → {given}, {plural(n, 'prompt')}", icon=":material/grid_on:",
                query_params={"label": wanted, "taken": given},
            )  # fmt: skip
        st.page_link("pages/queue.py", label="Or start with a queue", icon=":material/inbox:")


@st.cache_data(max_entries=2, show_spinner="Looking for the worst confusion …")
def _worst() -> tuple[str, str, int] | None:
    p = bench().test_predictions(bench().router_names()[0])
    pairs = ranked_pairs(confusion(p.primary, p.predicted, len(p.domains)), p.domains, bench().costs)
    return (pairs[0].wanted, pairs[0].given, pairs[0].count) if pairs else None
