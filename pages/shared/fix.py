"""“Fix this”: the right domain for the prompt on the screen, written at once, with the way back."""

from __future__ import annotations

import uuid

import streamlit as st

from lab.curation.state import Actor, Outcome, State, Write
from lab.use_cases.routing import Route
from pages.shared import people
from pages.shared.frame import bench, literal


def decide(person: Actor, prompt_id: str, action: str, seen: State, after: State | None, **more) -> Outcome:
    """One decision from a page that is not the desk."""
    session = st.session_state.setdefault("decisions", {"id": f"page-{uuid.uuid4().hex}", "seq": 0})
    session["seq"] += 1
    return bench().write(person, [Write(session["id"], session["seq"], prompt_id, action, seen, after, **more)])[0]


def fix(text: str, route: Route) -> None:
    """A popover; shown to those who may curate."""
    if not people.may("curator"):
        return
    with st.popover("Fix this", icon=":material/build:"):
        person = people.writer()
        if person is None:
            return
        known = bench().known(text)
        label = known[1] if known else State()
        st.markdown(f"Label now: **{literal(str(label))}**" if known else "Not in the curation set yet: it will be added.")
        if known and known[0].split == "test":
            st.caption("On the test side: a new label makes a new version of the evaluation set, and is never trained on.")
        canonical = bench().taxonomy.canonical
        ranked = list(dict.fromkeys([*(canonical(domain) for domain, _, _ in route.domains), *sorted(bench().taxonomy.by_name)]))
        names = [name for name in ranked if name in bench().taxonomy.by_name]
        right = st.selectbox("Who should answer it", names, index=None, placeholder="Choose or type a domain", key=f"fix_domain_{route.router}")
        also = st.multiselect("Who could answer it as well", [name for name in names if name != right], list(label.also) if right else [], key=f"fix_also_{route.router}")
        reason = st.text_input("Why (optional)", max_chars=200, key=f"fix_reason_{route.router}")
        with st.container(horizontal=True):
            if st.button("Save", type="primary", icon=":material/check:", disabled=right is None, key=f"fix_save_{route.router}"):
                _save(person, text, State(right, tuple(also), True, label.flagged), reason, route)
            if st.button("Ask a curator", icon=":material/inbox:", key=f"fix_ask_{route.router}", help="Puts the prompt into the queue “from try”."):
                prompt, _ = bench().keep_prompt(person, text)
                bench().send_to_queue(person, "try", f"Misrouted to {canonical(route.domains[0][0])}", [prompt.id], "")
                st.session_state.fixed = ("asked", text, None)
        _done(person, text)


def _save(person: Actor, text: str, after: State, reason: str, route: Route) -> None:
    prompt, seen = bench().keep_prompt(person, text)
    model = {"router": route.router, "sha256": route.router_sha256, "top": [[domain, value] for domain, _, value in route.domains]}
    outcome = decide(person, prompt.id, "label", seen, after, reason=reason, model=model, queue="from-try")
    st.session_state.fixed = (outcome, text, prompt.id)


def _done(person: Actor, text: str) -> None:
    done, about, prompt_id = st.session_state.get("fixed", (None, None, None))
    if about != text or done is None:
        return
    if done == "asked":
        st.success("It waits in the queue “from try”.", icon=":material/check_circle:")
    elif done.status == "stored":
        st.success(literal(f"Saved as “{done.state}”."), icon=":material/check_circle:")
        if st.button("Undo", icon=":material/undo:", key="fix_undo"):
            decide(person, prompt_id, "undo", done.state, None, undoes=(done.session, done.seq))
            st.session_state.pop("fixed")
            st.rerun()
    else:
        st.warning(literal(done.message), icon=":material/warning:")
