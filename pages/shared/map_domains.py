"""The Map's second level: one bubble a domain, and the cosines that distances on a map cannot tell."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lab.evaluation.points import apart, domain_places
from pages.shared.frame import bench
from pages.shared.map_chart import boxes, domains_option

HEIGHT = 600
COLUMNS = {"domain": "Domain", "group": "Backend", "prompts": "Prompts", "right": "Right", "nearest": "Nearest domain", "cosine": "Cosine"}


def domains(table: pd.DataFrame, near: pd.DataFrame, by_share: bool, dark: bool) -> None:
    """``table``: the points shown; ``near``: domain, nearest, cosine of centroids."""
    if not len(table):
        st.info("No prompt passes these filters. Remove one in the sidebar.", icon=":material/filter_alt_off:")
        return
    bubbles = _bubbles(table, near)
    by_share = by_share and "right" in bubbles
    st.echarts_chart(
        domains_option(bubbles, by_share, dark),
        height=HEIGHT,
        key="map-domains",
        alt="Domains as bubbles. The table below says the same in figures.",
    )
    shown = bubbles[[one for one in COLUMNS if one in bubbles]].rename(columns=COLUMNS)
    percent = st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)
    cosine = st.column_config.NumberColumn(
        format="%.2f", help="Of the two domains' mean vectors in the encoder's own space: this is what the map cannot show."
    )
    if "Right" in shown:
        shown["Right"] = shown["Right"].round(3)
    st.dataframe(shown, hide_index=True, height=420, key="map-domain-table", column_config={"Right": percent, "Cosine": cosine})


def _bubbles(table: pd.DataFrame, near: pd.DataFrame) -> pd.DataFrame:
    bubbles = domain_places(table).merge(near, on="domain", how="left")
    places = bubbles[["x", "y"]].to_numpy()
    span = (places.max(axis=0) - places.min(axis=0)).clip(1e-6)
    bubbles[["x", "y"]] = apart(places / span * 0.9, boxes([f"{name} 00%" for name in bubbles["domain"]], 36))
    backend, canonical = bench().backends.backend, bench().taxonomy.canonical
    bubbles["group"] = [backend.get(canonical(name), "no backend") for name in bubbles["domain"]]
    shares = bubbles["right"] if "right" in bubbles else [float("nan")] * len(bubbles)
    bubbles["note"] = [
        f"{one.prompts:,} prompts"
        + (f" · {share:.0%} right" if share == share else "")
        + f" · nearest {one.nearest} (cosine {one.cosine:.2f}) · {one.group}"
        for one, share in zip(bubbles.itertuples(index=False), shares, strict=True)
    ]
    return bubbles
