"""Unlabelled traffic: how unsure and how new each prompt is, and groups of unrouted prompts that may be a domain of their own."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from lab.curation.doubt import rank_among
from lab.curation.order import ALIKE

FEWEST = 10
"""A group of fewer prompts is not offered."""
DENSITY = 5
"""HDBSCAN's min_samples: how many neighbours make a place dense."""
COMPONENTS = 16
MOST = 10_000
"""Of more unrouted prompts, so many drawn at random are grouped; the result says how many."""
SAMPLES = 5
WORDS = 6


def uncertainty(probabilities: np.ndarray) -> np.ndarray:
    """(n,) 1 − (first − second probability), from (n, N)."""
    two = np.sort(probabilities, axis=1)[:, -2:]
    return (1.0 - (two[:, 1] - two[:, 0])).astype(np.float32)


def traffic_scores(
    probabilities: np.ndarray, unlike: np.ndarray | None = None, reference: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """(n,) score, uncertainty and novelty, all in [0, 1]. The score is their mean; without out-of-domain scores, the uncertainty.

    ``unlike`` (n,) scores of lab.evaluation.ood; ``reference`` (m,) those of in-domain prompts: novelty is the rank among both.
    """
    unsure = uncertainty(probabilities)
    if unlike is None:
        return unsure, unsure, None
    novel = rank_among(unlike, np.empty(0, np.float32) if reference is None else reference)
    return (unsure + novel) / 2, unsure, novel


@dataclass(frozen=True)
class Candidate:
    """A group of unrouted prompts. ``rows``: the most central first; ``samples``: rows to read, no look-alikes among them;
    ``words``: (word, share of the group's prompts that have it, share of the others); ``nearest``: existing domain with the highest mean
    probability, and that mean; ``cohesion``: mean cosine to the middle of the group.
    """

    name: str
    rows: tuple[int, ...]
    samples: tuple[int, ...]
    words: tuple[tuple[str, float, float], ...]
    nearest: tuple[str, float] | None
    cohesion: float


@dataclass(frozen=True)
class Candidates:
    """``offered``, largest first. Of ``n`` prompts ``looked_at`` were grouped, and ``alone`` of these are in no group."""

    offered: list[Candidate]
    n: int
    looked_at: int
    alone: int


def candidate_domains(
    vectors: np.ndarray, texts: Sequence[str], languages: Sequence[str], background: Sequence[str] = (), taken: Collection[str] = (),
    probabilities: np.ndarray | None = None, domains: Sequence[str] = (), fewest: int = FEWEST, seed: int = 0,
) -> Candidates:  # fmt: skip
    """Groups among n unrouted prompts, offered as new domains with a proposed name.

    ``vectors`` (n, D) of unit length; ``background``: texts of known domains, whose words are not characteristic; ``taken``: names in
    use; ``probabilities`` (n, N) over ``domains``. HDBSCAN (Campello et al. 2013) on 16 principal components, after the mean of each
    language is taken off: an encoder groups by language before it groups by subject.
    """
    looked = np.arange(len(texts))
    if len(looked) > MOST:
        looked = np.sort(np.random.default_rng(seed).choice(len(looked), MOST, replace=False))
    labels = _group(_without_language(vectors[looked], [languages[row] for row in looked]), fewest, seed)
    groups = [looked[labels == one] for one in range(int(labels.max(initial=-1)) + 1)]
    groups.sort(key=lambda rows: (-len(rows), int(rows[0])))
    words = _characteristic(texts, groups, [*background, *(texts[row] for row in looked[labels < 0])])
    used, offered = set(taken), []
    for rows, own in zip(groups, words, strict=True):
        name = propose_name([word for word, _, _ in own], used)
        used.add(name)
        offered.append(_candidate(name, rows, own, vectors, probabilities, domains))
    return Candidates(offered, len(texts), len(looked), int((labels < 0).sum()))


def propose_name(words: Sequence[str], taken: Collection[str]) -> str:
    """The two most characteristic words joined by "-", in ASCII; more words, then a number, until the name is free."""
    plain = [word for word in dict.fromkeys(re.sub(r"[^a-z0-9]", "", word) for word in words) if word] or ["new"]
    for count in range(min(2, len(plain)), len(plain) + 1):
        name = "-".join(plain[:count])
        if name not in taken:
            return name
    base, number = "-".join(plain[:2]), 2
    while f"{base}-{number}" in taken:
        number += 1
    return f"{base}-{number}"


def _without_language(vectors: np.ndarray, languages: Sequence[str]) -> np.ndarray:
    """(n, D) of unit length, less the mean of their language; languages of fewer than FEWEST prompts share one mean."""
    out, language = vectors.astype(np.float32, copy=True), np.asarray(languages)
    names, place, count = np.unique(language, return_inverse=True, return_counts=True)
    place = np.where(count[place] < FEWEST, len(names), place)
    for one in np.unique(place):
        rows = place == one
        if rows.sum() >= FEWEST:
            out[rows] -= out[rows].mean(axis=0)
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)


