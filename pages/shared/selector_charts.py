"""Figures of the page Selectors. Every line and bar differs by symbol, dash or pattern too, not by colour alone."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from pages.shared.frame import plot_text

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#8a94a3"
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c6d1f", "#6b7280")
SYMBOLS = ("circle", "square", "triangle-up", "x", "pentagon", "triangle-down", "star", "hexagon")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
PATTERNS = ("", "/", "x", ".", "\\", "-", "|", "+")


def _of(options: tuple[str, ...], place: int) -> str:
    return options[place % len(options)]


def curve_figure(points: list[dict[str, Any]], key: str, scale: float, axis: str, weight: float) -> go.Figure:
    """Quality against ``key`` (latency_s or cost_usd) times ``scale``: a line per strategy over the weights, the chosen weight ringed; what
    has no weight, a single model or a compatible form, is a point."""
    known = [one for one in points if one[key] is not None and one["quality"] is not None]
    figure = go.Figure()
    names = list(dict.fromkeys(one["strategy"] for one in known if one["kind"] != "single" and not _fixed(one)))
    for place, name in enumerate(names):
        own = [one for one in known if one["strategy"] == name]
        colour = _of(COLOURS, place)
        figure.add_scatter(
            x=[scale * one[key] for one in own], y=[one["quality"] for one in own], customdata=[one["quality_weight"] for one in own], mode="lines+markers", name=plot_text(name),
            line={"color": colour, "width": 1.5, "dash": _of(DASHES, place)}, marker={"symbol": _of(SYMBOLS, place), "size": 6},
            hovertemplate="%{fullData.name}: weight %{customdata:.2f}, quality %{y:.3f}, %{x:.3g}<extra></extra>",
        )  # fmt: skip
        at = [one for one in own if one["quality_weight"] == weight]
        figure.add_scatter(
            x=[scale * one[key] for one in at], y=[one["quality"] for one in at], mode="markers", showlegend=False, hoverinfo="skip",
            marker={"symbol": "circle-open", "size": 16, "color": colour, "line": {"width": 2.5}},
        )  # fmt: skip
    _points(figure, [one for one in known if one["kind"] == "single"], key, scale, "single model", "diamond", "bottom center")
    seen = {one["strategy"]: one for one in known if _fixed(one)}
    _points(figure, list(seen.values()), key, scale, "compatible form", "cross-thin-open", "top center")
    figure.update_layout(height=430, margin={"l": 10, "r": 10, "t": 10, "b": 10})
    figure.update_xaxes(title=axis, rangemode="tozero")
    figure.update_yaxes(title="quality")
    return figure


def _fixed(point: dict[str, Any]) -> bool:
    return point["strategy"].endswith("(compatible)")


def _points(figure: go.Figure, points: list[dict[str, Any]], key: str, scale: float, name: str, symbol: str, where: str) -> None:
    if points:
        figure.add_scatter(
            x=[scale * one[key] for one in points], y=[one["quality"] for one in points], name=name, mode="markers+text", textposition=where, cliponaxis=False,
            text=[plot_text(one["strategy"].removeprefix("Always ").removesuffix(" (compatible)"), 22) for one in points],
            marker={"symbol": symbol, "size": 10, "color": GREY, "line": {"width": 2, "color": GREY}}, textfont={"size": 10, "color": GREY},
            hovertemplate=f"{name} %{{text}}: quality %{{y:.3f}}, %{{x:.3g}}<extra></extra>",
        )  # fmt: skip


def waterfall_figure(steps: list[dict[str, Any]]) -> go.Figure:
    """Random's expectation as a point, then each step from the one before it; ▲ and ▼ say the direction as well as the colour."""
    steps = [one for one in steps if one["quality"] is not None]
    figure = go.Figure()
    for place, one in enumerate(steps):
        change = one["change"] or 0.0
        base, length = one["quality"] - change, change
        colour = BLUE if change >= 0 else ORANGE
        mark = "" if place == 0 else f"{'▲' if change >= 0 else '▼'} {change:+.3f}"
        low, high = one["quality_low"], one["quality_high"]
        error = {"type": "data", "symmetric": False, "array": [high - one["quality"]], "arrayminus": [one["quality"] - low], "color": GREY} if low is not None else None
        figure.add_bar(
            y=[plot_text(one["step"], 26)], x=[length], base=[base], orientation="h", marker={"color": colour, "pattern": {"shape": "/" if change < 0 else ""}}, showlegend=False,
            hovertemplate=f"%{{y}}: {one['quality']:.3f}<extra></extra>",
        )  # fmt: skip
        figure.add_scatter(
            y=[plot_text(one["step"], 26)], x=[one["quality"]], error_x=error, mode="markers", marker={"color": GREY, "size": 5}, showlegend=False, hoverinfo="skip"
        )
        label = f"<b>{one['quality']:.3f}</b>" + (f"  {mark}" if mark else "")
        figure.add_annotation(y=plot_text(one["step"], 26), x=max(one["quality"], high or 0, base), text=label, showarrow=False, xanchor="left", xshift=8)
    ends = [end for one in steps for end in (one["quality"], one["quality_low"], one["quality_high"]) if end is not None]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    room = max(high - low, 0.05)
    figure.update_layout(height=90 + 44 * len(steps), margin={"l": 10, "r": 10, "t": 10, "b": 40}, bargap=0.35)
    figure.update_xaxes(range=[low - 0.08 * room, high + 0.6 * room], title="quality, 95 % interval; not from 0")
    figure.update_yaxes(autorange="reversed", automargin=True, type="category")
    return figure


