"""ECharts options of the Map: pure functions of tables, no widget in here.

Prompts are untrusted. They reach the chart as data only: tooltips name dimensions (``{@prompt}``), which Streamlit's chart
inserts as escaped text into templates that are constants of this file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lab.evaluation.points import BANDS, BOTH_RIGHT, BOTH_WRONG, BROKEN, FIXED, NO_VERDICT, RIGHT, UNJUDGED, WRONG, apart, categories

PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6d1f", "#7f56c5")
SYMBOLS = ("circle", "triangle", "rect", "diamond", "arrow", "roundRect")
GREY = "#8a94a3"
CUT = 120
Style = tuple[str, str]
"""(colour, symbol)"""

VERDICTS: dict[str, Style] = {
    RIGHT: ("#0072b2", "circle"), WRONG: ("#d55e00", "diamond"), UNJUDGED: (GREY, "triangle"),
    BOTH_RIGHT: ("#56b4e9", "circle"), BOTH_WRONG: (GREY, "rect"), FIXED: ("#009e73", "triangle"), BROKEN: ("#d55e00", "diamond"), NO_VERDICT: (GREY, "roundRect"),
}  # fmt: skip
BAND_STYLES: dict[str, Style] = dict(
    zip(BANDS, zip(("#d55e00", "#e69f00", "#b5a642", "#56b4e9", "#0072b2"), ("diamond", "triangle", "rect", "circle", "circle"), strict=True), strict=True)
)  # fmt: skip
WRAP = '<div style="max-width:360px;white-space:normal;overflow-wrap:anywhere">{@prompt}</div><b>{@domain}</b>'


def styles_of_domains(places: pd.DataFrame) -> dict[str, Style]:
    """Colours far apart where domains are near: each domain takes the colour whose nearest user is furthest, then the next symbol."""
    users: dict[str, list[np.ndarray]] = {colour: [] for colour in PALETTE}
    out: dict[str, Style] = {}
    for name, x, y in places[["domain", "x", "y"]].itertuples(index=False):
        here = np.array([x, y])

        def room(colour: str, here: np.ndarray = here) -> float:
            return min((float(np.hypot(*(here - other))) for other in users[colour]), default=np.inf)

        fewest = min(map(len, users.values()))
        colour = max((one for one in PALETTE if len(users[one]) <= fewest + 1), key=room)
        out[name] = (colour, SYMBOLS[len(users[colour]) % len(SYMBOLS)])
        users[colour].append(here)
    return out


def style(name: str, place: int, of: int, domains: Mapping[str, Style]) -> Style:
    """What category ``name``, the ``place``-th of ``of``, looks like."""
    known = VERDICTS.get(name) or BAND_STYLES.get(name) or domains.get(name)
    return known or (PALETTE[place % len(PALETTE)], SYMBOLS[(place if of <= len(SYMBOLS) else place // len(PALETTE)) % len(SYMBOLS)])


def _points(table: pd.DataFrame) -> pd.DataFrame:
    """What the browser is sent of each point: as little as hovering needs."""
    prompt = table["prompt"].str.replace(r"\s+", " ", regex=True)
    out = pd.DataFrame({"x": table["x"].astype(np.float32), "y": table["y"].astype(np.float32)})
    out["prompt"] = prompt.where(prompt.str.len() <= CUT, prompt.str.slice(0, CUT - 1) + "…")
    out["domain"] = pd.Categorical(table["domain"])
    if "predicted" in table:
        out["predicted"] = pd.Categorical(table["predicted"])
        out["p"] = (table["probability"] * 100).round().astype(np.uint8)
        out["verdict"] = pd.Categorical(table["change"] if "change" in table else table["verdict"])
    return out


def prompts_option(
    table: pd.DataFrame, shown: np.ndarray, found: np.ndarray, colouring: str, places: pd.DataFrame, dark: bool
) -> dict[str, Any]:
    """A scatter of ``table[shown]``: one series a category, what the search did not find in grey below; domain names at their medians.

    ``shown``, ``found`` (n,) bool; the frame is that of the whole table, so that a filter moves nothing.
    """  # fmt: skip
    codes, names = categories(table, colouring)
    domains = styles_of_domains(places)
    tip = WRAP + ("<br>predicted <b>{@predicted}</b>, {@p} % · {@verdict}" if "predicted" in table else "")
    size = float(np.clip(480 / max(1, found.sum()) ** 0.5, 4, 10))
    option = _frame(table, dark)
    rest = shown & ~found
    if rest.any():
        _add(
            option, table.loc[rest, ["x", "y"]].astype(np.float32), f"not found · {rest.sum():,}", (GREY, "circle"), size * 0.7, 0.18, None
        )
    for code, name in enumerate(names):
        inside = shown & found & (codes == code)
        if inside.any():
            looks = style(name, code, len(names), domains if colouring in ("Domain", "Predicted") else {})
            strong = name in (WRONG, FIXED, BROKEN) and inside.sum() < 0.1 * found.sum()
            label = f"{name if len(name) <= 30 else name[:29] + '…'} · {inside.sum():,}"
            _add(option, _points(table[inside]), label, looks, size * (1.35 if strong else 1.0), 0.85 if strong else 0.62, tip)
    option["brush"]["seriesIndex"] = []
    option["legend"]["data"] = [one["name"] for one in option["series"]]
    visible = places[places["domain"].isin(table.loc[shown, "domain"].unique())]
    option["series"].append(_names(visible, option, dark))
    return option


def _frame(table: pd.DataFrame, dark: bool) -> dict[str, Any]:
    ink = "#e6ebf1" if dark else "#1b2430"

    def axis(values: pd.Series) -> dict[str, Any]:
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        pad = 0.04 * (high - low or 1.0)
        return {"type": "value", "min": round(low - pad, 2), "max": round(high + pad, 2), "show": False}

    return {
        "animation": False,
        "grid": {"left": 4, "right": 4, "top": 34, "bottom": 44},
        "xAxis": axis(table["x"]),
        "yAxis": axis(table["y"]),
        "legend": {"type": "scroll", "bottom": 4, "left": 4, "right": 4, "selectedMode": False, "itemWidth": 12, "itemHeight": 12, "textStyle": {"color": ink}},
        "tooltip": {"trigger": "item", "confine": True, "transitionDuration": 0},
        "toolbox": {
            "left": 0,
            "top": 2,
            "itemSize": 20,
            "itemGap": 12,
            "feature": {
                "brush": {"type": ["polygon", "rect", "clear"], "title": {"polygon": "Lasso", "rect": "Box", "clear": "Clear"}},
                "dataZoom": {"title": {"zoom": "Zoom to a box", "back": "Zoom back"}, "filterMode": "none"},
                "restore": {"title": "Whole map"},
            },
        },
        "brush": {"xAxisIndex": 0, "yAxisIndex": 0, "brushMode": "single", "throttleType": "debounce", "throttleDelay": 100, "z": 1},
        "dataZoom": [{"type": "inside", way: 0, "filterMode": "none", "zoomOnMouseWheel": "ctrl", "moveOnMouseWheel": False} for way in ("xAxisIndex", "yAxisIndex")],
        "dataset": [],
        "series": [],
    }  # fmt: skip


def _add(option: dict[str, Any], points: pd.DataFrame, name: str, looks: Style, size: float, opacity: float, tip: str | None) -> None:
    option["dataset"].append({"source": points})
    option["series"].append(
        {
            "type": "scatter", "name": name, "datasetIndex": len(option["dataset"]) - 1, "encode": {"x": "x", "y": "y"}, "symbol": looks[1],
            "symbolSize": round(size, 1), "itemStyle": {"color": looks[0], "opacity": opacity}, "progressive": 0, "large": True, "largeThreshold": 1, "zlevel": -1,
            **({"tooltip": {"formatter": tip}} if tip else {"silent": True, "tooltip": {"show": False}}),
        }
    )  # fmt: skip


def boxes(names: Sequence[str], height_px: float = 17) -> np.ndarray:
    """(n, 2): room that names take in a chart, as shares of the width and height of its usual size (820 × 520 px, 12 px letters)."""
    return np.array([[(6.6 * len(name) + 6) / 820, height_px / 520] for name in names])


def _names(places: pd.DataFrame, frame: dict[str, Any], dark: bool) -> dict[str, Any]:
    """Names near where domains are densest, moved apart so that all can be read."""
    ink, paper = ("#ffffff", "#0f141b") if dark else ("#10161d", "#ffffff")
    low = np.array([frame["xAxis"]["min"], frame["yAxis"]["min"]])
    span = np.array([frame["xAxis"]["max"], frame["yAxis"]["max"]]) - low
    at = apart((places[["x", "y"]].to_numpy() - low) / span, boxes(places["domain"].tolist())) * span + low
    data = [{"name": name, "value": [round(float(x), 3), round(float(y), 3)]} for name, (x, y) in zip(places["domain"], at, strict=True)]
    label = {
        "show": True, "formatter": "{b}", "position": "inside", "fontSize": 12, "fontWeight": 600, "color": ink, "opacity": 1,
        "textBorderColor": paper, "textBorderWidth": 3,
    }  # fmt: skip
    return {
        "type": "scatter", "name": "names", "data": data, "silent": True, "symbolSize": 1, "itemStyle": {"opacity": 0}, "label": label,
        "tooltip": {"show": False}, "z": 5,
    }  # fmt: skip


def add_pin(option: dict[str, Any], text: str, at: tuple[float, float], dark: bool) -> None:
    """The typed prompt: the only pin on the map, with its words beside it."""
    ink, paper = ("#ffffff", "#0f141b") if dark else ("#10161d", "#ffffff")
    short = " ".join(text.split())
    short = short if len(short) <= 40 else short[:39] + "…"
    right_half = at[0] > (option["xAxis"]["min"] + option["xAxis"]["max"]) / 2
    label = {
        "show": True, "formatter": "{b}", "position": "left" if right_half else "right", "fontSize": 14, "fontWeight": 700, "color": ink,
        "backgroundColor": paper, "borderColor": ink, "borderWidth": 1, "borderRadius": 4, "padding": [4, 6],
    }  # fmt: skip
    item = {"name": short, "value": [round(at[0], 3), round(at[1], 3)]}
    option["series"].append(
        {
            "type": "scatter", "name": "your prompt", "data": [item], "symbol": "pin", "symbolSize": 44, "silent": True, "z": 10, "label": label,
            "itemStyle": {"opacity": 1, "color": "#d6006c", "borderColor": paper, "borderWidth": 2}, "tooltip": {"show": False},
        }
    )  # fmt: skip


def add_outlines(option: dict[str, Any], polygons: Sequence[np.ndarray], dark: bool) -> None:
    """Areas that came with a link: the chart's own brush cannot be set from here."""
    for corners in polygons:
        closed = np.vstack([corners, corners[:1]]).round(3).tolist()
        line = {"color": "#ffffff" if dark else "#10161d", "width": 2, "type": "dashed"}
        option["series"].append(
            {"type": "line", "data": closed, "showSymbol": False, "silent": True, "lineStyle": line, "z": 6, "tooltip": {"show": False}}
        )


