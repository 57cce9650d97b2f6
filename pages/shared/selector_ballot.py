"""One query's ballot: which model each selector picks, on what evidence, and what would change it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from lab.selector.pick import Ballot, Pick
from pages.shared.frame import bench, literal, query_default

EXAMPLE = "What is the integral of x squared?"
AUTO = "automatic"
LINK_CHARS = 1_500


def ballot_view(name: str) -> None:
    one = bench().selector_set(name)
    text, category, key, candidates = _asked(one)
    if not text.strip():
        st.info("Type a query.", icon=":material/keyboard:")
        return
    found, picks, ballot = bench().query_ballot(text, f"{name}/{key}", category, candidates)
    made = ballot.pick
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(literal(made.model), anchor=False, width="content")
        st.badge(f"picked by {literal(key)}", icon=":material/how_to_vote:", color="blue")
    st.markdown(literal(f"{made.reason}."))
    sure = "" if found.probability is None else f", probability {found.probability:.0%}"
    st.caption(literal(f"Category {found.name} ({'given' if found.source == 'given' else 'by ' + found.source}{sure})."))
    left, right = st.columns([3, 2], gap="medium")
    with left:
        _models(made)
        _flips(ballot, made.model)
    with right:
        _picks(picks)
    _neighbours(ballot, one.models)


def _asked(one: Any) -> tuple[str, str | None, str, list[str]]:
    query_default("query", EXAMPLE)
    text = st.text_input("Query", key="query", max_chars=20_000, icon=":material/how_to_vote:")
    if text and len(text) <= LINK_CHARS and text.isprintable():
        st.query_params["query"] = text
    elif "query" in st.query_params:
        del st.query_params["query"]
    cells = st.columns([2, 2, 4])
    known = [AUTO, *bench().conventions.known]
    category = cells[0].selectbox("Category", known, key="category", bind="query-params")
    if st.session_state.get("selector") not in (None, *one.keys):
        del st.session_state["selector"]
    key = cells[1].selectbox("Selector", one.keys, index=one.keys.index(one.default), key="selector", bind="query-params")
    candidates = cells[2].multiselect("Candidates", one.models, key=f"candidates-{one.name}", placeholder="all models", format_func=literal)
    return text or "", None if category == AUTO else category, key, candidates


def _models(made: Pick) -> None:
    st.markdown("**Each model, as this selector sees it**")
    rows = [
        {"Model": model, "Picked": "◉" if model == made.model else "", "Score": made.scores.get(model), **expected(made, model)}
        for model in made.predicted | dict.fromkeys(made.candidates)
    ]
    frame = pd.DataFrame(rows).sort_values("Score", ascending=False, kind="stable", na_position="last")
    columns = {"Model": st.column_config.TextColumn(width=186), "Picked": st.column_config.TextColumn(width=52), "Score": st.column_config.NumberColumn(format="%.4f", width=62, help=made.unit)} | EXPECTED
    st.dataframe(frame.dropna(axis=1, how="all"), hide_index=True, key="ballot-models", column_config=columns)
    said = "Quality, latency and cost as far as the outcomes have them, predicted." if made.predicted else "No training outcomes come with a model file, so nothing is predicted."
    st.caption(literal(f"Score: {made.unit or 'none'}. {said}"))


EXPECTED: dict[str, Any] = {
    "Quality": st.column_config.NumberColumn(format="%.3f", width=62),
    "Latency, s": st.column_config.NumberColumn(format="%.2f", width=72),
    "$ / 1,000": st.column_config.NumberColumn(format="%.3f", width=66, help="Cost of 1,000 queries."),
}


def expected(made: Pick, model: str) -> dict[str, float | None]:
    """The predictions for a model, by column of the table; None where the outcomes have none."""
    found = made.predicted.get(model, {})
    cost = found.get("cost_usd")
    return {"Quality": found.get("quality"), "Latency, s": found.get("latency_s"), "$ / 1,000": None if cost is None else 1_000 * cost}


def _neighbours(ballot: Ballot, models: list[str]) -> None:
    st.markdown("**The most similar training queries**", help="By the selector's own measure. Their texts are not kept: similarity, category, and how each model did.")
    if not ballot.neighbours:
        st.caption("A model file brings no training queries.")
        return
    frame = pd.DataFrame(
        [{"Similarity": one["cosine"], "Category": one["category"]} | {model: one["quality"][model] for model in models} for one in ballot.neighbours]
    )
    wide = max(76, 600 // len(models))  # all of up to seven models fit beside each other on a laptop
    columns: dict[str, Any] = {model: st.column_config.NumberColumn(format="%.2f", width=wide, help=literal(model)) for model in models}
    columns["Category"] = st.column_config.TextColumn(width=126)
    columns["Similarity"] = st.column_config.ProgressColumn(format="%.2f", min_value=0, max_value=1, width=80)
    st.dataframe(frame, hide_index=True, key="ballot-neighbours", column_config=columns)
    st.caption("Quality of each model on them; empty: never asked.")


def _picks(picks: list[Pick]) -> None:
    st.markdown("**Every selector's pick**")
    frame = pd.DataFrame([{"Selector": one.selector.rsplit("/", 1)[-1], "Picks": one.model} for one in picks])
    st.dataframe(frame, hide_index=True, key="ballot-picks", column_config={"Selector": st.column_config.TextColumn(width=96), "Picks": st.column_config.TextColumn(width=196)})


def _flips(ballot: Ballot, model: str) -> None:
    st.markdown("**What would change the pick**")
    words = {"category": "the category were {}", "quality_weight": "the weight of quality were {}", "less_evidence": "{} standard errors were enough", "more_evidence": "more than {} standard errors were asked for", "without": "{} were no candidate"}
    frame = pd.DataFrame([{"If": words[one["what"]].format(one["to"]), "Then": one["model"]} for one in ballot.flips])
    if all(one["what"] == "without" for one in ballot.flips):
        st.caption(literal(f"No other category and no other weight: {model} in every case."))
    if frame.empty:
        return
    st.dataframe(frame, hide_index=True, key="ballot-flips", column_config={"Then": st.column_config.TextColumn(width=186)})
