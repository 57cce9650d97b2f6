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

CHARTS = (
    ("Top domains", "Try a prompt", "Bar: calibrated probability. Diamond: raw score. A first bar that reaches the dashed line is accepted."),
    ("Words that drive", "Try a prompt", "Each word is left out once. To the right: without it the domain would score less. Words act together, so bars do not add up."),
    ("Claimed against right", "Scorecard, Calibration", "On the dotted line, 80 % claimed is 80 % right. Under it the router claims too much, above it too little."),
    ("Precision of the most certain share", "Scorecard, Abstain", "Go left: fewer prompts are answered, more of them rightly. Orange: the thresholds that can be chosen."),
    ("Flip rates", "Scorecard, Behaviour", "The question is the same, its spelling, greeting or length is not. Each flip is a mistake, before or after."),
    ("Matrix", "Confusions", "Row: the label. Column: what it was taken for. Neighbouring domains are those often confused, so blocks are families."),
    ("Map", "Map", "Near points are alike to the encoder. Far apart, or a large cluster, means little: the cosines under “Domains” are exact."),
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
    wide, middle = st.column_config.TextColumn(width="large"), st.column_config.TextColumn(width=230)
    st.dataframe(
        table,
        hide_index=True,
        height=520,
        row_height=86,  # over 64 px a table wraps its texts
        column_config={"What belongs here": middle, "Where the border runs": middle},
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
    st.subheader("How to read each chart", anchor=False)
    charts = pd.DataFrame(CHARTS, columns=["Chart", "Where", "How to read it"])
    st.table(charts, hide_index=True)
    st.subheader("Keys of the desk", anchor=False)
    st.dataframe(pd.DataFrame(KEYS, columns=["Key", "What it does"]), hide_index=True, height="content", width=560, key="keys")


serve(render)
