"""Confusions: which domain is taken for which, and the prompts behind each cell in one click."""

from __future__ import annotations

from urllib.parse import urlencode

import numpy as np
import pandas as pd
import streamlit as st

from lab.evaluation.confusions import Pair, cluster_order, ranked_pairs
from lab.evaluation.metrics import confusion
from pages.shared.frame import bench, literal, serve
from pages.shared.judged import Judged, binding, settings
from pages.shared.many import to_csv
from pages.shared.sending import send

VIEWS = ("Matrix", "Table")
HEIGHT = 600


def render() -> None:
    st.header("Confusions", anchor=False)
    judged = settings()
    p = judged.predictions
    table = confusion(p.primary[judged.keep], p.predicted[judged.keep], len(p.domains))
    options = _options(p.domains)
    pairs = [pair for pair in ranked_pairs(table, p.domains, bench().costs) if _passes(pair, options)]
    if not pairs:
        st.info("0 confusions at this filter. Loosen it: other domains, languages, or the whole corpus.", icon=":material/filter_alt_off:")
        binding(judged)
        return
    wrong = sum(pair.count for pair in pairs)
    costly = sum(pair.count for pair in pairs if pair.costly)
    st.markdown(f"**{wrong:,} confusions** in {len(pairs):,} pairs; {costly:,} reach another backend, {wrong - costly:,} cost nothing.")
    left, right = st.columns([2, 3], gap="small")
    with left:
        _list(pairs, judged)
    with right:
        view = st.segmented_control(
            "View", VIEWS, default=VIEWS[0], required=True, key="as", bind="query-params", label_visibility="collapsed"
        )
        shown = _shown(table, pairs, p.domains, options)
        (_matrix if view == "Matrix" else _table)(*shown, options)
    _prompts(judged, pairs, options)
    binding(judged)


def _options(domains: list[str]) -> dict:
    with st.sidebar:
        return {
            "domain": st.selectbox("Only pairs with", domains, index=None, placeholder="any domain", key="domain", bind="query-params"),
            "costly": st.toggle("Only those that change the backend", key="costly", bind="query-params"),
            "rate": st.radio(
                "Cells show", ["count", "rate"], key="cells", bind="query-params", horizontal=True, help="Rate: share of the row's prompts."
            )
            == "rate",
            "all": st.toggle("Show right answers too", key="all", bind="query-params"),
        }


def _passes(pair: Pair, options: dict) -> bool:
    return (not options["domain"] or options["domain"] in (pair.wanted, pair.given)) and (pair.costly or not options["costly"])


def _list(pairs: list[Pair], judged: Judged) -> None:
    frame = pd.DataFrame(
        {"Pair": f"{pair.wanted} → {pair.given}", "n": pair.count, "≠": "≠" if pair.costly else "=", "Rate": round(pair.rate, 3)}
        for pair in pairs
    )
    if judged.other is not None:
        frame.insert(2, judged.other.router.name, [_count_in(judged, pair) for pair in pairs])
    st.dataframe(
        frame,
        hide_index=True,
        height=HEIGHT,
        key="pair-list",
        on_select=lambda: _take(pairs, "pair-list"),
        selection_mode="single-row",
        column_config={
            "Pair": st.column_config.TextColumn(width=200, help="Label → what it was taken for"),
            "n": st.column_config.NumberColumn(width=40, help="Prompts"),
            "≠": st.column_config.TextColumn(width=36, help="≠: another backend answers. =: the same one, no cost."),
            "Rate": st.column_config.NumberColumn(format="percent", width=60, help="Share of the label's prompts"),
        },
    )


def _count_in(judged: Judged, pair: Pair) -> int | None:
    """How often the compared router makes this confusion on the same prompts; None if it lacks a label."""
    canonical, other = bench().taxonomy.canonical, judged.other
    names = [canonical(domain) for domain in other.domains]
    if canonical(pair.wanted) not in names or canonical(pair.given) not in names:
        return None
    wanted, given = names.index(canonical(pair.wanted)), names.index(canonical(pair.given))
    return int((judged.keep & (other.primary == wanted) & (other.predicted == given)).sum())


def _take(pairs: list[Pair], key: str) -> None:
    rows = st.session_state[key]["selection"]["rows"]
    if rows:
        _choose(pairs[rows[0]].wanted, pairs[rows[0]].given)


def _choose(wanted: str, given: str) -> None:
    st.session_state["pair"] = (wanted, given)