def domains_option(bubbles: pd.DataFrame, by_share: bool, dark: bool) -> dict[str, Any]:
    """One bubble a domain. ``bubbles``: domain, prompts, x, y, group (its backend), note, and share right (0..1) if ``by_share``."""
    option = _frame(bubbles, dark)
    for part in ("brush", "dataset"):
        option.pop(part)
    option["toolbox"]["feature"].pop("brush")
    most = max(1, int(bubbles["prompts"].max()))
    ink, paper = ("#ffffff", "#0f141b") if dark else ("#10161d", "#ffffff")
    label = {
        "show": True,
        "formatter": "{b}",
        "position": "bottom",
        "distance": 2,
        "fontSize": 12,
        "fontWeight": 600,
        "color": ink,
        "opacity": 1,
    }
    groups = ["right"] if by_share else list(dict.fromkeys(bubbles["group"]))
    for place, name in enumerate(groups):
        colour, symbol = style(name, place, len(groups), {})
        data = [
            {
                "name": f"{one.domain} {one.right:.0%}" if by_share and one.right == one.right else one.domain,
                "value": [
                    round(float(one.x), 3),
                    round(float(one.y), 3),
                    one.note,
                    round(float(one.right), 3) if by_share and one.right == one.right else None,
                ],
                "symbolSize": round(8 + 14 * (one.prompts / most) ** 0.5, 1),
            }
            for one in (bubbles if by_share else bubbles[bubbles["group"] == name]).itertuples(index=False)
        ]
        option["series"].append(
            {
                "type": "scatter", "name": name, "data": data, "symbol": "circle" if by_share else symbol, "tooltip": {"formatter": "<b>{b}</b><br>{@[2]}"},
                "itemStyle": {"opacity": 0.9, "borderColor": paper, "borderWidth": 1} | ({} if by_share else {"color": colour}),
                "label": label | {"textBorderColor": paper, "textBorderWidth": 3},
            }
        )  # fmt: skip
    if by_share:
        option["legend"]["show"] = False
        option["visualMap"] = {
            "type": "continuous", "dimension": 3, "min": 0, "max": 1, "orient": "horizontal", "left": 8, "bottom": 4, "itemWidth": 14, "itemHeight": 160,
            "text": ["all right", "none right"], "inRange": {"color": ["#d55e00", "#e69f00", "#e8d9a0", "#56b4e9", "#0072b2"]}, "textStyle": {"color": ink},
        }  # fmt: skip
    return option
