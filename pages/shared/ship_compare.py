"""Two versions: on the same test prompts, and on the last traffic."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lab.curation.state import Actor
from lab.errors import LabError
from lab.release.versions import Broken
from pages.shared.frame import bench, literal, show_error
from pages.shared.many import to_csv
from pages.shared.ship_common import labels, pairs_view

MODES = {"shared": "Domains", "mapped": "Backends"}


def _two() -> tuple[str, str, dict[str, str]] | None:
    """Names and name → id. A link names both."""
    known = {name: one.id for name, one in labels(bench().version_list()).items() if not isinstance(one.version, Broken)}
    names = list(known)
    if len(names) < 2:
        st.info("There is one version only. Retrain, or import another.", icon=":material/compare_arrows:")
        return None
    serving = next((name for name, one in labels(bench().version_list()).items() if one.champion), names[0])
    left, right = st.columns(2)
    a = left.selectbox("Version", names, names.index(serving), key="a", bind="query-params")
    others = [name for name in names if name != a]
    b = right.selectbox("Against it", others, key="b", bind="query-params")
    return a, b, known


@st.cache_data(max_entries=16, show_spinner="Measuring both …")
def _compared(a: str, b: str, mode: str, address: str, newest: int, taxonomy: int) -> dict:
    return bench().compare_versions(a, b, mode)


def compare(actor: Actor | None) -> None:
    chosen = _two()
    if chosen is None:
        return
    a, b, known = chosen
    mode = st.segmented_control("Held to", list(MODES), default="shared", required=True, key="mode", bind="query-params", format_func=MODES.get)
    try:
        found = _compared(known[a], known[b], mode, bench().database.address, bench().newest_event(), bench().taxonomy.version)
    except LabError as error:
        show_error(error)
        return
    word = {"b is better": f"**{literal(b)} is better**", "a is better": f"**{literal(a)} is better**", "no difference is shown": "**no difference is shown**"}[found["verdict"]]
    st.markdown(
        f"{literal(a)} {found['top1_a']:.1%} → {literal(b)} {found['top1_b']:.1%}: {word}, difference {100 * found['difference_low']:+.1f} to {100 * found['difference_high']:+.1f} points; "
        f"{found['fixed']} fixed, {found['broken']} broken, McNemar p {found['mcnemar_p']:.2g}."
    )
    seen = found["rows_from_training"]
    st.caption(
        f"{found['n']:,} of {found['test_prompts']:,} test prompts `{found['data_sha256'][:12]}`, labels at event {found['revision']:,}, intervals 95 %. "
        f"Weights `{found['a']['router_sha256'][:12]}` and `{found['b']['router_sha256'][:12]}`."
        + (f" {seen} of the prompts were in the training of one of them." if seen else "")
        + (" What an imported version was trained on is not known: test prompts may be among it." if seen is None else "")
    )
    left, right = st.columns([3, 2], gap="medium")
    with left:
        rows = [
            {"Domain" if mode == "shared" else "Backend": name, a: round(row["recall_a"], 3), b: round(row["recall_b"], 3), "Low": round(row["interval_b"][0], 3), "High": round(row["interval_b"][1], 3), "Fixed": row["fixed"], "Broken": row["broken"], "Prompts": row["n"], "Judged": "yes" if row["judged"] else "cannot judge"}
            for name, row in found["per_domain"].items()
        ]  # fmt: skip
        frame = pd.DataFrame(rows)
        frame = frame.reindex((frame["Fixed"] + frame["Broken"]).sort_values(ascending=False, kind="stable").index)
        percent = st.column_config.NumberColumn(format="percent")
        st.dataframe(frame, hide_index=True, height=420, key="per-domain", column_config={a: percent, b: percent, "Low": percent, "High": percent})
        st.caption(f"Recall of each, the interval is that of {literal(b)}; most changed first.")
    with right:
        pairs_view(found, "compared-pairs", found["test_prompts"])


def replay(actor: Actor | None) -> None:
    st.markdown("The last prompts of gateways' logs through two versions, side by side. Nothing is served and nothing stored.")
    chosen = _two()
    if chosen is None:
        return
    a, b, known = chosen
    last = st.number_input("Last prompts", 1, 100_000, 1_000, key="last", bind="query-params", width=200)
    if not bench().traffic_summary().prompts:
        st.info("No gateway log has been imported yet.", icon=":material/inbox:")
        st.page_link("pages/curation.py", label="Import one under Traffic", icon=":material/upload:", query_params={"show": "Traffic"})
        return
    bar = st.empty()
    found = bench().replay(known[a], known[b], int(last), lambda stage, done, of: bar.progress(min(1.0, done / max(1, of)), f"{stage} …"))
    bar.empty()
    st.markdown(literal(found.sentence))
    if not found.changed:
        return
    frame = pd.DataFrame(
        {
            "Seen": [one.count for one in found.changed], "Prompt": [one.text for one in found.changed], a: [one.before for one in found.changed], b: [one.after for one in found.changed],
            "Backend": ["≠" if one.costly else "=" for one in found.changed], "Probability": [round(one.before_claimed, 2) for one in found.changed],
            "then": [round(one.after_claimed, 2) for one in found.changed],
        }
    )  # fmt: skip
    st.dataframe(frame, hide_index=True, height=420, key="replayed", column_config={"Prompt": st.column_config.TextColumn(width="large"), "Seen": st.column_config.NumberColumn(width=60)})
    st.download_button("CSV", lambda: to_csv(frame), "replay.csv", "text/csv", icon=":material/download:", on_click="ignore")
