"""Try a prompt: the model each selector would pick. Off until asked for, so that the bars never wait for it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.shared.frame import bench, literal
from pages.shared.selector_ballot import EXPECTED, expected


def picks(text: str) -> None:
    """A toggle; when on, the picks, computed after everything above is on the screen."""
    names = bench().selector_names()
    with st.container(horizontal=True, vertical_alignment="center"):
        on = st.toggle("Selectors' picks", key="picks", bind="query-params", persist_state="session", help="Which model each selector would send this prompt to, and what it expects.")
        if not on or not names:
            return
        name = st.selectbox("Selectors", names, key="pool", bind="query-params", persist_state="session", label_visibility="collapsed", width=260)
    _shown(text, name)


def _shown(text: str, name: str) -> None:
    """A row per model: who picks it, and what each selector of the lab's form expects of it."""
    category, made = bench().picks(text, name)
    one = bench().selector_set(name)
    by_key = {pick.selector.rsplit("/", 1)[-1]: pick for pick in made}
    default, own = by_key[one.default], [key for key in by_key if one.meta["selectors"][key]["form"] == "lab"]
    rows = []
    for model in one.models:
        said = expected(default, model)
        quality = {key: by_key[key].predicted.get(model, {}).get("quality") for key in own}
        rows.append({"Model": model, "Picked by": ", ".join(key for key in by_key if by_key[key].model == model) or "–"} | quality | {key: value for key, value in said.items() if key != "Quality"})
    columns = {key: st.column_config.NumberColumn(format="%.2f", width=max(58, 26 + 7 * len(key)), help=f"quality that {literal(key)} expects of the model") for key in own} | EXPECTED
    columns |= {"Model": st.column_config.TextColumn(width=160), "Picked by": st.column_config.TextColumn(width=210)}
    st.dataframe(pd.DataFrame(rows).dropna(axis=1, how="all"), hide_index=True, key="picks-table", column_config=columns)
    sure = "" if category.probability is None else f" {category.probability:.0%}"
    st.caption(
        literal(
            f"{one.default}, the default, picks {default.model}. Under a selector's name: the quality it expects; latency and cost, where the outcomes have them, are {one.default}'s. "
            f"Category {category.name}{sure}. Whether any of this beats one model, the page Selectors says."
        )
    )
    st.page_link("pages/selectors.py", label="The whole ballot", icon=":material/how_to_vote:", query_params={"set": name, "view": "One query", "query": text[:1_500]})
