"""A set's selectors by category."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from lab.errors import InputError
from lab.selector.card import ranged
from lab.selector.judge import DOMAIN
from lab.selector.verdict import FEW
from pages.shared.frame import bench, literal
from pages.shared.many import to_csv
from pages.shared.selector_charts import gain_figure
from pages.shared.selector_judgement import between, bound

TEXT = st.column_config.TextColumn


def slices_view(name: str, made: dict[str, Any]) -> None:
    if not made["categories"]:
        st.info("This judgement was kept without its categories. Judge the selectors again to see them.", icon=":material/info:")
        return
    names = [one["strategy"] for one in made["categories"][0]["strategies"] if one["strategy"] != "Oracle"]
    default = DOMAIN if made["verdict"].get("use") == "categories" else bench().selector_set(name).default
    if st.session_state.get("strategy") not in (None, *names):
        del st.session_state["strategy"]
    strategy = st.selectbox("Strategy", names, index=names.index(default) if default in names else 0, key="strategy", bind="query-params", width=420)
    lines = [_line(one, strategy) for one in made["categories"]]
    lines.sort(key=lambda one: -one["gain"])
    left, right = st.columns([4, 7], gap="medium")
    left.plotly_chart(gain_figure(lines), width="stretch", key="slices-chart", config={"displayModeBar": False}, alt=f"Gain of {strategy} by category; the table beside it has the figures")
    frame = pd.DataFrame(
        [
            {"Category": one["category"], "Its best model": one["model"], "n": one["n"], "Best single": one["best_single"], "Quality": one["quality"], "Gain": one["gain"], "Gain, 95 %": between(one, "gain", "+"), "Domain oracle": one["domain"], "Oracle": one["oracle"]}
            for one in lines
        ]
    )  # fmt: skip
    with right:
        shown = frame[["Category", "Its best model", "n"]].assign(Gain=[ranged(one, "gain", "+") for one in lines])
        st.dataframe(
            shown, hide_index=True, key="slices-table", height=38 + 35 * len(frame),
            column_config={"Category": TEXT(width=118), "Its best model": TEXT(width=192, help="By the training queries: what the domain oracle takes."), "n": st.column_config.NumberColumn(width=40), "Gain": TEXT(width=150, help="Of the strategy chosen, over the best single model.")},
        )  # fmt: skip
        with st.container(horizontal=True):
            st.download_button("Categories (CSV)", to_csv(frame), f"{name}-{strategy}-categories.csv", "text/csv", icon=":material/download:", on_click="ignore")
            _decisions(name)
    few = [one["category"] for one in lines if one["n"] < FEW]
    st.caption(
        f"Intervals 95 %, bootstrap over the queries of a category, not corrected: of {len(lines)} categories one in twenty misses 0 by chance. Filled: the interval leaves 0 out."
        + (literal(f" Fewer than {FEW} queries, too few to judge: {', '.join(few)}.") if few else "")
    )
    st.caption(bound(made))


def _decisions(name: str) -> None:
    """The table of one model per category, for the router; nothing where every category has the same model."""
    try:
        text = bench().category_decisions(name)
    except InputError:
        return
    st.download_button(
        "One model per category (config.yaml)", text, "config.yaml", "application/yaml", icon=":material/download:", on_click="ignore",
        help="The column “Its best model” as decisions of the semantic router. Other queries go to the best single model.",
    )  # fmt: skip


def _line(one: dict[str, Any], strategy: str) -> dict[str, Any]:
    by_name = {row["strategy"]: row for row in one["strategies"]}
    chosen = by_name[strategy]
    return {
        "category": one["category"] or "(none)", "model": one.get("model"), "n": one["n"], "best_single": one["best_single"], "quality": chosen["quality"], "gain": chosen["gain"] or 0.0,
        "gain_low": chosen["gain_low"], "gain_high": chosen["gain_high"], "domain": by_name["Domain oracle"]["quality"], "oracle": by_name["Oracle"]["quality"],
    }  # fmt: skip