def _shown(table: np.ndarray, pairs: list[Pair], domains: list[str], options: dict) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Domains in cluster order, their counts and rates; only those in a listed pair."""
    inside = {name for pair in pairs for name in (pair.wanted, pair.given)}
    order = [place for place in cluster_order(table) if domains[place] in inside]
    allowed = {(pair.wanted, pair.given) for pair in pairs}
    counts = table.copy()
    for i in range(len(domains)):
        for j in range(len(domains)):
            if (i != j and (domains[i], domains[j]) not in allowed) or (i == j and not options["all"]):
                counts[i, j] = 0
    rates = counts / np.maximum(1, table.sum(axis=1, keepdims=True))
    return [domains[place] for place in order], counts[np.ix_(order, order)], rates[np.ix_(order, order)]


def _matrix(names: list[str], counts: np.ndarray, rates: np.ndarray, options: dict) -> None:
    cells = [(int(i), int(j)) for i, j in zip(*np.nonzero(counts), strict=True)]
    values = rates if options["rate"] else counts
    source = pd.DataFrame(
        {
            "taken": [names[j] for _, j in cells],
            "label": [names[i] for i, _ in cells],
            "value": [round(float(values[i, j]), 4) for i, j in cells],
            "cell": [f"{names[i]} → {names[j]}: {int(counts[i, j])} ({rates[i, j]:.0%})" for i, j in cells],
        }
    )
    size = len(names)
    spec = {
        "dataset": {"source": source},
        "animation": False,
        "tooltip": {"renderMode": "richText", "formatter": "{b}"},
        "grid": {"left": 112, "right": 6, "top": 6, "bottom": 112, "outerBoundsMode": "none"},
        "xAxis": {
            "type": "category",
            "data": names,
            "axisLabel": {"rotate": 90, "interval": 0, "fontSize": 9},
        },
        "yAxis": {
            "type": "category",
            "data": names,
            "inverse": True,
            "axisLabel": {"interval": 0, "fontSize": 9},
            "splitLine": {"show": size <= 60, "lineStyle": {"opacity": 0.25}},
        },
        "visualMap": {
            "show": False,
            "min": 0,
            "max": float(values.max()),
            "dimension": 2,
            "inRange": {"color": _scale(options["all"])},
        },
        "series": [
            {
                "type": "heatmap",
                "selectedMode": "single",
                "encode": {"x": "taken", "y": "label", "value": "value", "itemName": "cell"},
                "select": {"itemStyle": {"borderColor": "#111111", "borderWidth": 2}},
            }
        ],
    }
    st.session_state["matrix-cells"] = [(names[i], names[j]) for i, j in cells]
    st.echarts_chart(
        spec,
        height=HEIGHT - 56,
        key="matrix",
        on_select=_take_cell,
        alt="Confusion matrix; the Table view holds the same cells and answers to the arrow keys",
    )


def _scale(all_answers: bool) -> list[str]:
    """Few to many: towards dark ink on a light page, towards light on a dark one."""
    if st.context.theme.type == "dark":
        return ["#123a5a", "#0072b2", "#9ecae1"] if all_answers else ["#6b4410", "#b8730f", "#e69f00", "#ffe9a8"]
    return ["#9ecae1", "#0072b2", "#08306b"] if all_answers else ["#f5d58a", "#e69f00", "#d55e00", "#7a2d00"]


def _take_cell() -> None:
    chosen = st.session_state["matrix"]["selection"]["selected"]
    cells = st.session_state["matrix-cells"]
    places = [place for one in chosen for place in one["data_indices"]]
    if places and places[0] < len(cells):
        _choose(*cells[places[0]])


def _table(names: list[str], counts: np.ndarray, rates: np.ndarray, options: dict) -> None:
    values = np.round(100 * rates).astype(int) if options["rate"] else counts
    frame = pd.DataFrame(values, index=names, columns=names)
    st.session_state["table-names"] = names
    st.dataframe(frame.replace(0, None), height=HEIGHT - 90, key="twin", on_select=_take_table, selection_mode="single-cell")
    st.caption(
        "Rows are labels, columns what they were taken for"
        + (", in percent of the row." if options["rate"] else ".")
        + " Arrow keys move, Enter or Space chooses."
    )


def _take_table() -> None:
    cells = st.session_state["twin"]["selection"]["cells"]
    names = st.session_state["table-names"]
    if cells and cells[0][1] in names:
        _choose(names[cells[0][0]], cells[0][1])


def _prompts(judged: Judged, pairs: list[Pair], options: dict) -> None:
    linked = (st.query_params.get("label"), st.query_params.get("taken"))
    wanted, given = st.session_state.get("pair") or (linked if all(linked) else (pairs[0].wanted, pairs[0].given))
    p = judged.predictions
    outside = options["domain"] and options["domain"] not in (wanted, given)
    if wanted not in p.domains or given not in p.domains or outside:  # chosen before another router or filter was
        wanted, given = pairs[0].wanted, pairs[0].given
    st.query_params["label"], st.query_params["taken"] = wanted, given
    places = np.flatnonzero(judged.keep & (p.primary == p.domains.index(wanted)) & (p.predicted == p.domains.index(given)))
    places = places[np.argsort(-p.probability[places], kind="stable")]
    st.subheader(f"{literal(wanted)} → {literal(given)}", anchor=False)
    taxonomy, canonical = bench().taxonomy.by_name, bench().taxonomy.canonical
    for name in dict.fromkeys((wanted, given)):
        if canonical(name) in taxonomy:
            known = taxonomy[canonical(name)]
            st.caption(
                f"**{literal(name)}**: {literal(known.definition)}." + (f" Border: {literal(known.border)}." if known.border else "")
            )
    if len(places) == 0:
        st.info("No prompt is in this cell at these filters.", icon=":material/filter_alt_off:")
        return
    frame = pd.DataFrame(
        {
            "Prompt": p.rows[n].text,
            "Probability": round(float(p.probability[n]), 2),
            "Margin": round(float(p.margin[n]), 2),
            "Also": ", ".join(p.rows[n].also),
            "Language": p.rows[n].lang,
            "Part": p.rows[n].part,
            "Side": bench().frozen_split.get(p.rows[n].id, ""),
        }
        for n in places
    )
    st.dataframe(
        frame,
        hide_index=True,
        key="prompts",
        column_config={
            "Prompt": st.column_config.TextColumn(width="large"),
            "Probability": st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1),
        },
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "CSV", lambda: to_csv(frame), f"{wanted}-to-{given}.csv", "text/csv", icon=":material/download:", on_click="ignore"
        )
        st.caption("Most certain first. The address bar links to this cell.")
    send("matrix", f"{p.router.name}: {wanted} → {given}", [p.rows[n].id for n in places], f"confusions?{urlencode(st.query_params.to_dict())}")


serve(render)
