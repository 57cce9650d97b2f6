"""What was selected on the Map: counts, samples, Send to queue; the table twin; downloads."""

from __future__ import annotations

from urllib.parse import urlencode

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from lab.evaluation.points import WRONG, categories
from pages.shared.frame import plot_text
from pages.shared.many import to_csv
from pages.shared.map_chart import style, styles_of_domains
from pages.shared.sending import send

ALL = "all"
"""The area that means: everything found."""
SAMPLES = 20
MOST_ROWS = 2_000
COLUMNS = {
    "prompt": "Prompt", "domain": "Domain", "predicted": "Predicted", "probability": "Probability", "margin": "Margin", "verdict": "Verdict",
    "change": "Change", "language": "Language", "side": "Side", "part": "Part",
}  # fmt: skip
PLOTLY_SYMBOLS = {
    "circle": "circle",
    "triangle": "triangle-up",
    "rect": "square",
    "diamond": "diamond",
    "roundRect": "pentagon",
    "arrow": "star-triangle-up",
}


def tray(table: pd.DataFrame, found: np.ndarray, selected: np.ndarray, searched: bool) -> None:
    """``found``, ``selected`` (n,) bool of ``table``."""
    count = int(selected.sum())
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"**{count:,} prompts selected**" if count else "**Nothing selected.** Draw a lasso or a box, or take all.", width="stretch"
            )
            everything = f"Select all {found.sum():,} {'found' if searched else 'shown'}"
            st.button(everything, icon=":material/select_all:", on_click=_set_area, args=(ALL,), disabled=not found.any())
            st.button("Clear", icon=":material/deselect:", on_click=_set_area, args=("",), disabled=not st.session_state.area)
            title = _title(table[selected]) if count else ""
        if count:
            send("map", title, table.loc[selected, "id"].tolist(), f"map?{urlencode(st.query_params.to_dict())}")
        if count:
            _what(table[selected], table)


def _set_area(area: str) -> None:
    """Also starts the chart anew, because a drawn brush can only be taken off by the browser."""
    st.session_state.area = area
    st.session_state.map_round += 1


def _title(picked: pd.DataFrame) -> str:
    """What most of it is, in words: "17 prompts: kicad 9, spice 5 and 2 more"."""
    counts = picked["domain"].value_counts()
    named = ", ".join(f"{name} {n}" for name, n in counts.head(2).items())
    return f"{len(picked):,} prompts: {named}" + (f" and {len(counts) - 2} more" if len(counts) > 2 else "")


def _what(picked: pd.DataFrame, table: pd.DataFrame) -> None:
    counts = picked["domain"].value_counts()
    rows = pd.DataFrame(
        {
            "Domain": counts.index,
            "Prompts": counts.to_numpy(),
            "Of the domain": (counts / table["domain"].value_counts()[counts.index]).to_numpy(),
        }
    )
    if "verdict" in picked:
        wrong = picked[picked["verdict"] == WRONG]["domain"].value_counts()
        rows["Wrong"] = [int(wrong.get(name, 0)) for name in counts.index]
    left, right = st.columns([2, 3], gap="medium")
    left.caption(f"{len(counts)} {'domain' if len(counts) == 1 else 'domains'}")
    share = st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1, width="small")
    left.dataframe(rows, hide_index=True, height=320, key="map-counts", column_config={"Of the domain": share})
    sample = picked.sample(min(SAMPLES, len(picked)), random_state=0)
    right.caption(f"{len(sample)} of them, drawn at random" if len(sample) < len(picked) else "All of them")
    columns = [one for one in ("prompt", "domain", "predicted", "probability") if one in sample]
    right.dataframe(sample[columns].rename(columns=COLUMNS), hide_index=True, height=320, key="map-samples", column_config=_config())


def _config() -> dict:
    percent = st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1, width="small")
    return {"Prompt": st.column_config.TextColumn(width="large"), "Probability": percent, "Margin": percent}


def table_twin(picked: pd.DataFrame, selection: bool) -> None:
    """The same points as lines, for those who do not use the canvas."""
    if not st.toggle("Points as a table", key="table", bind="query-params", persist_state="session"):
        return
    what = "selected" if selection else "shown"
    st.caption(
        f"The {len(picked):,} prompts {what}."
        if len(picked) <= MOST_ROWS
        else f"The first {MOST_ROWS:,} of {len(picked):,} prompts {what}; the CSV has all."
    )
    st.dataframe(_columns(picked.head(MOST_ROWS)), hide_index=True, height=420, key="map-table", column_config=_config())


def _columns(table: pd.DataFrame) -> pd.DataFrame:
    return table[[one for one in COLUMNS if one in table]].rename(columns=COLUMNS)


def downloads(picked: pd.DataFrame, colouring: str, places: pd.DataFrame) -> None:
    """PNG is in the chart's own toolbar."""
    with st.container(horizontal=True):
        full = _columns(picked).assign(X=picked["x"].round(3), Y=picked["y"].round(3))
        st.download_button(
            f"CSV of {len(picked):,} points", lambda: to_csv(full), "map.csv", "text/csv", icon=":material/download:", on_click="ignore"
        )
        st.download_button("Map as HTML", lambda: standalone(picked, colouring, places), "map.html", "text/html", icon=":material/public:", on_click="ignore",
            help="One file that opens anywhere, without a network. For a picture (PNG), use the arrow in the chart's corner.")  # fmt: skip


def standalone(table: pd.DataFrame, colouring: str, places: pd.DataFrame) -> bytes:
    """One HTML file with the points of ``table`` and plotly inside; prompts are escaped (plot_text)."""
    codes, names = categories(table, colouring)
    domains = styles_of_domains(places) if colouring in ("Domain", "Predicted") else {}
    figure = go.Figure()
    for code, name in enumerate(names):
        part = table[codes == code]
        if not len(part):
            continue
        colour, symbol = style(name, code, len(names), domains)
        hover = [
            f"{plot_text(text, 120)}<br><b>{plot_text(domain)}</b>" for text, domain in zip(part["prompt"], part["domain"], strict=True)
        ]
        figure.add_scattergl(
            x=part["x"].round(3), y=part["y"].round(3), mode="markers", name=f"{plot_text(name)} · {len(part):,}", hovertext=hover, hoverinfo="text",
            marker={"color": colour, "symbol": PLOTLY_SYMBOLS[symbol], "size": 5, "opacity": 0.7},
        )  # fmt: skip
    figure.update_layout(title=f"Router Lab: {len(table):,} prompts by {colouring.lower()}", template="plotly_white", height=860)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure.to_html(include_plotlyjs=True, full_html=True).encode()
