"""Who is at the screen: by OIDC where it is configured, else a name that the browser keeps and nobody has checked."""

from __future__ import annotations

import streamlit as st

from lab.curation.state import Actor
from lab.errors import InputError
from lab.settings import ROLES
from pages.shared.frame import bench, literal

JS = """
export default function ({ data, setStateValue }) {
  const get = (store, key) => { try { return store.getItem(key) || "" } catch { return "" } }
  const set = (store, key, value) => { try { value ? store.setItem(key, value) : store.removeItem(key) } catch { } }
  if (data.save !== null) set(localStorage, "router-lab-name", data.save)
  if (data.remember) set(sessionStorage, "router-lab-target", location.pathname + location.search)
  if (data.arrived) {
    const target = get(sessionStorage, "router-lab-target")
    set(sessionStorage, "router-lab-target", "")
    if (/^\\/(?![\\/\\\\])/.test(target) && target !== location.pathname + location.search) location.replace(target)
  }
  const name = get(localStorage, "router-lab-name")
  if (name !== data.known) setStateValue("name", name)
}
"""
_browser = st.components.v2.component("router_lab_person", js=JS)


def oidc() -> bool:
    """Whether ``.streamlit/secrets.toml`` has a section ``[auth]``."""
    from streamlit.runtime.secrets import secrets_singleton

    return secrets_singleton.load_if_toml_exists() and "auth" in st.secrets


def remember() -> None:
    """Called once a run, by the frame: exchange the name with the browser."""
    state = st.session_state
    save = state.pop("person_save", None)
    logged_in = oidc() and st.user.is_logged_in
    data = {"save": save, "known": state.get("person_name", ""), "remember": oidc() and not logged_in, "arrived": bool(logged_in)}
    told = _browser(key="person", data=data, on_name_change=lambda: None)
    if save is None and not state.get("person_name") and told.name:
        try:
            state.person_name = bench().actor(told.name).name
        except InputError:
            state.person_save = ""  # what the browser kept is no name


def actor() -> Actor | None:
    """The person, if known."""
    if oidc():
        return bench().actor(str(st.user.email), verified=True) if st.user.is_logged_in and st.user.get("email_verified", True) else None
    name = st.session_state.get("person_name")
    return bench().actor(name) if name else None


def role() -> str:
    """What the person may do; before a name is given, what it will be."""
    person = actor()
    if person:
        return person.role
    settings = bench().settings
    return ROLES[0] if settings.read_only or oidc() else settings.unverified_role


def may(needed: str) -> bool:
    return ROLES.index(role()) >= ROLES.index(needed)


def writer(needed: str = "curator", why: str = "Your name stands beside each of your decisions.") -> Actor | None:
    """The person if they may do what needs this role; else what is missing is shown, and asked for."""
    if not may(needed) and not (oidc() and actor() is None):
        demo = bench().settings.read_only
        st.info("This is a read-only demo: look at everything, change nothing." if demo else f"Reading only: this needs a {needed}, you are a {role()}.")
        return None
    person = actor()
    if person is None:
        _ask(why)
    return person


def _ask(why: str) -> None:
    if oidc() and st.user.is_logged_in:
        st.warning("The identity provider has not verified your e-mail address. Verify it there, then log in again.", icon=":material/mark_email_unread:")
        st.button("Log out", icon=":material/logout:", on_click=st.logout)
        return
    if oidc():
        st.info("Log in to make decisions.", icon=":material/login:")
        st.button("Log in", icon=":material/login:", type="primary", on_click=st.login)
        return
    with st.form("person_form", width=520):
        st.text_input("Your name", key="person_typed", max_chars=80, help=f"{why} This browser keeps it; it is marked “unverified”.")
        if st.form_submit_button("Start", type="primary", icon=":material/badge:"):
            st.session_state.person_name = bench().actor(st.session_state.person_typed).name
            st.session_state.person_save = st.session_state.person_name
            st.rerun()


def badge() -> None:
    """One line at the foot of the sidebar."""
    person = actor()
    if person is None:
        return
    with st.sidebar, st.popover(f"{literal(person.name)} · {person.role}", icon=":material/person:", width="stretch"):
        st.caption("Verified by the identity provider." if person.verified else "Unverified: this name was typed, nobody has checked it.")
        if person.verified:
            st.button("Log out", icon=":material/logout:", on_click=st.logout)
        else:
            st.button("Not me", icon=":material/logout:", on_click=_forget)


def _forget() -> None:
    st.session_state.person_save = ""
    st.session_state.pop("person_name", None)
