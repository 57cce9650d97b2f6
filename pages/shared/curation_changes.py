"""The diff: labels that differ from what they were at a moment, with filters, and where they moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
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
    if not found.rows:
        _nothing(point)
        return
    kept = _filtered(found)
    _figures(kept, len(found.rows))
    if not kept:
        st.info("No change passes these filters. Loosen them in the sidebar.", icon=":material/filter_alt_off:")
        return
    shown = st.segmented_control(
        "Show", SHOWN, default=SHOWN[0], required=True, key="by", bind="query-params", label_visibility="collapsed"
    )
    {"Prompts": _prompts, "Moves": _moves, "Domains": _domains}[shown](kept)


@dataclass(frozen=True)
class Row:
    """A change, and the words that filters know it by."""

    change: SetChange
    before: str
    after: str
    kind: str
    queue: str
    words: str


@dataclass(frozen=True)
class Listed:
    """``options``: filter → the words that occur."""

    rows: list[Row]
    options: dict[str, list[str]]


@st.cache_resource(max_entries=4, ttl=600, show_spinner="Comparing …")
def _changed(address: str, newest: int, since: int) -> Listed:
    rows = [
        Row(one, place(one.before), place(one.after), kind_of(one), queue_title(one.queue), f"{one.prompt.text}\n{one.reason}".casefold())
        for one in bench().changes(since)
    ]
    options = {
        "who": {name for row in rows for name in row.change.people}, "from": {row.before for row in rows}, "to": {row.after for row in rows},
        "in": {row.queue for row in rows}, "kind": {row.kind for row in rows}, "language": {row.change.prompt.language for row in rows},
        "side": {row.change.prompt.split for row in rows},
    }  # fmt: skip
    return Listed(rows, {key: sorted(words - {""}) for key, words in options.items()})


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


def _filtered(found: Listed) -> list[Row]:
    """The sidebar, each filter in the address."""

    def pick(label: str, key: str, placeholder: str = "any") -> str | None:
        return st.selectbox(label, found.options[key], index=None, placeholder=placeholder, key=key, bind="query-params")

    with st.sidebar:
        who = pick("Person", "who", "anybody")
        before, after = pick("From", "from", "any domain"), pick("To", "to", "any domain")
        queue, kind = pick("Queue", "in"), pick("Kind", "kind")
        left, right = st.columns(2)
        with left:
            language = pick("Language", "language")
        with right:
            side = pick("Side", "side")
        words = st.text_input("Text", key="find", bind="query-params", placeholder="in the prompt or the reason").casefold().strip()
    if not any((who, before, after, queue, kind, language, side, words)):
        return found.rows
    return [
        row
        for row in found.rows
        if (not who or who in row.change.people)
        and (not before or row.before == before)
        and (not after or row.after == after)
        and (not kind or row.kind == kind)
        and (not queue or row.queue == queue)
        and (not language or row.change.prompt.language == language)
        and (not side or row.change.prompt.split == side)
        and (not words or words in row.words)
    ]


def _figures(kept: Sequence[Row], total: int) -> None:
    moves = [(row.before, row.after) for row in kept if row.before != row.after]
    touched = {name for move in set(moves) for name in move if not name.startswith("(")}
    values = {
        "Changed": (f"{len(kept):,}", f"of {total:,} in all" if len(kept) < total else "prompts"),
        "Moved": (f"{len(moves):,}", "to another domain"),
        "Domains": (f"{len(touched):,}", "lost or gained prompts"),
        "People": (f"{len({name for row in kept for name in row.change.people}):,}", "decided"),
        "Test side": (f"{sum(row.change.prompt.split == 'test' for row in kept):,}", "never trained on"),
    }
    for cell, (label, (value, under)) in zip(st.columns(5), values.items(), strict=True):
        cell.metric(label, value)
        cell.caption(under)


def _prompts(kept: Sequence[Row]) -> None:
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
        st.query_params["prompt"] = kept[row].change.prompt.id[:16]
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


def _frame(kept: Sequence[Row]) -> pd.DataFrame:
    changed = [row.change for row in kept]
    return pd.DataFrame(
        {
            "Prompt": [one.prompt.text for one in changed],
            "Before": [str(one.before) for one in changed],
            "After": [str(one.after) for one in changed],
            "Who": [one.who for one in changed],
            "When": moments([one.at_utc for one in changed]),
            "Why": [one.reason for one in changed],
            "Queue": [row.queue if row.change.queue else "" for row in kept],
            "Kind": [row.kind for row in kept],
            "Language": [one.prompt.language for one in changed],
            "Side": [one.prompt.split for one in changed],
            "Verified": [one.verified for one in changed],
        }
    )


def _moves(kept: Sequence[Row]) -> None:
    moves = Counter((row.before, row.after) for row in kept)
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


def _domains(kept: Sequence[Row]) -> None:
    flows = bench().flows([row.change for row in kept])
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
