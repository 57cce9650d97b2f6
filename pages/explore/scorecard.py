"""Scorecard: how good is the router, where, and can the figure be trusted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from lab.evaluation.compare import figures
from lab.evaluation.confusions import cost_matrix
from lab.evaluation.curves import area_under_risk, domain_thresholds, histogram, length_group, multi_label, reliability, risk_coverage
from lab.evaluation.metrics import confusion, expected_calibration_error, slices, summarise
from lab.evaluation.report import place_labels
from lab.router.head import sigmoid
from pages.shared.frame import bench
from pages.shared.judged import Judged, binding, settings

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#8a94a3"
VIEWS = ("Domains", "Slices", "Calibration", "Abstain", "Behaviour")


def render() -> None:
    st.header("Scorecard", anchor=False)
    judged = settings()
    if not judged.keep.any():
        st.info("No prompt passes these filters. Loosen them in the sidebar.", icon=":material/filter_alt_off:")
        return
    summary = _summary(judged.key, judged)
    _headline(summary, judged)
    binding(judged)
    if judged.other is not None:
        _comparison(judged)
    view = st.segmented_control(
        "View", VIEWS, default=VIEWS[0], required=True, key="view", bind="query-params", label_visibility="collapsed"
    )
    {"Domains": _domains, "Slices": _slices, "Calibration": _calibration, "Abstain": _abstain, "Behaviour": _behaviour}[view](
        summary, judged
    )


@st.cache_data(max_entries=64, show_spinner="Measuring …")
def _summary(key: tuple, _judged: Judged) -> dict[str, Any]:
    p, keep = _judged.predictions, _judged.keep
    return summarise(p.logits[keep], p.primary[keep], p.domains, p.probability[keep])


def _headline(summary: dict[str, Any], judged: Judged) -> None:
    inside = summary["intervals"]
    compared = (
        _summary((*judged.key, judged.other.router.sha256), _with(judged)) if judged.other is not None and _comparable(judged) else None
    )
    for cell, (label, key) in zip(
        st.columns(5), (("Top-1", "top1"), ("Top-3", "top3"), ("Macro-F1", "macro_f1"), ("ECE", "ece"), ("Prompts", "n")), strict=True
    ):
        value = f"{summary[key]:,}" if key == "n" else f"{summary[key]:.3f}" if key == "ece" else f"{summary[key]:.1%}"
        delta = None
        if compared and key != "n":
            delta = f"{summary[key] - compared[key]:+.3f}" if key == "ece" else f"{100 * (summary[key] - compared[key]):+.1f} points"
        cell.metric(label, value, delta, delta_color="inverse" if key == "ece" else "normal", help=HELP[key])
        if key in inside:
            cell.caption(f"{inside[key][0]:.1%} to {inside[key][1]:.1%}")
        elif key == "ece":
            raw = expected_calibration_error(*_raw(judged))
            cell.caption(f"raw score {raw:.3f}")


HELP = {
    "top1": "Share of prompts whose first domain is the labelled one. Wilson interval.",
    "top3": "Share whose labelled domain is among the first three.",
    "macro_f1": "F1 averaged over domains, each with the same weight. Bootstrap over prompts.",
    "ece": "Expected calibration error of the top probability, 15 equally filled bins; the caption gives it for the raw score.",
    "n": "Prompts judged.",
}


def _raw(judged: Judged) -> tuple[np.ndarray, np.ndarray]:
    p, keep = judged.predictions, judged.keep
    return sigmoid(p.logits[keep]).max(axis=1), p.right[keep]


def _comparable(judged: Judged) -> bool:
    return judged.other is not None and len(judged.other.domains) == len(judged.predictions.domains)


def _with(judged: Judged) -> Judged:
    return Judged(judged.other, None, judged.keep & judged.other.known, judged.filters)


def _comparison(judged: Judged) -> None:
    """The paired answer to "is it better?", the only one that counts."""
    modes = {"shared": "labels both have", "mapped": "by backend"}
    for mode, said in modes.items():
        if mode == "mapped" and _comparable(judged):
            continue
        result = figures(bench().comparison(judged.other, judged.predictions, mode, judged.keep | ~judged.predictions.known))
        better = {"b is better": "better", "a is better": "worse", "no difference is shown": "not shown to differ"}[result["verdict"]]
        icon = {"better": ":material/trending_up:", "worse": ":material/trending_down:"}.get(better, ":material/trending_flat:")
        st.markdown(
            f"{icon} Against **{judged.other.router.name}** ({said}, n {result['n']:,}): **{better}**, "
            f"{100 * result['top1_a']:.1f} → {100 * result['top1_b']:.1f} %, difference {100 * result['difference_low']:+.1f} to {100 * result['difference_high']:+.1f} points; "
            f"{result['fixed']} fixed, {result['broken']} broken, McNemar p {result['mcnemar_p']:.2g}."
        )


def _domains(summary: dict[str, Any], judged: Judged) -> None:
    p, keep = judged.predictions, judged.keep
    table = confusion(p.primary[keep], p.predicted[keep], len(p.domains))
    costly = (table * cost_matrix(p.domains, bench().costs)).sum(axis=1)
    rows = []
    for place, domain in enumerate(p.domains):
        figure = summary["per_domain"][domain]
        if not figure["support"]:
            continue
        rows.append(
            {
                "Domain": domain,
                "Wrong backend": int(costly[place]),
                "Wrong domain": int(table[place].sum() - table[place, place]),
                "Recall": figure["recall"],
                "Precision": figure["precision"],
                "F1": figure["f1"],
                "F1 low": figure["interval"][0],
                "F1 high": figure["interval"][1],
                "Prompts": figure["support"],
                "Judged": "yes" if figure["judged"] else "cannot judge",
            }
        )
    frame = pd.DataFrame(rows).sort_values(["Wrong backend", "Wrong domain"], ascending=False, kind="stable")
    if judged.other is not None:
        result = figures(bench().comparison(judged.other, p, "shared", keep))["per_domain"]
        canonical = bench().taxonomy.canonical
        frame.insert(3, f"vs {judged.other.router.name}", [_delta(result.get(canonical(domain))) for domain in frame["Domain"]])
    st.caption("Sorted by what costs most: prompts that another backend answered. Choose a row to see where its prompts went.")
    bar = st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)
    percent = st.column_config.NumberColumn(format="percent")
    shown = frame.round({"Recall": 3, "Precision": 3, "F1": 3, "F1 low": 3, "F1 high": 3})
    event = st.dataframe(
        shown,
        hide_index=True,
        height=520,
        key="domain-table",
        on_select="rerun",
        selection_mode="single-row",
        column_config={"F1": bar, "Recall": percent, "Precision": percent, "F1 low": percent, "F1 high": percent},
    )
    if event["selection"]["rows"]:
        domain = frame.iloc[event["selection"]["rows"][0]]["Domain"]
        st.page_link(
            "pages/explore/confusions.py", label=f"Where {domain} goes", icon=":material/grid_on:", query_params=_carry({"domain": domain})
        )


def _delta(row: dict[str, Any] | None) -> str:
    return "–" if row is None else f"+{row['fixed']} −{row['broken']}"


def _carry(extra: dict[str, str]) -> dict[str, str]:
    """This page's router and basis, for a link to another page."""
    return {key: str(st.session_state[key]) for key in ("router", "on") if st.session_state.get(key)} | extra


def _slices(summary: dict[str, Any], judged: Judged) -> None:
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
    st.caption(
        f"Multi-label, domain + also: the gateway's selections (score ≥ 0.50, at most 4) have precision {many['precision']:.1%} and recall {many['recall']:.1%}; "
        f"counting also, the first domain is right on {many['top1_or_also']:.1%}."
    )


def _calibration(summary: dict[str, Any], judged: Judged) -> None:
    p, keep = judged.predictions, judged.keep
    raw, right = _raw(judged)
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


def _abstain(summary: dict[str, Any], judged: Judged) -> None:
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


def _behaviour(summary: dict[str, Any], judged: Judged) -> None:
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


render()
