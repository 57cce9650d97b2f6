"""The decisions of a router's configuration, edited here and tried with a query."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from lab.errors import InputError, LabError
from pages.shared.frame import bench, literal, show_error

EXAMPLE = """\
model_selection:
  ml:
    enabled: true
default_model: Meta-Llama-3_1-8B-Instruct
decisions:
  - name: math
    description: Mathematics and quantitative reasoning
    priority: 100
    rules:
      operator: AND
      conditions:
        - {type: domain, name: math}
    algorithm: {type: knn}
    modelRefs: [{model: Meta-Llama-3_1-8B-Instruct}, {model: mathstral-7B}]
  - name: anything-else
    description: All other queries
    priority: 10
    rules:
      operator: NOT
      conditions:
        - {type: domain, name: math}
    algorithm: {type: static}
    modelRefs: [{model: Phi-3-mini-4k-instruct}]
"""


def decisions_view() -> None:
    st.caption("Which decision of a configuration a query meets, and which of its models is taken. Flat and nested layouts are read; nothing is stored.")
    state = st.session_state
    upload = st.file_uploader("A config.yaml", type=["yaml", "yml"], key="decisions_file")
    if upload is not None and state.get("decisions_id") != upload.file_id:
        state.decisions_id = upload.file_id
        try:
            state.decisions = state.decisions_kept = upload.getvalue().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(f"{upload.name} is not UTF-8 (byte {error.start}).", "Save it as UTF-8.") from None
    if "decisions" not in state:  # what a widget holds is gone when its page is left
        state.decisions = state.get("decisions_kept", EXAMPLE)
    st.html("<style>.st-key-decisions textarea { font-family: monospace; font-size: 0.85rem; white-space: pre; }</style>")
    left, right = st.columns(2, gap="large")
    with left:
        text = st.text_area("config.yaml", key="decisions", height=520)
        state.decisions_kept = text
        # A click on a download button takes the file of the last run and leaves the field at once: what was just typed would not be in it.
        # Opening the popover leaves the field first.
        with st.popover("Download", icon=":material/download:"):
            st.caption(f"As it stands: {len(text.splitlines()):,} lines, comments and unknown keys included.")
            st.download_button("config.yaml", text, "config.yaml", "application/yaml", icon=":material/download:", on_click="ignore")
    with right:
        query = st.text_input("Test query", "What is the integral of x squared?", key="decisions_query", max_chars=20_000)
        if not query.strip():
            st.info("Type a query.", icon=":material/keyboard:")
            return
        try:
            found = bench().decide(query, text)
        except LabError as error:
            show_error(error)
            return
        _decision(found)
    _decisions(found)


def _decision(found: dict[str, Any]) -> None:
    category = found["category"]
    sure = "" if category["probability"] is None else f", probability {category['probability']:.0%}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(literal(found["model"] or "No model"), anchor=False, width="content")
        st.badge(literal(found["decision"] or "no decision"), icon=":material/account_tree:", color="blue" if found["decision"] else "gray")
    st.markdown(literal(found["reason"]) + ".")
    st.caption(literal(f"Category {category['name']} (by {category['source']}{sure}). {found['rule_reason']}."))
    for warning in found["warnings"]:
        st.warning(literal(str(warning)), icon=":material/warning:")


def _decisions(found: dict[str, Any]) -> None:
    """Every decision of the configuration, and what its rule said of the query."""
    rows = [
        {"Decision": one["name"], "Matches": "yes" if one["matched"] else "no", "Rule": _rule(one["tree"]), "Confidence": one["confidence"], "Priority": one["priority"], "Tier": one["tier"], "Line": one["line"]}
        for one in found["decisions"]
    ]  # fmt: skip
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="decisions-table", column_config={"Confidence": st.column_config.NumberColumn(format="%.2f", width=80), "Rule": st.column_config.TextColumn(width=360, help="✓ matches, ✗ does not, ? cannot be told here; confidence in brackets")})


def _rule(tree: dict[str, Any]) -> str:
    """A rule on one line, each part with ✓, ✗ or ? for what it said."""
    mark = {True: "✓", False: "✗"}.get(tree.get("matched"), "?")
    if "operator" in tree:
        return f"{mark} {tree['operator']}({', '.join(_rule(one) for one in tree.get('conditions', []))}) [{tree['confidence']:.2f}]"
    return f"{mark} {tree.get('type', 'always')}{' ' + str(tree['name']) if tree.get('name') else ''} [{tree['confidence']:.2f}]"
