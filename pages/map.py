"""Map: where the prompts of the corpus lie, what the router makes of them, and picking them by lasso."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from lab.corpus.rows import corpus_sha256
from lab.errors import LabError
from lab.evaluation import areas
from lab.evaluation.maps import Job, wait
from lab.evaluation.points import (
    COLOURINGS,
    NEEDS_PREDICTIONS,
    categories,
    contains,
    domain_places,
    folded,
    nearest_domains,
    tabulate,
)
from lab.evaluation.projection import ANCHORS, Layout
from lab.text.prepare import fault
from pages.shared.frame import bench, literal, query_default, serve, show_error
from pages.shared.map_chart import add_outlines, add_pin, prompts_option
from pages.shared.map_domains import domains
from pages.shared.map_tray import ALL, downloads, table_twin, tray

HEIGHT = 600
PROMPTS, DOMAINS = "Prompts", "Domains"
KEEP: dict[str, Any] = {"bind": "query-params", "persist_state": "session"}
SHARES = ("Right or wrong", "Fixed or broken", "Margin", "Probability")
CAVEAT = "Neighbours on the map are alike. Distances between clusters, and how large a cluster looks, mean little."


@dataclass(frozen=True)
class View:
    """What the widgets say, and the key of what they were applied to."""

    level: str
    router: str
    other: str | None
    colouring: str
    domains: tuple[str, ...]
    find: str
    pin: str
    only: tuple[str, ...] = ()
    data: tuple[str, ...] = ()

    @property
    def dark(self) -> bool:
        return st.context.theme.type == "dark"


def render() -> None:
    st.header("Map", anchor=False)
    view = _view()
    layout = _layout(view.router)
    predictions, other = _predictions(view.router), _predictions(view.other)
    index = bench().corpus_index(bench().router(view.router).encoder_name)
    bound = [layout.sha256, *(one.router.sha256 + one.kind for one in (predictions, other) if one)]
    view = replace(view, data=(*bound, _corpus_sha()), colouring=_usable(view.colouring, predictions, other))
    table = _table(index, layout, predictions, other, view.data)
    view = replace(view, only=_only(table, view.colouring))
    if view.level == DOMAINS:
        st.caption(f"One bubble a domain where its prompts are densest, moved a little so that names can be read. {CAVEAT}")
        domains(table[_masks(table, view)[1]], _near(index, view.data), view.colouring in SHARES, view.dark)
    else:
        _prompts(table, view, layout)
    st.caption(_binding(layout, predictions, other))


def _view() -> View:
    names = bench().router_names()
    with st.sidebar:
        router = st.selectbox("Router", names, key="router", **KEEP)
        others = [name for name in names if name != router]
        other = st.selectbox("Compare with", others, index=None, placeholder="nothing", key="with", **KEEP)
        colouring = st.selectbox("Colour by", COLOURINGS, key="colour", **KEEP)
        domains = st.multiselect("Only domains", [one.name for one in bench().taxonomy.domains], key="in", placeholder="all", **KEEP)
    left, middle, right = st.columns([3, 4, 4], vertical_alignment="bottom")
    level = left.segmented_control("Level", [PROMPTS, DOMAINS], default=PROMPTS, key="level", label_visibility="collapsed", **KEEP)
    find = middle.text_input(
        "Find", key="find", icon=":material/search:", placeholder="Find words in prompts", label_visibility="collapsed", **KEEP
    )
    pin = right.text_input(
        "Pin a prompt", key="pin", icon=":material/location_on:", placeholder="Pin a prompt of yours", label_visibility="collapsed", **KEEP
    )
    return View(level or PROMPTS, router, other, colouring, tuple(domains), find or "", pin or "")


def _layout(router: str) -> Layout:
    """From the shipped or kept file; else computed beside the app, with a bar, while the rest of it answers."""
    bar = st.empty()

    def encode(stage: str, done: int, of: int) -> None:
        bar.progress(done / max(1, of), f"{stage}: {done:,} of {of:,} (once on this machine)")

    def tell(job: Job) -> None:
        bar.progress(min(1.0, job.done / job.of), f"Laying out the map, once for this corpus: {job.stage} …")

    found = bench().map_layout(bench().router(router), encode)
    if isinstance(found, Job):
        wait(found, tell, lambda: time.sleep(0.3))
        found = bench().map_layout(bench().router(router), encode)
    bar.empty()
    if isinstance(found, Job):
        raise LabError("The map was computed but cannot be read back.", "Check that the state folder can be written, and reload.")
    return found


def _predictions(router: str | None):
    """Of each prompt by a head that never saw it; None without a router, or with a sentence if they cannot be had."""
    if router is None:
        return None
    bar = st.empty()
    try:
        found = bench().out_of_fold(
            router, lambda stage, done, of: bar.progress(done / max(1, of), f"{stage}: {done} of {of} (once for this router)")
        )
    except LabError as error:
        show_error(error)
        found = None
    bar.empty()
    return found


@st.cache_data(max_entries=2, show_spinner=False)
def _corpus_sha_of(paths: tuple[str, ...]) -> str:
    return corpus_sha256(bench().corpus.rows)


def _corpus_sha() -> str:
    return _corpus_sha_of((str(bench().home.corpus),))


@st.cache_data(max_entries=6, show_spinner=False)
def _table(_index, _layout: Layout, _predictions, _other, data: tuple[str, ...]) -> pd.DataFrame:
    xy = _layout.xy[_layout.find([row.id for row in _index.rows])]
    return tabulate(_index.rows, _index.splits, xy, _predictions, _other)


@st.cache_data(max_entries=6, show_spinner=False)
def _folded(_table: pd.DataFrame, data: tuple[str, ...]) -> list[str]:
    return [folded(text) for text in _table["prompt"]]


def _usable(colouring: str, predictions, other) -> str:
    if colouring == "Fixed or broken" and other is None:
        st.info(
            "Choose a router under “Compare with”: the map then shows what this one fixes and breaks.", icon=":material/compare_arrows:"
        )
        colouring = "Right or wrong"
    return "Domain" if colouring in NEEDS_PREDICTIONS and predictions is None else colouring


def _only(table: pd.DataFrame, colouring: str) -> tuple[str, ...]:
    """Leave only some colours on the map. The choice is dropped when the colouring changes."""
    names = categories(table, colouring)[1]
    if st.session_state.get("only_of", colouring) != colouring:
        st.session_state.only = []
    st.session_state.only_of = colouring
    label = f"Only {colouring[0].lower()}{colouring[1:]}"
    if colouring == "Domain":
        return ()
    return tuple(st.sidebar.multiselect(label, names, key="only", placeholder="all", **KEEP))


def _masks(table: pd.DataFrame, view: View) -> tuple[np.ndarray, np.ndarray]:
    """(n,) bool each: shown by the filters, and of those found by the search."""
    shown = np.ones(len(table), dtype=bool)
    if view.domains:
        shown &= table["domain"].isin(view.domains).to_numpy()
    if view.only:
        codes, names = categories(table, view.colouring)
        shown &= np.isin(codes, [names.index(one) for one in view.only])
    found = shown & contains(_folded(table, view.data), view.find) if view.find.strip() else shown
    return shown, found


@st.cache_data(max_entries=12, show_spinner=False)
def _option(_table: pd.DataFrame, _view: View, key: tuple) -> dict[str, Any]:
    return prompts_option(_table, *_masks(_table, _view), _view.colouring, _places(_table, _view.data), _view.dark)


def _prompts(table: pd.DataFrame, view: View, layout: Layout) -> None:
    shown, found = _masks(table, view)
    _says(len(table), shown, found, view)
    if not shown.any():
        st.info("No prompt passes these filters. Remove one in the sidebar.", icon=":material/filter_alt_off:")
        return
    option = _option(table, view, (*view.data, view.colouring, view.domains, view.only, view.find.strip(), view.dark))
    _pin(option, view, layout)
    query_default("area", "")
    try:
        areas.from_link("" if st.session_state.area == ALL else st.session_state.area)
    except LabError as error:
        show_error(error)
        st.session_state.area = ""
    key = f"map-chart-{st.session_state.setdefault('map_round', 0)}"
    _outline(option, key, view)
    st.echarts_chart(option, height=HEIGHT, key=key, on_select=lambda: _drawn(key), alt=_in_words(table, found, view))
    area = st.session_state.area
    selected = found if area == ALL else found & areas.inside(areas.from_link(area), table["x"].to_numpy(), table["y"].to_numpy())
    if area:
        st.query_params["area"] = area
    elif "area" in st.query_params:
        del st.query_params["area"]
    tray(table, found, selected, bool(view.find.strip()))
    table_twin(table[selected] if selected.any() else table[found], bool(selected.any()))
    downloads(table[selected] if selected.any() else table[found], view.colouring, _places(table, view.data))


def _drawn(key: str) -> None:
    """The chart's brush changed: its areas are the selection, so that colours, filters and links keep it."""
    st.session_state.area = areas.to_link(st.session_state[key]["selection"]["areas"])


