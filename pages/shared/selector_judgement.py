"""The honest table of a set of selectors at a chosen weight, its curves, its waterfall, the share of picks, the published table."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from lab.selector.by_weight import points
from lab.selector.card import ranged
from lab.selector.judge import FEWEST, Row
from lab.selector.verdict import waterfall
from pages.shared.frame import bench, literal
from pages.shared.many import to_csv
from pages.shared.selector_charts import curve_figure, share_figure, waterfall_figure

THREE, SIGNED = st.column_config.NumberColumn(format="%.3f"), st.column_config.NumberColumn(format="%+.3f")
PERCENT = st.column_config.NumberColumn(format="percent")


def judgement_view(name: str, made: dict[str, Any]) -> None:
    _weighed(name, made)
    _published(made)


@st.fragment
def _weighed(name: str, made: dict[str, Any]) -> None:
    """Everything that moves with the slider; only this is run again."""
    rows, best, weight = _at_weight(name, made)
    if made["by_weight"]:
        _curves(name, made, weight)
    frame = honest_table(rows, best)
    shown = _for_screen(rows, frame)
    st.dataframe(shown, hide_index=True, key="honest-table", height=38 + 35 * len(shown), column_config=_columns(shown))
    _caption(made)
    st.download_button("Table (CSV)", to_csv(frame), f"{name}-judgement.csv", "text/csv", icon=":material/download:", on_click="ignore")
    left, right = st.columns(2, gap="large")
    with left:
        _headroom(name, made, rows)
    with right:
        _shares(rows)


def _at_weight(name: str, made: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str], float]:
    """The rows at the slider's weight and the best single model there; where there is nothing to weigh, the rows as judged."""
    utility = bench().selector_set(name).utility
    if not made["by_weight"]:
        if len(utility.parts) < 2:
            st.caption(
                ":material/balance: These outcomes hold neither latency nor cost. Quality alone counts: there is no weight to set and no curve to draw."
            )
        else:
            st.caption(":material/balance: This judgement was kept at its own weight only; train again to get a table for each weight.")
        return made["rows"], made["best_single"], utility.quality_weight
    tables = {one["quality_weight"]: one for one in made["by_weight"]}
    start = min(tables, key=lambda one: abs(one - utility.quality_weight))
    parts = " and ".join({"speed": "latency", "thrift": "cost"}[one] for one in utility.parts[1:])
    weight = st.select_slider(
        "Weight of quality", list(tables), value=start, key="weight", bind="query-params", format_func=lambda one: f"{one:.2f}",
        help=f"1: quality alone. 0: {parts} alone. Nothing is trained again: a selector predicts quality, {parts}, and only their mix changes. The compatible forms cannot be weighed after training.",
    )  # fmt: skip
    moved = "" if weight == start else f" The verdict above is at the trained weight, {start:.2f}."
    st.caption(literal(f"At weight {weight:.2f} the best single model of the training queries is {tables[weight]['best_single']}.{moved}"))
    return tables[weight]["rows"], [tables[weight]["best_single"]], weight


def honest_table(rows: list[dict[str, Any]], best: list[str]) -> pd.DataFrame:
    """A line per strategy, the order kept, every figure in a column of its own."""
    return pd.DataFrame(
        [
            {
                "Strategy": row["strategy"], "Quality": row["quality"], "Quality low": row["quality_low"], "Quality high": row["quality_high"], "Gain": row["gain"],
                "Gain low": row["gain_low"], "Gain high": row["gain_high"], "Reads": reading(row, best), "Latency, s": row["latency_s"], "Cost, $": row["cost_usd"],
                "Best model": row["best_model_share"], "Regret": row["regret"], "Utility": row["utility"], "n": row["n"], "Not known": row["missing"],
            }
            for row in rows
        ]
    )  # fmt: skip


def _for_screen(rows: list[dict[str, Any]], frame: pd.DataFrame) -> pd.DataFrame:
    """Intervals beside their figure, no column that is empty."""
    shown = pd.DataFrame({"Strategy": frame["Strategy"], "Quality": [ranged(row, "quality", "") for row in rows], "Gain": [ranged(row, "gain", "+") for row in rows]})
    shown["Reads"] = frame["Reads"]
    shown["Latency, s"], shown["$ / 1,000"] = frame["Latency, s"], frame["Cost, $"].astype(float) * 1_000
    shown["Best"], shown["Regret"], shown["n"] = frame["Best model"].astype(float).round(3), frame["Regret"], frame["n"]
    if frame["Latency, s"].notna().any() or frame["Cost, $"].notna().any():
        shown["Utility"] = frame["Utility"]
    return shown.dropna(axis=1, how="all")


