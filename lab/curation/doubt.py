"""Reasons to doubt a label. Each is a pure callable on arrays: (n,) float32 scores in [0, 1], 0 = no doubt, and what it suggests.

Shared arguments: ``probabilities`` (n, N) in [0, 1], calibrated, from a router that was not trained on the row (out-of-fold, or live on
a new prompt); ``out_of_sample`` (n,) bool says where that holds, and a labelled row where it does not is refused; ``primary`` (n,) class
id of the label, or UNKNOWN; ``also`` (n, N) 0/1, domains that could answer the prompt well too: they count as right.
Suggestions are (n,) class ids, UNKNOWN where there is none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lab.errors import InputError
from lab.evaluation.out_of_fold import UNKNOWN
from lab.files import sha256_bytes

SURE = 0.8
"""Confidently wrong: the wrong domain has at least this probability."""
CLOSE = 0.1
"""Low margin: the two best domains are less than this apart."""
CLOSEST = 0.05
"""Low margin: or among this share of the labelled prompts with the least margin."""
SAMPLE = 0.1
"""Share of the prompts that audit and second opinions draw."""
FLOOR = 1e-3
"""A label's probability below this is no more of a surprise."""
VOTE_SHARE = 0.5
"""Weight of the neighbours' vote beside the router's probability; chosen among 0.3, 0.5 and 0.7 on 200 flipped labels of 15,000; they differ little."""

Scores = tuple[np.ndarray, np.ndarray]


def accepted(primary: np.ndarray, also: np.ndarray) -> np.ndarray:
    """(n, N) bool: the domains that are right for a row, its label and its also-labels."""
    out = also.astype(bool)
    known = np.flatnonzero(primary != UNKNOWN)
    out[known, primary[known]] = True
    return out


def check_out_of_sample(out_of_sample: np.ndarray, used: np.ndarray) -> None:
    """InputError if a probability that would be used comes from a router that was trained on its row."""
    bad = int((used & ~out_of_sample).sum())
    if bad:
        raise InputError(
            f"{bad} of {int(used.sum())} probabilities come from a router that was trained on these prompts: it has learnt their labels by heart.",
            "Use out-of-fold predictions (python -m lab out-of-fold), or leave these prompts out.",
        )


def best_outside(values: np.ndarray, right: np.ndarray) -> Scores:
    """(n,) the largest of the (n, N) ``values`` outside the (n, N) ``right`` domains, and its class id (UNKNOWN if all are right)."""
    rest = np.where(right, -1.0, values)
    best = rest.argmax(axis=1)
    value = rest[np.arange(len(rest)), best]
    return np.maximum(value, 0.0), np.where(value < 0, UNKNOWN, best)


def without_also(values: np.ndarray, primary: np.ndarray, also: np.ndarray) -> np.ndarray:
    """(n, N) shares once the also-labels have left the choice: between the label and everything else."""
    kept = np.where(also.astype(bool), 0.0, values)
    kept[np.arange(len(kept)), primary] = values[np.arange(len(kept)), primary]
    return kept / np.maximum(kept.sum(axis=1, keepdims=True), 1e-12)


def surprise(shares: np.ndarray, primary: np.ndarray, also: np.ndarray) -> Scores:
    """How likely the best other domain is, times how surprising the label is: max_other p · log(p_label) / log(FLOOR).

    The first factor finds labels mixed up with a near domain, the second those that are far off. ``shares``: (n, N), rows sum to 1.
    """
    value, other = best_outside(shares, accepted(primary, also))
    own = np.clip(shares[np.arange(len(shares)), primary], FLOOR, 1.0)
    return (value * np.log(own) / np.log(FLOOR)).astype(np.float32), other


