"""How the items of each queue are made: scores from lab.curation.doubt, an order, and a sentence for each that is kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from lab.corpus.duplicates import groups, near_pairs
from lab.curation import doubt
from lab.curation.material import Found, Material, percent
from lab.curation.order import diverse_order
from lab.curation.state import Item
from lab.curation.votes import neighbour_vote
from lab.errors import InputError
from lab.evaluation.out_of_fold import UNKNOWN

MOST = 2_000
"""Longest queue. A morning's work is a few hundred."""

Say = Callable[[int], tuple[str, dict[str, Any]]]
"""Row → the sentence for the curator, and its figures."""


def label_issues(m: Material, most: int = MOST, seed: int = 0) -> Found:
    score, other = doubt.label_issues(m.probabilities, m.primary, m.also, m.out_of_sample)
    rows, found = _top(np.where(_undecided(m), score, 0), most)
    vote = neighbour_vote(rows, m.vectors, m.texts, m.primary, len(m.domains))
    again, suggested = doubt.with_votes(m.probabilities[rows], vote.shares, m.primary[rows], m.also[rows])
    score, place = score.copy(), {int(row): n for n, row in enumerate(rows)}
    score[rows], other[rows] = again, suggested

    def say(row: int) -> tuple[str, dict[str, Any]]:
        n, own, best = place[row], m.primary[row], other[row]
        votes = {"asked": int(vote.asked[n]), "label": int(vote.counts[n, own]), "other": int(vote.counts[n, best])}
        p = {"label": float(m.probabilities[row, own]), "other": float(m.probabilities[row, best])}
        sentence = (
            f"Labelled {m.name(own)}. {m.router}, which did not learn from it, gives {m.name(own)} {percent(p['label'])} and "
            f"{m.name(best)} {percent(p['other'])}; of the {votes['asked']} nearest prompts {votes['label']} are {m.name(own)}, "
            f"{votes['other']} {m.name(best)}."
        )
        return sentence, {"probability": p, "neighbours": votes}

    return _found(m, rows, found, score, other, say)


def confidently_wrong(m: Material, most: int = MOST, seed: int = 0) -> Found:
    score, other = doubt.confidently_wrong(m.probabilities, m.primary, m.also, m.out_of_sample)

    def say(row: int) -> tuple[str, dict[str, Any]]:
        p = {"label": float(m.probabilities[row, m.primary[row]]), "other": float(score[row])}
        label, best = m.name(m.primary[row]), m.name(other[row])
        return f"Labelled {label} ({percent(p['label'])}), but {m.router} is {percent(p['other'])} sure of {best}.", {"probability": p}

    return _queue(m, score, other, say, most)


def low_margin(m: Material, most: int = MOST, seed: int = 0) -> Found:
    score, other = doubt.low_margin(m.probabilities, m.primary, m.also, m.out_of_sample)

    def say(row: int) -> tuple[str, dict[str, Any]]:
        a, b = (int(one) for one in np.argsort(-m.probabilities[row], kind="stable")[:2])
        p = {m.name(one): float(m.probabilities[row, one]) for one in (a, b)}
        first, second = (f"{name} ({percent(value)})" for name, value in p.items())
        return f"{m.router} cannot decide between {first} and {second}. The label is {m.name(m.primary[row])}.", {"probability": p}

    return _queue(m, score, other, say, most)


def versions_disagree(m: Material, most: int = MOST, seed: int = 0) -> Found:
    if m.other is None:
        raise InputError("There is one router only; a second one is needed to disagree.", "Choose another version to compare with.")
    names = sorted({*m.domains, *m.other.domains})
    place = {name: n for n, name in enumerate(names)}
    first, second = (
        _columns(values, [place[name] for name in domains], len(names))
        for values, domains in ((m.probabilities, m.domains), (m.other.probabilities, m.other.domains))
    )
    both = np.asarray([name in m.domains and name in m.other.domains for name in names])
    of_first = np.asarray([place[name] for name in m.domains])
    labelled = m.primary != UNKNOWN
    primary = np.where(labelled, of_first[m.primary], UNKNOWN)
    a, b = first.argmax(axis=1), second.argmax(axis=1)
    comparable = both[a] & both[b] & (~labelled | both[primary])
    sample = m.out_of_sample & m.other.out_of_sample
    score, other = doubt.versions_disagree(first, second, comparable, primary, _columns(m.also, list(of_first), len(names)), sample)
    back = np.asarray([list(m.domains).index(name) if name in m.domains else UNKNOWN for name in names])

    def say(row: int) -> tuple[str, dict[str, Any]]:
        p = {m.router: [names[a[row]], float(first[row, a[row]])], m.other.name: [names[b[row]], float(second[row, b[row]])]}
        said = ", ".join(f"{who} says {domain} ({percent(value)})" for who, (domain, value) in p.items())
        return f"{said}. {_label(m, row)}", {"versions": p}

    return _queue(m, score, np.where(other == UNKNOWN, UNKNOWN, back[other]), say, most)