def _outline(option: dict[str, Any], key: str, view: View) -> None:
    """Draw the area of a link; one drawn in this chart is shown by the chart itself."""
    area = st.session_state.area
    drawn = areas.to_link(st.session_state[key]["selection"]["areas"]) if key in st.session_state else ""
    if area not in ("", ALL, drawn):
        add_outlines(option, areas.from_link(area), view.dark)


@st.cache_data(max_entries=4, show_spinner=False)
def _near(_index, data: tuple[str, ...]) -> pd.DataFrame:
    return nearest_domains([row.domain for row in _index.rows], _index.vectors)


@st.cache_data(max_entries=6, show_spinner=False)
def _places(_table: pd.DataFrame, data: tuple[str, ...]) -> pd.DataFrame:
    return domain_places(_table)


def _says(every: int, shown: np.ndarray, found: np.ndarray, view: View) -> None:
    parts = [f"{shown.sum():,} of {every:,} prompts" if not shown.all() else f"{every:,} prompts"]
    if view.find.strip():
        parts.append(f"**{found.sum():,} contain “{literal(view.find.strip()[:60])}”**")
    st.caption(" · ".join(parts) + f". {CAVEAT} Lasso or box: the first two tools of the chart. Drag moves, Ctrl + wheel zooms.")


def _pin(option: dict[str, Any], view: View, layout: Layout) -> None:
    if not view.pin.strip():
        return
    if problem := fault(view.pin):
        st.warning(literal(f"Not pinned: {problem}."), icon=":material/location_off:")
        return
    router = bench().router(view.router)
    at = bench().pin(view.pin, router, layout)
    add_pin(option, view.pin, at, view.dark)
    route = bench().route(view.pin, router, 3)
    top, score, probability = route.domains[0]
    said = f"score {score:.2f}" if probability is None else f"{probability:.0%}"
    st.caption(
        f":material/location_on: Pinned among its {ANCHORS} nearest prompts · {literal(view.router)} says **{literal(top)}** ({said})"
    )


def _in_words(table: pd.DataFrame, found: np.ndarray, view: View) -> str:
    codes, names = categories(table, view.colouring)
    counts = sorted(((int((codes[found] == n).sum()), name) for n, name in enumerate(names)), reverse=True)[:6]
    return f"Map of {found.sum():,} prompts by {view.colouring.lower()}: " + ", ".join(
        f"{name} {count:,}" for count, name in counts if count
    )


def _binding(layout: Layout, predictions, other) -> str:
    """What every point above belongs to."""
    parts = [f"Layout `{layout.sha256[:12]}` (UMAP) · encoder `{layout.key['encoder_id']}` · corpus `{_corpus_sha()[:12]}`"]
    for one in (predictions, other):
        if one:
            parts.append(f"router {literal(one.router.name)} `{one.router.sha256[:12]}`, {one.kind} predictions")
    return " · ".join(parts)


serve(render)
