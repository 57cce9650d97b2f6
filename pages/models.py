"""Models: every version of the router, what is known of it, and which one serves."""

from __future__ import annotations

import streamlit as st

from pages.shared import people
from pages.shared.frame import serve
from pages.shared.ship_common import person, said
from pages.shared.ship_compare import compare, replay
from pages.shared.ship_doctor import doctor
from pages.shared.ship_versions import promotions, versions

VIEWS = {"Versions": versions, "Compare": compare, "Replay traffic": replay, "Promotions": promotions, "Taxonomy doctor": doctor}


def render() -> None:
    st.header("Models", anchor=False)
    said()
    view = st.segmented_control("View", list(VIEWS), default="Versions", required=True, key="models", bind="query-params", label_visibility="collapsed")
    actor = person() if view in ("Versions", "Taxonomy doctor") or not people.may("maintainer") else people.actor()
    VIEWS[view](actor)


serve(render)