def label_issues(probabilities: np.ndarray, primary: np.ndarray, also: np.ndarray, out_of_sample: np.ndarray) -> Scores:
    """The label is likely wrong. Which rows: confident learning (Northcutt et al. 2021, "Confident learning: estimating uncertainty in
    dataset labels"; cleanlab), less those whose most likely domain is right. How wrong: :func:`surprise`."""
    labelled = np.flatnonzero(primary != UNKNOWN)
    check_out_of_sample(out_of_sample, primary != UNKNOWN)
    score, other = np.zeros(len(primary), np.float32), np.full(len(primary), UNKNOWN)
    shares = without_also(probabilities[labelled], primary[labelled], also[labelled])
    top = probabilities[labelled].argmax(axis=1)
    issue = _confident_issues(shares, primary[labelled])
    issue &= ~accepted(primary[labelled], also[labelled])[np.arange(len(labelled)), top]
    rows = labelled[issue]
    score[rows], other[rows] = surprise(shares[issue], primary[rows], also[rows])
    return score, other


def with_votes(probabilities: np.ndarray, votes: np.ndarray, primary: np.ndarray, also: np.ndarray) -> Scores:
    """(m,) scores of rows that :func:`label_issues` found, once their neighbours were asked, and the best other domain by both.

    ``votes``: (m, N) share of the labels of the nearest prompts (lab.curation.votes), rows of zeros where there were none.
    """
    shares, voted = without_also(probabilities, primary, also), without_also(votes, primary, also)
    asked = voted.sum(axis=1) > 0
    shares[asked] += VOTE_SHARE * (voted[asked] - shares[asked])
    return surprise(shares, primary, also)


def _confident_issues(shares: np.ndarray, primary: np.ndarray) -> np.ndarray:
    """(m,) bool of labelled rows: cleanlab's pruning by noise rate. All of them when only one label is in use."""
    used, place = np.unique(primary, return_inverse=True)
    if len(used) < 2:
        return np.ones(len(primary), dtype=bool)
    from cleanlab.filter import find_label_issues

    return find_label_issues(place, shares[:, used], filter_by="prune_by_noise_rate", min_examples_per_class=0, n_jobs=1)


def confidently_wrong(
    probabilities: np.ndarray, primary: np.ndarray, also: np.ndarray, out_of_sample: np.ndarray, level: float = SURE
) -> Scores:
    """The probability of the most likely domain where it is not right and has at least ``level``."""
    labelled = primary != UNKNOWN
    check_out_of_sample(out_of_sample, labelled)
    value, other = best_outside(probabilities, accepted(primary, also))
    wrong = labelled & (value >= level) & (other == probabilities.argmax(axis=1))
    return np.where(wrong, value, 0.0).astype(np.float32), np.where(wrong, other, UNKNOWN)


def low_margin(probabilities: np.ndarray, primary: np.ndarray, also: np.ndarray, out_of_sample: np.ndarray, level: float = CLOSE) -> Scores:
    """1 − (first − second probability) where that is less than ``level``, or among the least CLOSEST of the labelled rows (a calibration of
    the top-1 alone may leave no smaller margin than its floor), and not both domains are right (Scheffer et al. 2001,
    "Active hidden Markov models for information extraction"). Labelled rows only; new ones are ranked by lab.curation.candidates."""
    labelled = primary != UNKNOWN
    check_out_of_sample(out_of_sample, labelled)
    two = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    value = np.take_along_axis(probabilities, two, axis=1)
    margin = value[:, 0] - value[:, 1]
    right = np.take_along_axis(accepted(primary, also), two, axis=1)
    level = max(level, float(np.quantile(margin[labelled], CLOSEST))) if labelled.any() else level
    close = labelled & (margin < level) & ~right.all(axis=1)
    other = np.where(right[:, 0], two[:, 1], two[:, 0])
    return np.where(close, 1.0 - margin, 0.0).astype(np.float32), np.where(close, other, UNKNOWN)


