"""How well each score tells in-domain prompts from out-of-domain ones, with intervals, bound to router, data and encoder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lab.corpus.read import text_of
from lab.corpus.rows import Refusal, Row, corpus_sha256
from lab.errors import InputError
from lab.evaluation.ood import DEFAULT_SCORE, PASS, OodDetector, logit_scores, passing_threshold
from lab.evaluation.report import place_labels
from lab.files import canonical, jsonl_lines, sha256_bytes
from lab.router.router import Router
from lab.taxonomy import Taxonomy
from lab.text.encoder import Encoder
from lab.text.prepare import fault, text_id

FEWEST = 20
"""Fewer prompts than this on a side cannot be judged."""


def auroc(inside: np.ndarray, outside: np.ndarray) -> float:
    """Probability that an out-of-domain score is above an in-domain one, ties counting half (Fawcett 2006, "An introduction to ROC analysis")."""
    return float(_figures(inside, outside, np.ones(len(inside)), np.ones(len(outside)))[0])


def fpr95(inside: np.ndarray, outside: np.ndarray) -> float:
    """Share of out-of-domain prompts that pass the lowest threshold which at least 95 % of in-domain ones pass (score ≤ threshold)."""
    return float(_figures(inside, outside, np.ones(len(inside)), np.ones(len(outside)))[1])


def separation(inside: np.ndarray, outside: np.ndarray, repeats: int = 1_000, seed: int = 0) -> dict[str, Any]:
    """auroc, fpr95 and their 95 % percentile bootstrap intervals; both sides are drawn anew, each to its own size."""
    n_in, n_out = len(inside), len(outside)
    found = _figures(inside, outside, np.ones(n_in), np.ones(n_out))
    random = np.random.default_rng(seed)

    def draw(n: int) -> np.ndarray:
        return np.bincount(random.integers(0, n, n), minlength=n)

    low, high = np.percentile([_figures(inside, outside, draw(n_in), draw(n_out)) for _ in range(repeats)], [2.5, 97.5], axis=0)
    return {
        "auroc": float(found[0]), "auroc_interval": [float(low[0]), float(high[0])],
        "fpr95": float(found[1]), "fpr95_interval": [float(low[1]), float(high[1])],
    }  # fmt: skip


def _figures(inside: np.ndarray, outside: np.ndarray, w_in: np.ndarray, w_out: np.ndarray) -> tuple[float, float]:
    """(auroc, fpr95) of weighted scores: (n,) and (m,) scores, (n,) and (m,) weights."""
    values, place = np.unique(np.concatenate([inside, outside]), return_inverse=True)
    a = np.bincount(place[: len(inside)], weights=w_in, minlength=len(values))
    b = np.bincount(place[len(inside) :], weights=w_out, minlength=len(values))
    below = np.cumsum(a)
    passed = int(np.searchsorted(below, PASS * below[-1] - 1e-9))
    return float((b * (below - 0.5 * a)).sum() / (below[-1] * b.sum())), float(b[: passed + 1].sum() / b.sum())


@dataclass(frozen=True)
class Prompt:
    """A prompt that no domain should take. ``split`` is dev (a score may be chosen on it), held (reported on) or empty."""

    text: str
    lang: str = ""
    kind: str = ""
    split: str = ""


def read_prompts(path: Path) -> tuple[list[Prompt], list[Refusal]]:
    """Unlabelled prompts from a JSONL file (prompt, text …; lang, kind, split if there are). InputError if none can be used."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; a JSONL file of out-of-domain prompts was expected.", "Name one file.")
    good: list[Prompt] = []
    bad: list[Refusal] = []
    for number, value in jsonl_lines(path):
        where = f"{path.name}:{number}"
        text = None if isinstance(value, str) else text_of(value)
        problem = value if isinstance(value, str) else "no prompt: expected a field prompt or text" if text is None else fault(text)
        if problem:
            bad.append(Refusal(where, problem))
        else:
            good.append(Prompt(text, *(str(value.get(key) or "") for key in ("lang", "kind", "split"))))
    if not good:
        first = f" ({bad[0].where}: {bad[0].reason})" if bad else ""
        raise InputError(f"{path} holds no usable prompt{first}.", 'One JSON object a line: {"prompt": …}.')
    return good, bad


