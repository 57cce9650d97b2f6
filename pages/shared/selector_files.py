"""A set's files for the semantic router, its card, and the import of a file."""

from __future__ import annotations

from contextlib import suppress

import streamlit as st
from streamlit.errors import StreamlitAPIException

from pages.shared.frame import bench, literal
from pages.shared.people import writer


def files_view(name: str) -> None:
    left, right = st.columns([2, 3], gap="large")
    with left:
        if name:
            _export(name)
        _import()
        _decisions()
    if name:
        with right:
            _card(name)


def _export(name: str) -> None:
    st.subheader("For the semantic router", anchor=False)
    one = bench().selector_set(name)
    files = bench().selector_files(one)
    st.caption("The same picks in the router's own file formats. A file is made when its button is pressed.")
    if "knn" in files:
        rows = len(one.x) * len(one.models)
        st.caption(f"knn holds a row per query and model, {rows:,} here: about {rows * one.x.shape[1] * 11.3 / 1e6:,.0f} MB.")
    for key, file in files.items():
        st.download_button(
            f"{literal(key)}: {file}", lambda key=key: bench().selector_file(f"{name}/{key}"), file, "application/json", key=f"export-{key}", icon=":material/download:", on_click="ignore"
        )
    rest = [key for key in one.keys if key not in files]
    if rest:
        st.caption(literal(f"{', '.join(rest)}: no form in the router's files, they cannot say “only on significant evidence”."))


def _import() -> None:
    st.subheader("Import a file", anchor=False)
    if told := st.session_state.pop("selectors_told", ""):
        st.success(literal(told), icon=":material/check:")
    person = writer("maintainer", "It stands beside what you import.")
    if person is None:
        return
    with st.form("selectors_import", border=False):
        upload = st.file_uploader("knn_model.json, kmeans_model.json, svm_model.json or mlp_model.json", type=["json"], key="selectors_file")
        name = st.text_input("Name", key="selectors_name", max_chars=80, help="Letters, digits, '-' and '_'.")
        encoder = st.selectbox("Encoder", ["", *bench().conventions.encoders], format_func=lambda one: one or "as the file says, or by its width", key="selectors_encoder")
        if st.form_submit_button("Import", icon=":material/upload:") and upload is not None:
            one = bench().upload_selector(person, upload.getvalue(), upload.name, name.strip(), encoder)
            st.session_state.selectors_told = f"{one.name} is imported: {', '.join(one.keys)} for {', '.join(one.models)}."
            st.session_state.selectors_open = one.name
            st.rerun()


def _decisions() -> None:
    st.subheader("Decisions", anchor=False)
    st.caption("Which selector answers under a configuration of the router, tried with a query:")
    with suppress(StreamlitAPIException):  # an app without the page Benchmark
        st.page_link("pages/benchmark.py", label="Decisions editor", icon=":material/account_tree:", query_params={"view": "Decisions"})


def _card(name: str) -> None:
    card = bench().selector_card(name)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Card", anchor=False, width="content")
        st.download_button("CARD.md", card, f"{name}-CARD.md", "text/markdown", icon=":material/download:", on_click="ignore")
    st.code(card, language=None, wrap_lines=True, height=560)
    one = bench().selector_set(name)
    st.caption(literal(" · ".join(f"{file} {value[:12]}" for file, value in one.sha256.items())))
