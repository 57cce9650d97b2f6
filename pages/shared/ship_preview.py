"""What a retrain would change: flips of held-out prompts, as figures, by domain, one by one, and on the map."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from lab.evaluation.projection import Layout
from lab.release.preview import Flip, Preview
from pages.shared.frame import bench
from pages.shared.many import to_csv

KINDS = {"fixed": ("#009e73", "triangle", "✓"), "broken": ("#d55e00", "diamond", "✗"), "neutral": ("#8a94a3", "rect", "·")}
VIEWS = ("Prompts", "Domains", "Map")
GREY = "#8a94a3"
TRIALS_HYBRID = (
    " The refits are of the embedding head; the n-grams are moved for the changed labels and the prompts near them. "
    "In trials about half of the flips shown came true in the retrain (28 of 57)."
)
TRIALS_HEAD = " In trials 69 % of the flips shown came true in the retrain."
"""Measured in lab.release.preview."""
TIP = '<div style="max-width:360px;white-space:normal;overflow-wrap:anywhere">{@prompt}</div><b>{@move}</b>'


def preview_view(found: Preview) -> None:
    low, high = found.difference
    figures = (
        ("Fixed", found.fixed, "wrong now, right after"),
        ("Broken", found.broken, "right now, wrong after"),
        ("Neutral", found.neutral, "wrong before and after"),
    )
    for cell, (label, value, said) in zip(st.columns(3), figures, strict=True):
        cell.metric(label, f"{value:,}")
        cell.caption(said)
    st.caption(
        f"Top-1 on {found.n:,} validation prompts about {found.top1_before:.1%} → {found.top1_after:.1%}, difference {100 * low:+.1f} to {100 * high:+.1f} points (95 %). "
        f"An estimate from two short refits of {found.epochs} epochs, corpus `{found.corpus_before[:12]}` → `{found.corpus_after[:12]}`; test prompts are kept for the gate."
        + (TRIALS_HYBRID if bench().router().lexical is not None else TRIALS_HEAD)
    )
    if not found.flips:
        st.info("No held-out prompt would be answered otherwise.", icon=":material/trending_flat:")
        return
    left, right = st.columns([1, 1], vertical_alignment="center")
    view = left.segmented_control("Show", VIEWS, default=VIEWS[0], required=True, key="flips", bind="query-params", label_visibility="collapsed")
    kind = right.segmented_control("Only", list(KINDS), key="kind", bind="query-params", label_visibility="collapsed")
    flips = [one for one in found.flips if kind is None or one.kind == kind]
    if not flips:
        st.info(f"No flip is {kind}.", icon=":material/filter_alt_off:")
        return
    {"Prompts": _prompts, "Domains": _domains, "Map": _map}[view](flips)


def _prompts(flips: list[Flip]) -> None:
    frame = pd.DataFrame(
        {
            "Kind": [f"{KINDS[one.kind][2]} {one.kind}" for one in flips], "Prompt": [one.text for one in flips], "Label": [one.label for one in flips],
            "Now": [one.before for one in flips], "After": [one.after for one in flips],
        }
    )  # fmt: skip
    event = st.dataframe(
        frame, hide_index=True, height=min(36 * (len(frame) + 1) + 2, 400), key="flip-table", on_select="rerun", selection_mode="single-row",
        column_config={"Kind": st.column_config.TextColumn(width=80), "Prompt": st.column_config.TextColumn(width=300), **{name: st.column_config.TextColumn(width=90) for name in ("Label", "Now", "After")}},
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button("CSV", lambda: to_csv(frame), "preview.csv", "text/csv", icon=":material/download:", on_click="ignore")
        rows = event["selection"]["rows"]
        if rows and rows[0] < len(flips):
            st.page_link("pages/queue.py", label="Open it on the desk", icon=":material/inbox:", query_params={"prompt": flips[rows[0]].text_id})


def _domains(flips: list[Flip]) -> None:
    names = sorted({one.label for one in flips})
    counts = {name: {kind: sum(one.label == name and one.kind == kind for one in flips) for kind in KINDS} for name in names}
    frame = pd.DataFrame([{"Domain": name, **{kind.capitalize(): n for kind, n in row.items()}, "Net": row["fixed"] - row["broken"]} for name, row in counts.items()])
    frame = frame.sort_values(["Net", "Domain"], ascending=[False, True], kind="stable")
    st.dataframe(frame, hide_index=True, height=min(36 * (len(frame) + 1) + 2, 400), key="flip-domains", column_config={"Net": st.column_config.NumberColumn(format="%+d")})
    st.caption("By the label of the prompt.")


def _map(flips: list[Flip]) -> None:
    """Where the flips lie among the prompts of the corpus; the Map itself has the lasso."""
    router = bench().router()
    layout = bench().map_layout(router)
    if not isinstance(layout, Layout):
        st.info("The map of this corpus is being computed; open the Map to see how far it is.", icon=":material/scatter_plot:")
        st.page_link("pages/map.py", label="Open the Map", icon=":material/scatter_plot:")
        return
    at = layout.find([one.text_id for one in flips])
    dark = st.context.theme.type == "dark"
    st.echarts_chart(_option(layout, flips, at, dark), height=400, key="flip-map", alt="Flips on the map of the corpus; the Prompts view lists the same ones")
    missing = int((at < 0).sum())
    st.caption(
        f"{len(flips) - missing:,} flips among {len(layout.xy):,} prompts. Distances between clusters mean little."
        + (f" {missing:,} have no place on the map yet." if missing else "")
    )


def _option(layout: Layout, flips: list[Flip], at: np.ndarray, dark: bool) -> dict:
    low, high = layout.xy.min(axis=0) - 0.5, layout.xy.max(axis=0) + 0.5
    some = layout.xy[:: max(1, len(layout.xy) // 4_000)]
    ink = "#e6ebf1" if dark else "#1b2430"
    series: list[dict] = [
        {"type": "scatter", "name": "corpus", "data": some.round(2).tolist(), "silent": True, "large": True, "largeThreshold": 1, "symbolSize": 2.5, "itemStyle": {"color": GREY, "opacity": 0.35}, "tooltip": {"show": False}}
    ]  # fmt: skip
    dataset = []
    for kind, (colour, symbol, _) in KINDS.items():
        rows = [(layout.xy[place], one) for place, one in zip(at, flips, strict=True) if one.kind == kind and place >= 0]
        if not rows:
            continue
        dataset.append({"source": pd.DataFrame([{"x": float(xy[0]), "y": float(xy[1]), "prompt": one.text[:160], "move": f"{one.label}: {one.before} → {one.after}"} for xy, one in rows])})
        series.append(
            {"type": "scatter", "name": f"{kind} · {len(rows)}", "datasetIndex": len(dataset) - 1, "encode": {"x": "x", "y": "y"}, "symbol": symbol, "symbolSize": 12, "itemStyle": {"color": colour, "opacity": 0.9}, "tooltip": {"formatter": TIP}}
        )  # fmt: skip
    return {
        "animation": False, "grid": {"left": 4, "right": 4, "top": 4, "bottom": 34}, "dataset": dataset, "series": series,
        "xAxis": {"type": "value", "show": False, "min": float(low[0]), "max": float(high[0])}, "yAxis": {"type": "value", "show": False, "min": float(low[1]), "max": float(high[1])},
        "legend": {"bottom": 4, "left": 4, "data": [one["name"] for one in series[1:]], "textStyle": {"color": ink}}, "tooltip": {"trigger": "item", "confine": True},
    }  # fmt: skip
