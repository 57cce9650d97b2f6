"""Scorecard: how good is the router, where, and can the figure be trusted."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from lab.evaluation.compare import figures
from lab.evaluation.confusions import cost_matrix
from lab.evaluation.metrics import confusion, expected_calibration_error, summarise
from pages.shared.frame import bench, serve
from pages.shared.judged import Judged, binding, settings
from pages.shared.score_views import abstain_view, behaviour_view, calibration_view, raw_score, slices_view

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
    {"Domains": _domains, "Slices": slices_view, "Calibration": calibration_view, "Abstain": abstain_view, "Behaviour": behaviour_view}[
        view
    ](summary, judged)


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
            raw = expected_calibration_error(*raw_score(judged))
            cell.caption(f"raw score {raw:.3f}")


HELP = {
    "top1": "Share of prompts whose first domain is the labelled one. Wilson interval.",
    "top3": "Share whose labelled domain is among the first three.",
    "macro_f1": "F1 averaged over domains, each with the same weight. Bootstrap over prompts.",
    "ece": "Expected calibration error of the top probability, 15 equally filled bins; the caption gives it for the raw score.",
    "n": "Prompts judged.",
}


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
                "F1, 95 %": f"{100 * figure['interval'][0]:.0f} to {100 * figure['interval'][1]:.0f} %",
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
    shown = frame.round({"Recall": 3, "Precision": 3, "F1": 3})
    event = st.dataframe(
        shown,
        hide_index=True,
        height=520,
        key="domain-table",
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "Domain": st.column_config.TextColumn(width=150, pinned=True),
            "F1": bar,
            "Recall": percent,
            "Precision": percent,
            "F1, 95 %": st.column_config.TextColumn(width=84, help="Bootstrap over the prompts judged"),
            "Judged": st.column_config.TextColumn(width=84, help="Under ten prompts a domain cannot be judged"),
        },
    )
    if event["selection"]["rows"]:
        domain = frame.iloc[event["selection"]["rows"][0]]["Domain"]
        st.page_link(
            "pages/confusions.py", label=f"Where {domain} goes", icon=":material/grid_on:", query_params=_carry({"domain": domain})
        )


def _delta(row: dict[str, Any] | None) -> str:
    return "–" if row is None else f"+{row['fixed']} −{row['broken']}"


def _carry(extra: dict[str, str]) -> dict[str, str]:
    """This page's router and basis, for a link to another page."""
    return {key: str(st.session_state[key]) for key in ("router", "on") if st.session_state.get(key)} | extra


serve(render)