def versions_disagree(
    first: np.ndarray, second: np.ndarray, comparable: np.ndarray, primary: np.ndarray, also: np.ndarray, out_of_sample: np.ndarray
) -> Scores:
    """The smaller of the two routers' top probabilities, where they name different domains that are not both right.

    ``first`` and ``second`` (n, N) over the same domains; ``comparable`` (n,) bool: both routers know both domains and the label.
    ``out_of_sample``: for both routers.
    """
    check_out_of_sample(out_of_sample, comparable)
    rows = np.arange(len(first))
    tops = np.stack([first.argmax(axis=1), second.argmax(axis=1)], axis=1)
    value = np.stack([first[rows, tops[:, 0]], second[rows, tops[:, 1]]], axis=1)
    right = np.take_along_axis(accepted(primary, also), tops, axis=1)
    differ = comparable & (tops[:, 0] != tops[:, 1]) & ~right.all(axis=1)
    wrong = np.where(right, -1.0, value).argmax(axis=1)
    return np.where(differ, value.min(axis=1), 0.0).astype(np.float32), np.where(differ, tops[rows, wrong], UNKNOWN)


def duplicates_in_conflict(
    pairs: Sequence[tuple[int, int, float]], primary: np.ndarray, also: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int, float]]]:
    """Near-duplicates (lab.corpus.duplicates.near_pairs) of which one's label is not right for the other.

    (n,) the largest similarity to such a partner; (n,) the label that most of the partners carry (first by class id); the pairs.
    """
    right = accepted(primary, also)
    bad = [
        (i, j, similarity)
        for i, j, similarity in pairs
        if primary[i] != UNKNOWN and primary[j] != UNKNOWN and not (right[i, primary[j]] and right[j, primary[i]])
    ]
    score, votes = np.zeros(len(primary), np.float32), np.zeros(also.shape, np.int32)
    for i, j, similarity in bad:
        score[[i, j]] = np.maximum(score[[i, j]], similarity)
        votes[i, primary[j]] += 1
        votes[j, primary[i]] += 1
    return score, np.where(score > 0, np.where(right, 0, votes).argmax(axis=1), UNKNOWN), bad


def out_of_domain(unlike: np.ndarray, threshold: float, reference: np.ndarray, out_of_sample: np.ndarray) -> np.ndarray:
    """(n,) share of prompts less out-of-domain, where the (n,) score (lab.evaluation.ood: higher = more so) is above ``threshold``.

    ``reference``: (m,) scores of in-domain prompts; ``out_of_sample`` (n,): the detector was not fitted on the row.
    """
    check_out_of_sample(out_of_sample, np.ones(len(unlike), dtype=bool))
    return np.where(unlike > threshold, rank_among(unlike, reference), 0.0).astype(np.float32)


def rank_among(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """(n,) share of the (n,) ``values`` and the (m,) ``reference`` together that are smaller: keeps their order beyond the reference."""
    below = np.searchsorted(np.sort(reference), values, "left") + np.searchsorted(np.sort(values), values, "left")
    return (below / max(1, len(values) + len(reference))).astype(np.float32)


def drawn(ids: Sequence[str], eligible: np.ndarray, seed: int, share: float = SAMPLE) -> np.ndarray:
    """(n,) scores of a random ``share`` of the eligible rows, 0 elsewhere. By hash of seed and id: new prompts change nobody's luck."""
    luck = np.asarray([int(sha256_bytes(f"draw-1:{seed}:{one}".encode())[:8], 16) / 2**32 for one in ids], dtype=np.float64)
    return np.where(eligible & (luck < share), 1.0 - luck, 0.0).astype(np.float32)


def second_opinions(ids: Sequence[str], flagged: np.ndarray, deciders: np.ndarray, seed: int, share: float = SAMPLE) -> np.ndarray:
    """(n,) 1 for flagged rows, under 1 for a drawn ``share`` of those that exactly one curator decided. ``deciders``: (n,) how many did."""
    once = drawn(ids, (deciders == 1) & ~flagged, seed, share)
    return np.where(flagged, 1.0, np.minimum(once, np.float32(0.999)))
