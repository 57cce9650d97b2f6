"""Curation set: what people made of the labels, who and why, and every way in and out of it."""

from __future__ import annotations

import streamlit as st

from pages.shared import people
from pages.shared.curation_changes import changes
from pages.shared.curation_common import said, standing
from pages.shared.curation_files import files
from pages.shared.curation_history import history
from pages.shared.curation_opinions import conflicts, opinions
from pages.shared.curation_taxonomy import taxonomy
from pages.shared.curation_traffic import traffic
from pages.shared.frame import serve

VIEWS = {
    "Changes": changes,
    "History": history,
    "Second opinions": opinions,
    "Conflicts": conflicts,
    "Files": files,
    "Traffic": traffic,
    "Taxonomy": taxonomy,
}


def render() -> None:
    st.header("Curation set", anchor=False)
    standing()
    view = st.segmented_control(
        "View", list(VIEWS), default="Changes", required=True, key="show", bind="query-params", label_visibility="collapsed"
    )
    said()
    if people.actor() is None or not people.may("curator"):
        with st.sidebar:
            people.writer()
    VIEWS[view]()


serve(render)
