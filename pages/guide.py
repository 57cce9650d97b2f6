"""Guide: the domains with their borders and examples, and how to read what the lab shows."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.shared.frame import bench, literal, serve

READING = (
    (
        "Probability",
        "Calibrated on validation prompts by temperature or Platt scaling: of all prompts shown with 80 %, about 80 % are right.",
    ),
    (
        "Raw score",
        "The sigmoid of the head, which the gateway compares with 0.50. It is not a probability: the lab measures how far off it is.",
    ),
    ("Margin", "Probability of the first domain minus that of the second. A small margin is a toss-up, whatever the probability says."),
    ("Abstain", "The threshold is the lowest probability above which the router kept the chosen precision on validation prompts."),
    ("Interval", "95 %: Wilson for shares, bootstrap over prompts for F1. Two figures whose intervals overlap widely are not different."),
    (
        "Cost of a confusion",
        "Two domains of one backend: none, the same model answers. Different backends: the prompt goes to the wrong model.",
    ),
)

KEYS = (
    ("1 – 9", "take this domain"),
    ("K", "keep the label"),
    ("/", "all domains: type a few letters, Enter"),
    ("M", "add domains as also, then K or a label"),
    ("X", "no domain should answer it"),
    ("F", "flag for a second opinion"),
    ("S", "skip: it stays for others"),
    ("U", "undo; again: redo"),
    ("N", "twenty neighbours: select some, one key labels them all"),
    ("G", "guideline of the likely domains"),
    ("?", "help"),
    ("Esc", "leave a field or a window"),
)


def render() -> None:
    st.header("Guide", anchor=False)
    taxonomy, backends = bench().taxonomy, bench().backends
    st.markdown(literal(taxonomy.rule))
    st.subheader(f"The {len(taxonomy.domains)} domains", anchor=False)
    counts = pd.Series([row.domain for row in bench().corpus.rows]).value_counts()
    table = pd.DataFrame(
        {
            "Domain": domain.name,
            "What belongs here": domain.definition,
            "Where the border runs": domain.border,
            "Backend": backends.backend.get(domain.name, "–"),
            "In v5 as": domain.v5 or "–",
            "Also called": ", ".join(domain.aliases),
            "Prompts": int(counts.get(domain.name, 0)),
        }
        for domain in taxonomy.domains
    )
    wide = st.column_config.TextColumn(width="large")
    st.dataframe(
        table,
        hide_index=True,
        height=460,
        row_height=52,
        column_config={"What belongs here": wide, "Where the border runs": wide},
        key="domains",
    )
    name = st.selectbox("Examples of a domain", [domain.name for domain in taxonomy.domains], key="domain", bind="query-params")
    chosen = taxonomy.by_name[name]
    st.markdown(f"{literal(chosen.definition)}.  \n**Border:** {literal(chosen.border or 'none written')}.")
    rows = [row for row in bench().corpus.rows if row.domain == name]
    examples = pd.DataFrame([{"Prompt": row.text, "Also": ", ".join(row.also), "Language": row.lang, "Part": row.part} for row in rows])
    st.dataframe(examples, hide_index=True, height=300, column_config={"Prompt": wide}, key="examples")
    st.subheader("How to read what the lab shows", anchor=False)
    for term, meaning in READING:
        st.markdown(f"**{term}.** {meaning}")
    st.subheader("Keys of the desk", anchor=False)
    st.dataframe(pd.DataFrame(KEYS, columns=["Key", "What it does"]), hide_index=True, height=38 * (len(KEYS) + 1), width=560, key="keys")


serve(render)
