"""The catalogue of queues: what each is, why a prompt is in it, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lab.curation import doubt, makers
from lab.curation.candidates import traffic_scores, uncertainty
from lab.curation.material import Found, Material, percent
from lab.curation.order import diverse_order
from lab.errors import InputError
from lab.evaluation.out_of_fold import UNKNOWN

FROM_MATRIX, FROM_MAP, FROM_TRY, FROM_TRAFFIC = "from-matrix", "from-map", "from-try", "from-traffic"
AUDIT, SECOND = "audit", "second-opinions"


@dataclass(frozen=True)
class Queue:
    """``blind``: the desk shows neither the router's suggestion nor who decided before. ``make`` (material, most, seed) → Found."""

    name: str
    title: str
    description: str
    order: str
    make: Callable[[Material, int, int], Found]
    blind: bool = False


def build(name: str, material: Material, most: int = makers.MOST, seed: int = 0) -> Found:
    """The queue of that name from the material. InputError for an unknown name, or when the material lacks what it needs."""
    if name not in CATALOGUE:
        raise InputError(f"There is no queue '{name}'.", f"Choose one of: {', '.join(CATALOGUE)}.")
    return CATALOGUE[name].make(material, most, seed)


def given(name: str) -> Callable[[Material, int, int], Found]:
    """A set that somebody picked: all of it, whatever was decided before, most doubtful first."""

    def make(m: Material, most: int, seed: int) -> Found:
        titles = m.given.get(name, {})
        rows = np.asarray([n for n, one in enumerate(m.ids) if one in titles], dtype=np.int64)
        labelled = m.primary[rows] != UNKNOWN
        own = m.probabilities[rows, m.primary[rows]]
        score = np.where(m.out_of_sample[rows], np.where(labelled, 1.0 - own, uncertainty(m.probabilities[rows])), 0.0)
        value, best = doubt.best_outside(m.probabilities[rows], doubt.accepted(m.primary[rows], m.also[rows]))
        likely = m.out_of_sample[rows] & (value > np.where(labelled, own, 0.0))
        kept = np.argsort(-score, kind="stable")[:most]
        order = kept[diverse_order(score[kept], m.vectors[rows[kept]])]
        items = [
            makers.item(
                m, int(rows[n]), float(score[n]), m.name(best[n]) if likely[n] else None, f"Sent from {titles[m.ids[rows[n]]]}.",
                {"probability": {"other": float(value[n])}} if likely[n] else {},
            )
            for n in order
        ]  # fmt: skip
        return Found(items, len(rows))

    return make


def traffic(m: Material, most: int = makers.MOST, seed: int = 0) -> Found:
    """Prompts without a label, by how unsure the router is and how new they are to it."""
    new = ~m.has_label & (m.deciders == 0)
    doubt.check_out_of_sample(m.out_of_sample, new)
    rows = np.flatnonzero(new)
    unlike, reference = (None, None) if m.unlike is None else (m.unlike.scores[rows], m.unlike.reference)
    score, unsure, novel = traffic_scores(m.probabilities[rows], unlike, reference)
    two = np.argsort(-m.probabilities[rows], axis=1, kind="stable")[:, :2]

    def sentence(n: int) -> str:
        first, second = (f"{m.name(one)} {percent(m.probabilities[rows[n], one])}" for one in two[n])
        known = "" if novel is None else f"; it is less familiar than {percent(novel[n])} of the prompts"
        return f"New, no label yet. {m.router}: {first}, {second}{known}."

    kept = np.argsort(-score, kind="stable")[:most]
    items = []
    for n in kept[diverse_order(score[kept], m.vectors[rows[kept]], two[kept, 0])]:
        detail = {"uncertainty": float(unsure[n])} | ({} if novel is None else {"novelty": float(novel[n])})
        items.append(makers.item(m, int(rows[n]), float(score[n]), m.name(two[n, 0]), sentence(n), detail))
    return Found(items, len(rows))


def audit(m: Material, most: int = makers.MOST, seed: int = 0) -> Found:
    """Of the prompts that people decided; of all labelled ones while nobody has decided any."""
    eligible = m.deciders > 0 if m.deciders.any() else m.has_label
    score = doubt.drawn(m.ids, eligible, seed)
    reason = f"Drawn at random, one in {round(1 / doubt.SAMPLE)}, to measure how good the labels are."
    return _drawn(m, score, most, lambda row: reason)


def second_opinions(m: Material, most: int = makers.MOST, seed: int = 0) -> Found:
    flagged = np.zeros(len(m.ids), dtype=bool) if m.flagged is None else m.flagged
    score = doubt.second_opinions(m.ids, flagged, m.deciders, seed)
    asked, sampled = "Somebody asked for a second opinion.", "Drawn at random from the prompts that one person decided."
    return _drawn(m, score, most, lambda row: asked if flagged[row] else sampled)


def _drawn(m: Material, score: np.ndarray, most: int, reason: Callable[[int], str]) -> Found:
    """In the order of the draw, without a suggestion: whoever judges must not be led."""
    order = np.argsort(-score, kind="stable")[:most]
    items = [makers.item(m, int(row), float(score[row]), None, reason(int(row)), {}) for row in order if score[row] > 0]
    return Found(items, int((score > 0).sum()))


_APART = "look-alikes are kept apart"
CATALOGUE: dict[str, Queue] = {
    queue.name: queue
    for queue in (
        Queue("label-issues", "Label issues", "The label is probably wrong: the router, without having learnt from it, and the nearest prompts say so.",
              f"Most likely wrong first; {_APART}.", makers.label_issues),
        Queue("confidently-wrong", "Confidently wrong", f"The router is at least {percent(doubt.SURE)} sure of a domain that is not the label.",
              f"Surest first; {_APART}.", makers.confidently_wrong),
        Queue("low-margin", "Low margin", f"The two best domains are less than {percent(doubt.CLOSE)} apart, or closer than in {percent(1 - doubt.CLOSEST)} of the prompts.",
              f"Closest first; {_APART}.", makers.low_margin),
        Queue("versions-disagree", "Versions disagree", "Two versions of the router name different domains. Prompts of domains that one of them lacks are left out.",
              f"Where both are sure first; {_APART}.", makers.versions_disagree),
        Queue("near-duplicates", "Near-duplicates in conflict", "Prompts with nearly the same text and different labels.",
              "Most alike first; the prompts of a group follow each other.", makers.near_duplicates),
        Queue("out-of-domain", "Out-of-domain", "Prompts unlike those the router was trained on.",
              f"Least familiar first; {_APART}.", makers.out_of_domain),
        Queue(FROM_MATRIX, "From matrix", "Prompts sent from Confusions.", f"Least likely label first; {_APART}.", given(FROM_MATRIX)),
        Queue(FROM_MAP, "From map", "Prompts sent from the map.", f"Least likely label first; {_APART}.", given(FROM_MAP)),
        Queue(FROM_TRY, "From Try a prompt", "Prompts sent from Try a prompt.", f"Least likely label first; {_APART}.", given(FROM_TRY)),
        Queue(FROM_TRAFFIC, "From traffic", "Prompts from gateway logs that have no label yet.",
              f"Where the router is unsure and the prompt is new to it first; {_APART}.", traffic),
        Queue(AUDIT, "Audit", f"{percent(doubt.SAMPLE)} of the decided prompts, drawn at random, without a suggestion.", "Random.", audit, True),
        Queue(SECOND, "Second opinions", "Prompts flagged by somebody, and a sample of those that one person decided; never offered to that person.",
              "Flagged first, then random.", second_opinions, True),
    )
}  # fmt: skip
"""Name → queue, in the order of the page."""