def _columns(shown: pd.DataFrame) -> dict[str, Any]:
    text, number = st.column_config.TextColumn, st.column_config.NumberColumn
    found = {
        "Strategy": text(width=220), "Quality": text(width=132, help="Mean over the queries, with its 95 % interval."), "Gain": text(width=152, help="Quality over the best single model, paired by query."),
        "Reads": text(width=104, help="What the gain's interval says: better or worse than the best single model, or no difference shown."), "Latency, s": number(format="%.2f", width=72),
        "$ / 1,000": number(format="%.3f", width=66, help="Mean cost of 1,000 queries."), "Best": number(format="percent", width=56, help="How often the pick is (one of) the best."),
        "Regret": number(format="%.3f", width=58), "n": number(width=46), "Utility": number(format="%.3f", width=62, help="Quality, latency and cost mixed at the weight: what a selector maximises."),
    }  # fmt: skip
    return {key: value for key, value in found.items() if key in shown}


def reading(row: dict[str, Any], best: list[str]) -> str:
    """The gain's interval in words."""
    if row["strategy"] in [f"Always {one}" for one in best]:
        return "best single"
    if row["kind"] == "oracle":
        return "ceiling"
    if row["gain_low"] is None:
        return "unknown"
    return "▲ better" if row["gain_low"] > 0 else "▼ worse" if row["gain_high"] < 0 else "no difference"


def between(row: dict[str, Any], key: str, sign: str) -> str:
    low, high = row[f"{key}_low"], row[f"{key}_high"]
    return "–" if low is None or high is None else f"{low:{sign}.3f} to {high:{sign}.3f}"


def _caption(made: dict[str, Any]) -> None:
    st.caption(
        f"n {made['n']:,} queries that no selector was trained on. Gain: over the best single model, which the training queries chose, paired by query. Intervals: bootstrap "
        f"over queries, 95 %, not corrected for their number (the verdict is). Best: how often the pick is (one of) the best, over queries that some model answered; "
        f"{made['unanswered']:,} nobody answered. Regret: the oracle's quality minus this one's. Random: its expectation."
        + (f" Fewer than {FEWEST} queries give no interval." if made["n"] < FEWEST else "")
    )
    st.caption(bound(made))


def bound(made: dict[str, Any]) -> str:
    """What the figures belong to, as Markdown."""
    to = made["bound_to"]
    files = ", ".join(f"{name} {value[:12]}" for name, value in (to.get("selectors") or {}).items() if name.startswith("selectors"))
    said = {"Outcomes": (to.get("data_sha256") or "")[:12], "encoder": to.get("encoder_id"), "files": files, "seed": to.get("seed")}
    return literal(" · ".join(f"{key} {value}" for key, value in said.items() if value not in (None, "")))


AXES = {"Latency": ("latency_s", 1, "mean latency, s"), "Cost": ("cost_usd", 1_000, "mean cost of 1,000 queries, $")}


def _curves(name: str, made: dict[str, Any], weight: float) -> None:
    found = points(made["by_weight"])
    wanted = [key for key, (column, _, _) in AXES.items() if any(one[column] is not None for one in found)]
    against = st.segmented_control("Quality against", wanted, default=wanted[0], required=True, key="against", bind="query-params")
    column, scale, axis = AXES[against]
    alt = f"Quality against {axis} of each strategy over the weight of quality; the table below has the figures"
    st.plotly_chart(curve_figure(found, column, scale, axis, weight), width="stretch", key=f"curve-{column}", alt=alt)
    st.caption("A line runs over the 21 weights; the ring is the weight chosen. Further left and higher is better.")
    with st.expander("The curves as a table", icon=":material/table:"):
        frame = pd.DataFrame(
            [
                {
                    "Strategy": one["strategy"], "Weight": one["quality_weight"], "Quality": one["quality"], "Quality, 95 %": between(one, "quality", ""), "Latency, s": one["latency_s"],
                    "Cost, $": one["cost_usd"], "Frontier by latency": yes(one["on_frontier"]["latency_s"]), "Frontier by cost": yes(one["on_frontier"]["cost_usd"]), "n": one["n"],
                }
                for one in found
            ]
        )  # fmt: skip
        st.dataframe(frame, hide_index=True, key="curve-table", height=320, column_config={"Quality": THREE, "Latency, s": THREE, "Cost, $": st.column_config.NumberColumn(format="%.5f"), "Weight": st.column_config.NumberColumn(format="%.2f")})  # fmt: skip
        st.download_button("Curves (CSV)", lambda: to_csv(frame), f"{name}-curves.csv", "text/csv", icon=":material/download:", on_click="ignore")


