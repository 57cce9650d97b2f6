"""What changed labels do to the lexical part of a hybrid router, in a second: the support vector machines move, they are not fitted anew.

A linear SVM is a sum over its training prompts, w = Σ α·y·x, and at its optimum α = 2C·max(0, 1 − y·f(x)) (squared hinge; Hsieh et al. 2008,
"A dual coordinate descent method for large-scale linear SVM"). So the shares of the prompts whose labels changed, and of those near them,
are known from the champion; they alone are optimised again, all other shares stay. As with the head, this is done twice, with the old and
with the new labels, and the difference is what the labels did.

Measured with the hybrid recipe, 53 corrected labels, 1 482 validation prompts: the full fit flips 35 (12 fixed, 10 broken); the head's refits
alone show 5 flips (3 of those 35, to the same domain), with this 31 (18 of them; 10 fixed, 12 broken); the lexical part fitted anew instead, 21
(15). A score changes about twice as much as in a full fit: prompts further away, which would hold against it, are not asked. 1 s.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lab.router.lexical import Lexical, tf_idf
from lab.router.ngrams import count_ngrams

NEAR = 20
"""Prompts beside each changed one that may answer to its new label."""
MOST = 3_000
"""Prompts that are optimised again; with more changes than these the nearest ones are left out, then some of the changed."""
STEPS = 12_000
"""Single steps, at most: sweeps times prompts."""

Label = tuple[str, tuple[str, ...]]


def concerned(changed: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Ascending places of the ``changed`` rows of ``vectors`` (n, D) and of the NEAR rows beside each, at most MOST."""
    changed = changed[:MOST]
    near = np.argpartition(-(vectors[changed] @ vectors.T), min(NEAR, len(vectors) - 1), axis=1)[:, : NEAR + 1].ravel()
    rest = [one for one in dict.fromkeys(near.tolist()) if one not in set(changed.tolist())]
    return np.sort(np.concatenate([changed, np.asarray(rest[: MOST - len(changed)], dtype=changed.dtype)]))


def lexical_change(
    lexical: Lexical, cost: float, domains: Sequence[str], texts: Sequence[str], old: Sequence[Label | None], new: Sequence[Label | None], held: Sequence[str]
) -> np.ndarray:  # fmt: skip
    """(n, N) by which the lexical scores of ``held`` change when the prompts ``texts`` change from the labels ``old`` to ``new``.

    None stands for a prompt that is not trained on; ``domains`` are those of the lexical part, in its order.
    """
    from scipy.sparse import csr_matrix

    def matrix(some: Sequence[str]) -> csr_matrix:
        row, column, value = tf_idf(count_ngrams(some), lexical.keys, lexical.idf)
        return csr_matrix((value, (row, column)), shape=(len(some), len(lexical.keys)))

    x, scores = matrix(texts), lexical.scores(texts).astype(np.float64)
    sides = [_targets(domains, labels, cost) for labels in (old, new)]
    moved = np.flatnonzero(((sides[0][0] != sides[1][0]) | (sides[0][1] != sides[1][1])).any(axis=0))
    out = np.zeros((len(held), len(domains)))
    if len(moved) == 0:
        return out
    gram = (x @ x.T).toarray().astype(np.float64)  # biases stay: all the other prompts hold them
    wanted, price = (one[:, moved] for one in sides[0])
    given = 2 * price * np.maximum(0.0, 1 - wanted * scores[:, moved]) * wanted
    first, second = (_optimised(gram, scores[:, moved], given, y[:, moved], c[:, moved]) for y, c in sides)
    out[:, moved] = (matrix(held) @ x.T).toarray() @ (second - first)
    return out


def _targets(domains: Sequence[str], labels: Sequence[Label | None], cost: float) -> tuple[np.ndarray, np.ndarray]:
    """(m, N) +1 for the own domain, −1 else, and (m, N) the price of an error: 0 for a domain in ``also`` and for an absent prompt."""
    place = {domain: n for n, domain in enumerate(domains)}
    wanted, price = np.full((len(labels), len(domains)), -1.0), np.full((len(labels), len(domains)), cost)
    for n, label in enumerate(labels):
        if label is None:
            price[n] = 0.0
            continue
        price[n, [place[one] for one in label[1] if one in place]] = 0.0
        if label[0] in place:
            wanted[n, place[label[0]]], price[n, place[label[0]]] = 1.0, cost
    return wanted, price


def _optimised(gram: np.ndarray, scores: np.ndarray, given: np.ndarray, wanted: np.ndarray, price: np.ndarray) -> np.ndarray:
    """(m, k) signed shares after coordinate descent from ``given``, whose ``scores`` (m, k) the champion has."""
    share = np.where((given * wanted > 0) & (price > 0), given, 0.0)
    scores = scores + gram @ (share - given)
    with np.errstate(divide="ignore"):
        stiff = gram.diagonal()[:, None] + np.where(price > 0, 1 / (2 * price), np.inf)
    for _ in range(max(1, STEPS // max(1, len(gram)))):
        largest = 0.0
        for n in range(len(gram)):
            without = scores[n] - gram[n, n] * share[n]
            step = np.maximum(0.0, 1 - wanted[n] * without) / stiff[n] * wanted[n] - share[n]
            far = np.abs(step).max()
            if far > 1e-4:
                scores += np.outer(gram[n], step)
                share[n] += step
                largest = max(largest, far)
        if largest < 1e-2:
            break
    return share