def near_duplicates(m: Material, most: int = MOST, seed: int = 0) -> Found:
    pairs = near_pairs(m.texts) if m.pairs is None else m.pairs
    score, other, bad = doubt.duplicates_in_conflict(pairs, m.primary, m.also)
    partners: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for i, j, similarity in bad:
        partners[i].append((similarity, j))
        partners[j].append((similarity, i))

    def say(row: int) -> tuple[str, dict[str, Any]]:
        near = sorted(partners[row], key=lambda one: (-one[0], one[1]))
        labels = ", ".join(sorted({str(m.name(m.primary[j])) for _, j in near}))
        alike = f"{percent(near[0][0])} alike" if len(near) == 1 else f"up to {percent(near[0][0])} alike"
        who = "one prompt" if len(near) == 1 else f"{len(near)} prompts"
        detail = [{"id": m.ids[j], "label": m.name(m.primary[j]), "similarity": round(float(s), 4)} for s, j in near]
        return f"Labelled {m.name(m.primary[row])}, but its text is {alike} to {who} labelled {labels}.", {"partners": detail}

    return _queue(m, score, other, say, most, np.asarray(groups(len(m.ids), bad)))


def out_of_domain(m: Material, most: int = MOST, seed: int = 0) -> Found:
    if m.unlike is None:
        raise InputError("There are no out-of-domain scores.", "Fit a detector on the training prompts first.")
    score = doubt.out_of_domain(m.unlike.scores, m.unlike.threshold, m.unlike.reference, m.unlike.out_of_sample)
    top = m.probabilities.argmax(axis=1)
    right = doubt.accepted(m.primary, m.also)[np.arange(len(top)), top]

    def say(row: int) -> tuple[str, dict[str, Any]]:
        p = float(m.probabilities[row, top[row]])
        return (
            f"Unlike anything {m.router} was trained on: less familiar than {percent(score[row])} of the prompts. Its best guess is "
            f"{m.name(top[row])} ({percent(p)}). {_label(m, row)}",
            {"unlike": float(m.unlike.scores[row]), "threshold": m.unlike.threshold},
        )

    return _queue(m, score, np.where(right, UNKNOWN, top), say, most)


# shared


def _undecided(m: Material) -> np.ndarray:
    """Who was asked and answered is not asked again by these queues; audit and second opinions do that."""
    return m.deciders == 0


def _top(score: np.ndarray, most: int) -> tuple[np.ndarray, int]:
    """The rows with the ``most`` highest scores above 0, best first, and how many are above 0."""
    order = np.argsort(-score, kind="stable")[:most]
    return order[score[order] > 0], int((score > 0).sum())


def _queue(m: Material, score: np.ndarray, other: np.ndarray, say: Say, most: int, group: np.ndarray | None = None) -> Found:
    rows, found = _top(np.where(_undecided(m), score, 0), most)
    return _found(m, rows, found, score, other, say, group)


def _found(
    m: Material, rows: np.ndarray, found: int, score: np.ndarray, other: np.ndarray, say: Say, group: np.ndarray | None = None
) -> Found:
    kind = (m.primary[rows] + 1) * (len(m.domains) + 1) + other[rows] + 1
    order = diverse_order(score[rows], m.vectors[rows], kind, None if group is None else group[rows])
    return Found([item(m, int(row), float(score[row]), m.name(other[row]), *say(int(row))) for row in rows[order]], found)


def item(m: Material, row: int, score: float, suggestion: str | None, reason: str, detail: dict[str, Any]) -> Item:
    """A prompt of the test side is marked: its new label makes a new evaluation set and never trains."""
    split = m.splits[row] if m.splits else ""
    if split == "test":
        reason += " A test prompt: a new label makes a new test set."
    return Item(m.ids[row], min(1.0, max(0.0, score)), reason, suggestion, {**detail, "split": split} if split else detail)


def _label(m: Material, row: int) -> str:
    if m.primary[row] != UNKNOWN:
        return f"The label is {m.name(m.primary[row])}."
    return "Its label is no domain of this router." if m.has_label[row] else "It has no label yet."


def _columns(values: np.ndarray, columns: list[int], width: int) -> np.ndarray:
    """(n, width) with the columns of ``values`` at their places, zeros elsewhere."""
    out = np.zeros((len(values), width), values.dtype)
    out[:, columns] = values
    return out
