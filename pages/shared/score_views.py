"""The views of Scorecard beside its table of domains: slices, calibration, abstain, behaviour."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from lab.evaluation.curves import area_under_risk, domain_thresholds, histogram, length_group, multi_label, reliability, risk_coverage
from lab.evaluation.metrics import expected_calibration_error, slices
from lab.evaluation.report import place_labels
from lab.router.head import sigmoid
from pages.shared.frame import bench
from pages.shared.judged import Judged

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#8a94a3"


def raw_score(judged: Judged) -> tuple[np.ndarray, np.ndarray]:
    """(n,) highest raw score and whether the answer is right, of the prompts judged."""
    p, keep = judged.predictions, judged.keep
    return sigmoid(p.logits[keep]).max(axis=1), p.right[keep]


def slices_view(summary: dict[str, Any], judged: Judged) -> None:
    p, keep = judged.predictions, judged.keep
    rows = [row for row, inside in zip(p.rows, keep, strict=True) if inside]
    groups = {
        "Language": [row.lang or "–" for row in rows],
        "Corpus part": [row.part or "–" for row in rows],
        "Length": [length_group(row.text) for row in rows],
        "Source": [row.source or "this project" for row in rows],
        "Labels": ["also another domain" if row.also else "one domain" for row in rows],
    }
    found = [
        {
            "Slice": f"{name}: {value}",
            "Prompts": cut["n"],
            "Top-1": cut["top1"],
            "Low": cut["interval"][0],
            "High": cut["interval"][1],
            "Top-3": cut["top3"],
        }
        for name, keys in groups.items()
        for value, cut in slices(p.logits[keep], p.primary[keep], keys).items()
    ]
    frame = pd.DataFrame(found)
    left, right = st.columns(2, gap="medium")
    figure = go.Figure(
        go.Bar(
            x=frame["Top-1"],
            y=frame["Slice"],
            orientation="h",
            marker_color=BLUE,
            error_x={
                "type": "data",
                "symmetric": False,
                "array": frame["High"] - frame["Top-1"],
                "arrayminus": frame["Top-1"] - frame["Low"],
            },
        )
    )
    figure.update_layout(height=80 + 30 * len(found), margin={"l": 10, "r": 20, "t": 30, "b": 30}, title="Top-1 by slice, with intervals")
    figure.update_xaxes(range=[0, 1], tickformat=".0%")
    figure.update_yaxes(autorange="reversed", automargin=True)
    left.plotly_chart(figure, width="stretch", key="slices-chart", alt="Top-1 by slice; the table beside it has the figures")
    percent = st.column_config.NumberColumn(format="percent")
    right.dataframe(
        frame.round(3),
        hide_index=True,
        height=80 + 30 * len(found),
        column_config={key: percent for key in ("Top-1", "Low", "High", "Top-3")},
        key="slices",
    )
    _, also = place_labels(p.router, rows, bench().taxonomy)
    many = multi_label(sigmoid(p.logits[keep]), p.primary[keep], also)
    precision = "–" if many["precision"] is None else f"{many['precision']:.1%}"
    st.caption(
        f"Multi-label, domain + also: the gateway's selections (score ≥ 0.50, at most 4) have precision {precision} and recall {many['recall']:.1%}; "
        f"counting also, the first domain is right on {many['top1_or_also']:.1%}."
    )


def calibration_view(summary: dict[str, Any], judged: Judged) -> None:
    p, keep = judged.predictions, judged.keep
    raw, right = raw_score(judged)
    left, middle = st.columns(2, gap="large")
    figure = go.Figure()
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"dash": "dot", "color": GREY}, name="perfect", hoverinfo="skip")
    for name, values, colour, symbol in (("raw score", raw, ORANGE, "diamond-open"), ("probability", p.probability[keep], BLUE, "circle")):
        bins = reliability(values, right)
        error = {
            "type": "data",
            "symmetric": False,
            "array": [one["high"] - one["accuracy"] for one in bins],
            "arrayminus": [one["accuracy"] - one["low"] for one in bins],
            "thickness": 1,
        }
        figure.add_scatter(
            x=[one["probability"] for one in bins],
            y=[one["accuracy"] for one in bins],
            error_y=error,
            mode="lines+markers",
            name=name,
            marker={"symbol": symbol, "size": 8},
            line={"color": colour},
            hovertemplate="claimed %{x:.2f}, right %{y:.1%}<extra>" + name + "</extra>",
        )
    figure.update_layout(
        height=420, title="Claimed against right", margin={"l": 10, "r": 10, "t": 40, "b": 40}, legend={"orientation": "h", "y": -0.15}
    )
    figure.update_xaxes(range=[0, 1.02], title="claimed")
    figure.update_yaxes(range=[0, 1.02], title="share right", tickformat=".0%")
    left.plotly_chart(
        figure, width="stretch", key="reliability", alt="Reliability curve of the raw score and of the calibrated probability"
    )
    counts = histogram(p.probability[keep], right)
    centres = [(low + high) / 2 for low, high in zip(counts["edges"], counts["edges"][1:], strict=False)]
    bars = go.Figure()
    bars.add_bar(x=centres, y=counts["right"], name="right", marker_color=BLUE)
    bars.add_bar(x=centres, y=counts["wrong"], name="wrong", marker={"color": ORANGE, "pattern": {"shape": "/"}})
    bars.update_layout(
        height=420,
        barmode="stack",
        title="Probability of right and wrong answers",
        margin={"l": 10, "r": 10, "t": 40, "b": 40},
        legend={"orientation": "h", "y": -0.15},
    )
    bars.update_xaxes(title="probability")
    bars.update_yaxes(title="prompts")
    middle.plotly_chart(bars, width="stretch", key="histogram", alt="Histogram of the top probability, right and wrong answers")
    before, after = expected_calibration_error(raw, right), summary["ece"]
    wrong = int((~right).sum())
    sure = int((~right & (p.probability[keep] >= 0.9)).sum())
    st.caption(
        f"ECE {before:.3f} for the raw score, {after:.3f} for the probability ({p.router.calibration.kind} scaling, fitted on the validation side). "
        f"{sure} of {wrong} wrong answers claim 90 % or more."
    )


def abstain_view(summary: dict[str, Any], judged: Judged) -> None:
    p, keep = judged.predictions, judged.keep
    probability, right = p.probability[keep], p.right[keep]
    left, middle = st.columns(2, gap="large")
    curve = risk_coverage(probability, right)
    figure = go.Figure(
        go.Scatter(
            x=[one["coverage"] for one in curve],
            y=[one["precision"] for one in curve],
            customdata=[one["threshold"] for one in curve],
            mode="lines",
            line={"color": BLUE},
            name="top-1",
            hovertemplate="answers %{x:.1%}, right %{y:.1%}, threshold %{customdata:.2f}<extra></extra>",
        )
    )
    for row in p.router.thresholds:
        if row["threshold"] is not None:
            passed = probability >= row["threshold"]
            if passed.any():
                figure.add_scatter(
                    x=[passed.mean()],
                    y=[right[passed].mean()],
                    mode="markers+text",
                    text=[f"{row['target']:.0%}"],
                    textposition="top right",
                    marker={"color": ORANGE, "size": 9},
                    showlegend=False,
                    hovertemplate="threshold fitted for " + f"{row['target']:.0%}" + ": answers %{x:.1%}, right %{y:.1%}<extra></extra>",
                )
    figure.update_layout(
        height=430,
        title="Precision of the most certain share",
        margin={"l": 10, "r": 10, "t": 40, "b": 40},
        showlegend=False,
    )
    figure.update_xaxes(title="share answered", tickformat=".0%", range=[0, 1.02])
    figure.update_yaxes(title="share right", tickformat=".0%")
    left.plotly_chart(figure, width="stretch", key="coverage", alt="Risk–coverage curve with the fitted thresholds as points")
    with middle:
        target = st.select_slider(
            "Precision wanted in each domain",
            [0.7, 0.8, 0.9, 0.95],
            value=0.9,
            format_func=lambda v: f"{v:.0%}",
            key="per",
            bind="query-params",
        )
        rows = domain_thresholds(probability, p.predicted[keep], right, p.domains, target)
        frame = pd.DataFrame(
            {"Predicted domain": r["domain"], "Threshold": r["threshold"], "Share answered": r["coverage"], "Predicted": r["predicted"]}
            for r in rows
        ).sort_values("Share answered", kind="stable")
        st.dataframe(
            frame.round(3),
            hide_index=True,
            height=350,
            key="thresholds",
            column_config={"Share answered": st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)},
        )
    st.caption(
        f"Area under the risk curve {area_under_risk(probability, right):.3f} (lower is better). Orange points: the thresholds fitted on the validation side, as they do here. "
        "Thresholds per domain are read off the prompts judged here, so they are optimistic; None: no threshold keeps the precision on ten prompts."
    )


def behaviour_view(summary: dict[str, Any], judged: Judged) -> None:
    """Flip rates of the suites: the same prompts for every router, never trained on, whatever the filters."""
    with st.spinner("Perturbing the suites' prompts …"):
        report = bench().behaviour(judged.predictions.router)
        other = bench().behaviour(judged.other.router)["suites"] if judged.other is not None else {}
    rows = []
    for name, suite in report["suites"].items():
        row = {"Suite": name, "Flips": suite["flip_rate"], "Low": suite["interval"][0], "High": suite["interval"][1], "Prompts": suite["n"]}
        if other:
            row[f"Flips of {judged.other.router.name}"] = other[name]["flip_rate"]
        row |= {
            "To another backend": suite["cost_flip_rate"],
            "Right before": suite["accuracy_before"],
            "Right after": suite["accuracy_after"],
        }
        rows.append(row | {"What changes": suite["meaning"]})
    frame = pd.DataFrame(rows).round(3)
    percent = st.column_config.NumberColumn(format="percent")
    columns = {name: percent for name in frame.columns if name not in ("Suite", "Prompts", "What changes", "Flips")}
    columns["Flips"] = st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)
    st.caption("A flip: the first domain changes though the question does not. Choose a row to see examples.")
    event = st.dataframe(
        frame,
        hide_index=True,
        key="behaviour",
        on_select="rerun",
        selection_mode="single-row",
        column_config=columns,
        height=38 + 35 * len(rows),
    )
    topics = report["multi_topic"]
    low, high = topics["interval"]
    st.caption(
        f"Prompts with two topics: both are the first two answers on {topics['both_in_top2']:.0%} [{low:.0%}, {high:.0%}] of {topics['n']}. "
        f'The prompts were chosen to be unambiguous, so "right before" flatters; none of them trains a router.'
    )
    picked = event["selection"]["rows"]
    name = rows[picked[0]]["Suite"] if picked else max(report["suites"], key=lambda one: report["suites"][one]["flip_rate"])
    examples = pd.DataFrame(
        {"Before": one["before"], "Answered": one["answered_before"], "After": one["after"], "Then answered": one["answered_after"]}
        for one in report["suites"][name]["examples"]
    )
    st.markdown(f"**Flips of the suite {name}**")
    if examples.empty:
        st.caption("None.")
        return
    wide = st.column_config.TextColumn(width="large")
    st.dataframe(examples, hide_index=True, key="flips", column_config={"Before": wide, "After": wide})
