"""A view's prompts into a curator's queue: one button, the same on each page."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from pages.shared import people
from pages.shared.frame import bench, literal


def send(origin: str, title: str, text_ids: Sequence[str], link: str) -> None:
    """The button, and after it the way to the queue. Who has no name yet is asked for it there."""
    if not people.may("curator"):
        return
    count, sent = len(text_ids), f"sent_{origin}"
    pressed = st.button(f"Send {count:,} to queue" if count else "Send to queue", type="primary", icon=":material/send:", disabled=not count)
    if pressed:
        st.session_state[sent] = (title, tuple(text_ids), link, False)
    if sent not in st.session_state or st.session_state[sent][:2] != (title, tuple(text_ids)):
        return
    if not st.session_state[sent][3]:
        person = people.writer()
        if person is None:
            return
        bench().send_to_queue(person, origin, title, text_ids, link)
        st.session_state[sent] = (title, tuple(text_ids), link, True)
    st.success(literal(f"{count:,} prompts are in the queue “from {origin}” as “{title}”."), icon=":material/check_circle:")
    st.page_link("pages/queue.py", label="Open the queue", icon=":material/inbox:", query_params={"queue": f"from-{origin}"})
