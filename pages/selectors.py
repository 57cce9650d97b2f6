"""Selectors: is choosing the model per query worth it, on what evidence, and why does this query go where it goes."""

from __future__ import annotations

import streamlit as st

from lab.selector.card import ranged
from pages.shared.frame import bench, literal, query_default, serve
from pages.shared.selector_ballot import ballot_view
from pages.shared.selector_files import files_view
from pages.shared.selector_judgement import judgement_view
from pages.shared.selector_slices import slices_view

VIEWS = ("Judgement", "Categories", "One query", "Files and card")


def render() -> None:
    st.header("Selectors", anchor=False)
    names = bench().selector_names()
    if not names:
        st.info("No selectors are installed. Train some on the page Benchmark, or import a file.", icon=":material/info:")
        files_view("")
        return
    name = _chosen(names)
    made = bench().judgement(name)
    _verdict(name, made)
    query_default("view", VIEWS[0])
    if st.session_state.view not in VIEWS:
        st.session_state.view = VIEWS[0]
    view = st.segmented_control("View", VIEWS, required=True, key="view", bind="query-params", label_visibility="collapsed")
    if view == "One query":
        ballot_view(name)
    elif view == "Files and card":
        files_view(name)
    elif not made["rows"]:
        st.info(
            "Nobody has judged these selectors: a model file brings no outcomes. `python -m lab selectors evaluate --selector NAME --data FILE` judges them on yours.",
            icon=":material/help:",
        )
    elif view == "Categories":
        slices_view(name, made)
    else:
        judgement_view(name, made)


def _chosen(names: list[str]) -> str:
    """The set, kept in the address; one that a link names and that is not here says so."""
    query_default("set", names[0])
    if st.session_state.get("selectors_open") in names:
        st.session_state.set = st.session_state.pop("selectors_open")
    if st.session_state.set not in names:
        st.warning(literal(f"There are no selectors '{st.session_state.set}' here; {names[0]} is shown."), icon=":material/link_off:")
        st.session_state.set = names[0]
    with st.sidebar:
        name = st.selectbox("Selectors", names, key="set", format_func=_label, help="Trained together on one pool of models.")
        one = bench().selector_set(name)
        st.caption(literal(f"Choose among {len(one.models)} models: {', '.join(one.models)}."))
        st.page_link("pages/try_prompt.py", label="Their picks on Try a prompt", icon=":material/bolt:", query_params={"picks": "true", "pool": name})
    st.query_params["set"] = name
    return name


def _label(name: str) -> str:
    return f"{name} (shipped)" if bench().is_shipped(name) else name


def _verdict(name: str, made: dict) -> None:
    """What the evidence says, before any figure."""
    sentence = made["verdict"].get("sentence")
    if sentence:
        use = made["verdict"]["use"]
        icon = {"one model": ":material/looks_one:", "categories": ":material/category:"}.get(use, ":material/fork_right:")
        st.info(f"**{literal(sentence)}**", icon=icon)
        if advice := _advice(name, made):
            st.caption(literal(advice))
    if made["note"]:
        st.warning(literal(made["note"]), icon=":material/warning:")


def _advice(name: str, made: dict) -> str:
    """What to do with the verdict."""
    use = made["verdict"]["use"]
    if use == "one model":
        return ""
    if use == "categories":
        return "What to do: the view Categories has the model of each category, and the table as a config.yaml for the router."
    one, files = bench().selector_set(name), bench().selector_files(bench().selector_set(name))
    if use in files:
        return f"What to do: the view Files and card has {files[use]} for the router."
    best = max((row for row in made["rows"] if row["strategy"] in files), key=lambda row: row["gain"] or 0.0, default=None)
    rest = f" Of those that have one, {best['strategy']} gains most: {ranged(best, 'gain', '+')}." if best else ""
    return f"What to do: {use} picks here and by 'selectors pick'{'' if use in one.keys else ', once it is trained'}; it has no form in the router's files.{rest}"


serve(render)
