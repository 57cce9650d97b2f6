"""What Scorecard and Confusions share: which router, judged on which prompts, and what the figures are bound to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from lab.evaluation.curves import LENGTHS, length_group
from lab.evaluation.out_of_fold import Predictions
from pages.shared.frame import bench

UNKNOWN_RECIPE = "The router's recipe is not known: its training prompts may be among these."
TEST, FOLDS = "Test side", "Whole corpus, out-of-fold"


@dataclass(frozen=True)
class Judged:
    """``keep`` (n,) bool: the prompts of ``predictions`` that pass the filters and whose label the router has."""

    predictions: Predictions
    other: Predictions | None
    keep: np.ndarray
    filters: str

    @property
    def key(self) -> tuple:
        """Everything that decides a figure; the key of cached figures."""
        return (self.predictions.router.sha256, self.predictions.kind, self.predictions.corpus_sha256, self.filters)


def settings() -> Judged:
    """The sidebar of both pages, linkable, and the predictions it names."""
    names = bench().router_names()
    with st.sidebar:
        router = st.selectbox("Router", names, key="router", bind="query-params", persist_state="session")
        others = [name for name in names if name != router]
        other = st.selectbox(
            "Compare with", others, index=None, placeholder="nothing", key="with", bind="query-params", persist_state="session"
        )
        basis = st.radio(
            "Judge on",
            [TEST, FOLDS],
            key="on",
            bind="query-params",
            persist_state="session",
            help="Test side: prompts the router never saw, by the router that is served. Out-of-fold: every prompt of the corpus, each by a head "
            "refitted without it, so there are ten times as many, and the figures are of the recipe rather than of these very weights.",
        )
        language = st.multiselect(
            "Languages", ["fr", "en", "de", "es", "it"], key="lang", bind="query-params", persist_state="session", placeholder="all"
        )
        part = st.multiselect(
            "Corpus parts", ["field", "plain"], key="part", bind="query-params", persist_state="session", placeholder="both"
        )
        length = st.multiselect(
            "Lengths", [name for _, _, name in LENGTHS], key="length", bind="query-params", persist_state="session", placeholder="all"
        )
    predictions = load(router, basis)
    rows = predictions.rows
    keep = predictions.known & np.asarray(
        [
            (not language or row.lang in language) and (not part or row.part in part) and (not length or length_group(row.text) in length)
            for row in rows
        ]
    )
    return Judged(predictions, load(other, basis) if other else None, keep, repr((language, part, length)))


def load(router: str, basis: str) -> Predictions:
    """Predictions of ``router``; a bar shows what has to be computed first."""
    bar = st.empty()

    def progress(stage: str, done: int, of: int) -> None:
        bar.progress(done / of, f"{stage}: {done:,} of {of:,} (once)")

    found = bench().test_predictions(router) if basis == TEST else bench().out_of_fold(router, progress)
    bar.empty()
    return found


def binding(judged: Judged) -> None:
    """The line that says what the figures belong to."""
    p = judged.predictions
    unknown = int((~p.known).sum())
    flat = ""
    if p.kind == "direct":
        learnt = bench().learnt(p.router.encoder_name)
        flat = f" **{'Its encoder has learnt the train side, so these figures flatter: read the test side.' if learnt else UNKNOWN_RECIPE}**"
    left = f" · {unknown:,} prompts whose label it does not have are left out" if unknown else ""
    st.caption(
        f"Router {p.router.name} `{p.router.sha256[:12]}` · {p.kind} · {int(judged.keep.sum()):,} prompts `{p.corpus_sha256[:12]}`{left} · intervals 95 %.{flat}"
    )