def share_figure(rows: list[dict[str, Any]]) -> go.Figure:
    """A stacked bar per strategy, a part per model."""
    figure = go.Figure()
    for place, model in enumerate(rows[0]["picks"] if rows else ()):
        values = [row["picks"].get(model, 0.0) for row in rows]
        figure.add_bar(
            y=[plot_text(row["strategy"], 26) for row in rows], x=values, orientation="h", name=plot_text(model),
            marker={"color": _of(COLOURS, place), "pattern": {"shape": _of(PATTERNS, place), "fillmode": "overlay", "fgcolor": "rgba(255,255,255,0.6)", "solidity": 0.2}},
            hovertemplate="%{y}: %{fullData.name} %{x:.1%}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(
        height=150 + 30 * len(rows), barmode="stack", margin={"l": 10, "r": 10, "t": 10, "b": 10}, legend={"orientation": "h", "y": -0.12, "yanchor": "top"}, bargap=0.3
    )
    figure.update_xaxes(range=[0, 1], tickformat=".0%", dtick=0.25)
    figure.update_yaxes(autorange="reversed", automargin=True, type="category")
    return figure


def gain_figure(lines: list[dict[str, Any]]) -> go.Figure:
    """Gain over the best single model by category, with intervals and the line of no gain. Filled points: the interval leaves 0 out."""
    sure = [one["gain_low"] is not None and (one["gain_low"] > 0 or one["gain_high"] < 0) for one in lines]
    colours = [BLUE if one["gain"] > 0 else ORANGE if one["gain"] < 0 else GREY for one in lines]
    figure = go.Figure(
        go.Scatter(
            x=[one["gain"] for one in lines], y=[plot_text(one["category"]) for one in lines], mode="markers",
            marker={"size": 11, "color": colours, "symbol": ["circle" if one else "circle-open" for one in sure], "line": {"width": 2}},
            error_x={
                "type": "data", "symmetric": False, "array": [(one["gain_high"] if one["gain_high"] is not None else one["gain"]) - one["gain"] for one in lines],
                "arrayminus": [one["gain"] - (one["gain_low"] if one["gain_low"] is not None else one["gain"]) for one in lines], "color": GREY,
            },
            hovertemplate="%{y}: %{x:+.3f}<extra></extra>",
        )
    )  # fmt: skip
    figure.add_vline(x=0, line={"dash": "dash", "color": GREY})
    figure.update_layout(height=100 + 32 * len(lines), margin={"l": 10, "r": 10, "t": 10, "b": 40})
    figure.update_xaxes(title="gain over the best single model", tickformat="+.2f")
    figure.update_yaxes(autorange="reversed", automargin=True, type="category")
    return figure
