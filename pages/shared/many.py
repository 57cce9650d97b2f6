"""Many prompts: paste or upload, route, read the table, download it."""

from __future__ import annotations

import io

import pandas as pd
import streamlit as st

from lab.corpus.read import text_of
from lab.errors import InputError
from lab.files import jsonl_dump, jsonl_parse
from lab.text.prepare import fault
from lab.workbench import Route
from pages.shared.frame import bench

MOST = 20_000
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def many(router: str, target: float, guard: bool) -> None:
    left, right = st.columns(2, gap="large")
    pasted = left.text_area(
        "One prompt a line", height=180, key="pasted", placeholder="how do I flash my STM32?\nt'as passé un bon week-end ?"
    )
    upload = right.file_uploader(
        "Or a file: JSONL or CSV with a field prompt or text, or TXT with one prompt a line", type=["jsonl", "csv", "txt"]
    )
    if not st.button("Route them", type="primary", icon=":material/alt_route:", disabled=not (pasted.strip() or upload)):
        _show_last(router, target, guard)
        return
    rows, bad = read_upload(upload.getvalue(), upload.name) if upload else read_text(pasted)
    if len(rows) > MOST:
        raise InputError(
            f"{len(rows):,} prompts; the page routes at most {MOST:,}.", "Use: python -m lab route --file IN.jsonl --output OUT.jsonl"
        )
    bar = st.progress(0.0, "Routing …")
    routes = bench().route_many(
        [text for _, text in rows], router, 5, target, lambda _, done, of: bar.progress(done / of, f"{done:,} of {of:,}"), guard
    )
    bar.empty()
    st.session_state.many = {"router": router, "target": target, "guard": guard, "rows": rows, "bad": bad, "routes": routes}
    _show_last(router, target, guard)


def read_text(text: str) -> tuple[list[tuple[dict, str]], list[dict]]:
    """([(fields, prompt)], [{where, reason}]) from one prompt a line; empty lines are no prompts."""
    return _checked([(f"line {number}", {"prompt": line}, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()])


def read_upload(data: bytes, name: str) -> tuple[list[tuple[dict, str]], list[dict]]:
    """As :func:`read_text`, from an uploaded file's bytes."""
    if name.lower().endswith(".jsonl"):
        items = [(f"line {n}", v, text_of(v)) if isinstance(v, dict) else (f"line {n}", v, None) for n, v in jsonl_parse(data)]
        return _checked(items)
    try:
        decoded = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 (byte {error.start}).", "Save it as UTF-8.") from None
    if not name.lower().endswith(".csv"):
        return read_text(decoded)
    try:
        table = pd.read_csv(io.StringIO(decoded), dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"{name} is not a CSV table: {error}.", "One header line, then one row a prompt.") from None
    column = next((c for c in table.columns if str(c).strip().lower() in ("prompt", "text")), None)
    if column is None:
        raise InputError(f"{name} has the columns {', '.join(map(str, table.columns[:8]))}.", "One of them must be called prompt or text.")
    return _checked([(f"row {n}", record, record[column]) for n, record in enumerate(table.to_dict("records"), 2)])


def _checked(items: list[tuple[str, dict | str, str | None]]) -> tuple[list[tuple[dict, str]], list[dict]]:
    rows, bad = [], []
    for where, fields, text in items:
        problem = fields if isinstance(fields, str) else "no field prompt or text" if text is None else fault(text)
        if problem:
            bad.append({"Where": where, "Why it cannot be routed": problem})
        else:
            rows.append((fields, text))
    return rows, bad


def _show_last(router: str, target: float, guard: bool) -> None:
    last = st.session_state.get("many")
    if not last:
        return
    if (last["router"], last["target"], last["guard"]) != (router, target, guard):
        st.caption(f":material/history: Routed with {last['router']} at {last['target']:.0%}. Press the button to use the settings above.")
    if last["bad"]:
        st.warning(
            f"{len(last['bad'])} of {len(last['bad']) + len(last['rows'])} rows cannot be routed; the others are below.",
            icon=":material/rule:",
        )
        st.dataframe(pd.DataFrame(last["bad"]), hide_index=True)
    if not last["rows"]:
        return
    table = to_table([text for _, text in last["rows"]], last["routes"])
    abstained = int((table["Decision"] == "abstains").sum())
    st.markdown(f"**{len(table):,} prompts routed**, {len(table) - abstained:,} accepted, {abstained:,} abstained")
    percent = st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1, width="small")
    st.dataframe(
        table,
        hide_index=True,
        key="many-table",
        column_config={"Prompt": st.column_config.TextColumn(width="large"), "Probability": percent},
    )
    one, two, _ = st.columns([1, 1, 4])
    one.download_button("CSV", lambda: to_csv(table), "routed.csv", "text/csv", icon=":material/download:", on_click="ignore")
    two.download_button(
        "JSONL", lambda: to_jsonl(last["rows"], last["routes"]), "routed.jsonl", icon=":material/download:", on_click="ignore"
    )


def to_table(texts: list[str], routes: list[Route]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Prompt": texts,
            "Domain": [route.domains[0][0] for route in routes],
            "Probability": [None if route.domains[0][2] is None else round(route.domains[0][2], 2) for route in routes],
            "Raw score": [round(route.domains[0][1], 3) for route in routes],
            "Decision": ["abstains" if route.decision.abstained else "accepts" for route in routes],
            "Backend": [route.backend or "" for route in routes],
            "Second": [route.domains[1][0] if len(route.domains) > 1 else "" for route in routes],
            "Language": [route.language for route in routes],
        }
    )


def to_csv(table: pd.DataFrame) -> bytes:
    """UTF-8 with BOM (for spreadsheets); a cell that a spreadsheet would run as a formula gets a leading apostrophe."""
    safe = table.map(lambda cell: f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell)
    return safe.to_csv(index=False).encode("utf-8-sig")


def to_jsonl(rows: list[tuple[dict, str]], routes: list[Route]) -> bytes:
    return jsonl_dump({**fields, "route": route.to_json()} for (fields, _), route in zip(rows, routes, strict=True))