def yes(value: bool | None) -> str:
    return {True: "yes", False: "no", None: "–"}[value]


def _headroom(name: str, made: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    st.markdown("**Where the headroom lies**", help="Random → best single model → best model per category → selector → the best model of each query.")
    learnt = [row["strategy"] for row in rows if row["kind"] == "selector"]
    if not learnt:
        st.caption("No selector was judged.")
        return
    default = bench().selector_set(name).default
    shown = st.selectbox("Selector shown", learnt, index=learnt.index(default) if default in learnt else 0, key="shown", bind="query-params")
    steps = waterfall([Row(**row) for row in rows], shown)
    told = ", ".join(f"{one['step']} {one['quality']:.3f}" for one in steps if one["quality"] is not None)
    st.plotly_chart(waterfall_figure(steps), width="stretch", key="waterfall", config={"displayModeBar": False}, alt=f"Quality: {told}")
    gaps = " Outcomes are missing: each step is the best single model's quality plus the gain over it, paired by query." if any(row["missing"] for row in rows) else ""
    st.caption(literal(f"{told}. Between the selector and the oracle lies what no selector here has found.{gaps}"))


def _shares(rows: list[dict[str, Any]]) -> None:
    st.markdown("**Share of picks**", help="How often each strategy picks each model.")
    chosen = [row for row in rows if row["kind"] in ("oracle", "domain", "selector")]
    st.plotly_chart(share_figure(chosen), width="stretch", key="shares", config={"displayModeBar": False}, alt="Share of picks of each model by strategy; the table below has the figures")
    with st.expander("Share of picks as a table", icon=":material/table:"):
        frame = pd.DataFrame([{"Strategy": row["strategy"]} | row["picks"] for row in chosen])
        st.dataframe(frame, hide_index=True, key="share-table", column_config={name: PERCENT for name in frame.columns if name != "Strategy"})


def _published(made: dict[str, Any]) -> None:
    """Theirs and ours side by side, each against its own random and its own best single model: other queries, other models."""
    published = bench().conventions.published
    st.markdown("**Beside the semantic router's own table**")
    st.caption(literal(f"{published['title']}. Other queries and other models than here: compare the conclusions, not the figures."))
    left, right = st.columns(2, gap="large")
    theirs = pd.DataFrame(
        {"Published": row["strategy"], "Quality": row["quality"], "Latency, s": row["latency_s"], "Best": row["best_model_share"]} for row in published["rows"]
    )
    columns = {"Published": st.column_config.TextColumn(width=170), "Quality": THREE, "Latency, s": st.column_config.NumberColumn(format="%.2f"), "Best": PERCENT}
    left.dataframe(theirs, hide_index=True, key="published", column_config=columns, height=38 + 35 * len(theirs))
    ours = [row for row in made["rows"] if row["kind"] != "single" or row["strategy"] in [f"Always {one}" for one in made["best_single"]]]
    frame = pd.DataFrame({"Measured here": row["strategy"], "Quality": ranged(row, "quality", ""), "Best": round(row["best_model_share"], 3) if row["best_model_share"] is not None else None} for row in ours)
    right.dataframe(frame, hide_index=True, key="measured", column_config={"Measured here": st.column_config.TextColumn(width=190), "Best": PERCENT}, height=38 + 35 * len(frame))
    st.markdown("Known faults of the published table:\n" + "\n".join(f"- {literal(fault)}" for fault in published["faults"]))
