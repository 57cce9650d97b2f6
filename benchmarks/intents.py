"""A public intent data set: recipe hybrid against a logistic regression on the same vectors, on the published split and on five folds of all rows.

``python -m benchmarks.intents FILE.jsonl`` with text, label and split (train, test, perhaps valid). The published test splits of such sets are
small (hwu64: 1 076 rows, so a difference of a point is within its error); the folds ask every row once. In each fold a tenth of the other rows
(every tenth) chooses the strength of the regression and the weight of the n-grams, as the valid side does in the published split.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from lab.evaluation.compare import difference_interval
from lab.router.fit import fit
from lab.router.train import TrainingSet
from lab.text.encoder import MINILM
from lab.workbench import REFERENCE, Workbench

STRENGTHS = (1, 3, 10, 30, 100)
FOLDS = 5


def main(path: Path) -> None:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    labels, primary = np.unique([row["label"] for row in rows], return_inverse=True)
    bench = Workbench()
    texts = [row["text"] for row in rows]
    everything = TrainingSet(bench.vectors.encode(bench.encoder(MINILM, REFERENCE), texts), primary, np.zeros((len(rows), len(labels)), dtype=np.uint8), texts)
    sides = np.asarray([row["split"] for row in rows])
    test, rest = np.flatnonzero(sides == "test"), np.flatnonzero(sides != "test")
    valid = np.flatnonzero(sides == "valid") if "valid" in sides else rest[::10]
    _say("published split", *_both(bench, everything, np.setdiff1d(rest, valid), valid, test))
    order, right = np.random.default_rng(0).permutation(len(rows)), ([], [])
    for k in range(FOLDS):
        outside, inside = order[k::FOLDS], np.concatenate([order[j::FOLDS] for j in range(FOLDS) if j != k])
        found = _both(bench, everything, np.delete(inside, np.s_[::10]), inside[::10], outside)
        for kept, one in zip(right, found, strict=True):
            kept.append(one)
    _say("five folds", *(np.concatenate(one) for one in right))


def _both(bench: Workbench, data: TrainingSet, train: np.ndarray, valid: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) bool each: the regression is right, the hybrid is right."""
    from sklearn.linear_model import LogisticRegression

    fits = [LogisticRegression(C=strength, max_iter=500).fit(data.vectors[train], data.primary[train]) for strength in STRENGTHS]
    best = max(fits, key=lambda one: one.score(data.vectors[valid], data.primary[valid]))
    sides = [TrainingSet(data.vectors[side], data.primary[side], data.also[side], [data.texts[n] for n in side]) for side in (train, valid, test)]
    logits = fit(sides[0], sides[1], bench.recipes["hybrid"]).logits(sides[2].vectors, sides[2].texts)
    return best.predict(sides[2].vectors) == sides[2].primary, logits.argmax(1) == sides[2].primary


def _say(name: str, first: np.ndarray, second: np.ndarray) -> None:
    fixed, broken, n = int((second & ~first).sum()), int((first & ~second).sum()), len(first)
    low, high = difference_interval(fixed, broken, n)
    print(f"{name}, n {n}: regression {first.mean():.1%}, hybrid {second.mean():.1%}, {100 * (fixed - broken) / n:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}], {fixed} fixed, {broken} broken", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