def _group(vectors: np.ndarray, fewest: int, seed: int) -> np.ndarray:
    """(n,) group number, −1 for none."""
    if len(vectors) < 2 * fewest:
        return np.full(len(vectors), -1)
    from sklearn.cluster import HDBSCAN
    from sklearn.decomposition import PCA

    small = PCA(min(COMPONENTS, *vectors.shape), random_state=seed).fit_transform(vectors)
    small /= np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-12)
    return HDBSCAN(min_cluster_size=fewest, min_samples=DENSITY, cluster_selection_method="leaf", copy=True).fit_predict(small)


def _characteristic(texts: Sequence[str], groups: Sequence[np.ndarray], others: Sequence[str]) -> list[list[tuple[str, float, float]]]:
    """Of each group the words with the largest p·log(p/q): p, q their smoothed shares of prompts inside and outside the group."""
    from sklearn.feature_extraction.text import CountVectorizer

    if not groups:
        return []
    every = [*(texts[row] for rows in groups for row in rows), *others]
    count = CountVectorizer(
        binary=True, strip_accents="unicode", token_pattern=r"(?u)[^\W\d_][\w+#]{2,}", max_df=0.5 if len(every) > 50 else 1.0
    )
    try:
        table = count.fit_transform(every)
    except ValueError:  # no prompt holds a word
        return [[] for _ in groups]
    names, total = count.get_feature_names_out(), np.asarray(table.sum(axis=0))[0]
    out, start = [], 0
    for rows in groups:
        inside = np.asarray(table[start : start + len(rows)].sum(axis=0))[0]
        start += len(rows)
        p, q = (inside + 0.5) / (len(rows) + 1), (total - inside + 0.5) / (len(every) - len(rows) + 1)
        weight = np.where(inside >= 2, p * np.log(p / q), -np.inf)
        best = [n for n in np.argsort(-weight, kind="stable")[:WORDS] if weight[n] > 0]
        outside = max(1, len(every) - len(rows))
        out.append([(str(names[n]), float(inside[n] / len(rows)), float((total[n] - inside[n]) / outside)) for n in best])
    return out


def _candidate(
    name: str, rows: np.ndarray, words: list[tuple[str, float, float]], vectors: np.ndarray, probabilities: np.ndarray | None, domains: Sequence[str]
) -> Candidate:  # fmt: skip
    middle = vectors[rows].mean(axis=0)
    central = vectors[rows] @ (middle / max(float(np.linalg.norm(middle)), 1e-12))
    ordered = rows[np.argsort(-central, kind="stable")]
    samples: list[int] = []
    for row in ordered:
        if len(samples) < SAMPLES and all(vectors[row] @ vectors[one] < ALIKE for one in samples):
            samples.append(int(row))
    nearest = None
    if probabilities is not None:
        mean = probabilities[rows].mean(axis=0)
        nearest = (str(domains[int(mean.argmax())]), float(mean.max()))
    return Candidate(name, tuple(int(row) for row in ordered), tuple(samples), tuple(words), nearest, float(central.mean()))
