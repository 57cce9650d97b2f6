"""What every page shares: the workbench, errors as a sentence, and showing untrusted text as text."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import streamlit as st

from lab.errors import LabError
from lab.workbench import Workbench

MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!$<>|~:^=&])")


@st.cache_resource(show_spinner="Opening the encoder (the first time on a machine it is exported and checked) …", max_entries=1)
def bench() -> Workbench:
    """One workbench for all sessions of this process, its sessions opened by a first prompt."""
    opened = Workbench()
    for name in opened.router_names()[:1]:
        opened.route("Bonjour", name)
    return opened


def serve(render: Callable[[], None]) -> None:
    """Run a page, through app.py in any case.

    Where a folder ``pages`` exists, Streamlit answers the first request of a process in its old multipage mode: it runs the page's file
    without app.py, so without title, navigation and error edge. ``st.navigation`` ends that mode, so app.py is run then.
    """
    from streamlit.runtime.pages_manager import PagesManager

    if PagesManager.uses_pages_directory:
        import app

        app.main()
    else:
        render()


def literal(text: str) -> str:
    """``text`` with every Markdown mark escaped, for the few widgets that always parse Markdown."""
    return MARKS.sub(r"\\\1", text).replace("\n", " ")


def show_error(error: LabError) -> None:
    st.error(literal(error.what) + (f"  \n**{literal(error.fix)}**" if error.fix else ""), icon=":material/error:")


def plot_text(text: str, most: int = 32) -> str:
    """``text`` for a Plotly label, which reads a little HTML: escaped and cut."""
    text = text if len(text) <= most else text[: most - 1] + "…"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def query_default(key: str, default: Any) -> None:
    """Start widget ``key`` from the address bar once a session, else from ``default``."""
    if key not in st.session_state:
        st.session_state[key] = st.query_params.get(key, default)