def in_domain(router: Router, rows: Sequence[Row], taxonomy: Taxonomy) -> tuple[list[Row], dict[str, int]]:
    """The rows that the router should take, and the count of those whose domain the taxonomy knows and the router does not."""
    placed, _ = place_labels(router, rows, taxonomy)
    foreign = [place < 0 and taxonomy.canonical(row.domain) in taxonomy.by_name for row, place in zip(rows, placed, strict=True)]
    count = Counter(row.domain for row, one in zip(rows, foreign, strict=True) if one)
    return [row for row, one in zip(rows, foreign, strict=True) if not one], dict(sorted(count.items()))


def check_sides(inside: Sequence[Row], outside: Sequence[Prompt]) -> None:
    """InputError if a side is too small or a prompt stands on both."""
    for name, n in (("in-domain", len(inside)), ("out-of-domain", len(outside))):
        if n < FEWEST:
            raise InputError(f"There are {n} {name} prompts; under {FEWEST} nothing can be said.", "Give more.")
    ids = {row.id for row in inside}
    both = [one.text for one in outside if text_id(one.text) in ids]
    if both:
        raise InputError(
            f"{len(both)} prompts are given as in-domain and as out-of-domain, first '{both[0][:60]}'.", "Keep each on one side."
        )


def ood_report(
    router: Router, detectors: Sequence[OodDetector], encoder: Encoder, inside: Sequence[Row], outside: Sequence[Prompt],
    vectors_in: np.ndarray, vectors_out: np.ndarray,
) -> dict[str, Any]:  # fmt: skip
    """Every score on (n, D) in-domain and (m, D) out-of-domain vectors, as JSON. ``detectors`` are fitted on training rows."""
    sides = []
    for vectors, prompts in ((vectors_in, inside), (vectors_out, outside)):
        logits = router.logits(vectors, [one.text for one in prompts])
        sides.append(logit_scores(logits, router.claimed(logits)) | {one.name: one.score(vectors) for one in detectors})
    scores = {name: separation(sides[0][name], sides[1][name]) for name in sides[0]}
    best = max(scores, key=lambda name: scores[name]["auroc"])
    low, high = scores[best]["auroc_interval"]
    caught = sides[1][best] > passing_threshold(sides[0][best])
    kinds = np.asarray([one.kind for one in outside])
    return {
        "router": router.name, "router_sha256": router.sha256, "in_sha256": corpus_sha256(inside),
        "out_sha256": sha256_bytes(canonical(sorted(text_id(one.text) for one in outside))),
        "encoder_id": encoder.id, "precision": encoder.precision, "n_in": len(inside), "n_out": len(outside), "scores": scores, "best": best,
        "caught_by_kind": {
            str(kind): {"n": int((kinds == kind).sum()), "caught": float(caught[kinds == kind].mean())} for kind in sorted(set(kinds)) if kind
        },
        "sentence": f"On these prompts {best} separates best: AUROC {scores[best]['auroc']:.3f} [{low:.3f}, {high:.3f}]; when 95 % of in-domain "
        f"prompts pass, {scores[best]['fpr95']:.0%} of the out-of-domain ones pass too. Chosen here, it has to be confirmed on other prompts.",
    }  # fmt: skip


def fit_detector(
    router: Router, rows: Sequence[Row], splits: Sequence[str], vectors: np.ndarray, taxonomy: Taxonomy, name: str = DEFAULT_SCORE
) -> OodDetector:
    """A detector for what ``router`` knows: fitted on train-side rows of its domains, its threshold on validation-side ones."""
    placed, _ = place_labels(router, rows, taxonomy)
    kept = np.flatnonzero(placed >= 0)
    labels, side = placed[kept], np.asarray(splits)[kept]
    if "train" not in side or "valid" not in side:
        raise InputError(
            f"No row of the shipped corpus has a domain of router {router.name}.", "Out-of-domain scores need its kind of prompts."
        )
    train, valid = side == "train", side == "valid"
    return OodDetector(name).fit(vectors[kept[train]], labels[train]).calibrate(vectors[kept[valid]])
