"""What a point of the map is: prompt, label, prediction; how points are grouped by colour, found, and summed up by domain."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lab.corpus.rows import Row
from lab.errors import InputError

if TYPE_CHECKING:
    from lab.evaluation.out_of_fold import Predictions

COLOURINGS = ("Domain", "Predicted", "Right or wrong", "Fixed or broken", "Margin", "Probability", "Language", "Split side", "Part")
NEEDS_PREDICTIONS = ("Predicted", "Right or wrong", "Fixed or broken", "Margin", "Probability")
RIGHT, WRONG, UNJUDGED = "right", "wrong", "label unknown to the router"
FIXED, BROKEN, BOTH_RIGHT, BOTH_WRONG, NO_VERDICT = "fixed", "broken", "right in both", "wrong in both", "label unknown to one of them"
STEPS = (0.1, 0.3, 0.5, 0.8)
BANDS = ("below 10 %", "10–30 %", "30–50 %", "50–80 %", "80 % and more")
LANGUAGES_NAMED = 7
MOST_SAMPLED = 1_000


def tabulate(
    rows: Sequence[Row], sides: Sequence[str], xy: np.ndarray, predictions: Predictions | None = None, other: Predictions | None = None
) -> pd.DataFrame:
    """One line a prompt, in the rows' order: id, prompt, domain, language, side, part, x, y; with ``predictions`` also predicted,
    probability, margin (0..1) and verdict; with ``other`` also change, from the other router to this one.
    """  # fmt: skip
    table = pd.DataFrame(
        {
            "id": [row.id for row in rows], "prompt": [row.text for row in rows], "domain": [row.domain for row in rows],
            "language": [row.lang or "not given" for row in rows], "side": [side or "none" for side in sides],
            "part": [row.part or "not given" for row in rows], "x": xy[:, 0].astype(float), "y": xy[:, 1].astype(float),
        }
    )  # fmt: skip
    if predictions is not None:
        table["predicted"] = np.asarray(predictions.domains, dtype=object)[predictions.predicted]
        table["probability"] = np.round(predictions.probability.astype(float), 3)
        table["margin"] = np.round(predictions.margin.astype(float), 3)
        table["verdict"] = np.where(predictions.known, np.where(predictions.right, RIGHT, WRONG), UNJUDGED)
        if other is not None:
            table["change"] = changes(other, predictions)
    return table


def changes(before: Predictions, after: Predictions) -> np.ndarray:
    """(n,) of str: what happens to each prompt when ``after`` replaces ``before``, each judged in its own labels."""
    named = np.select(
        [~(before.known & after.known), ~before.right & after.right, before.right & ~after.right, before.right],
        [NO_VERDICT, FIXED, BROKEN, BOTH_RIGHT],
        BOTH_WRONG,
    )
    return named.astype(object)


def categories(table: pd.DataFrame, colouring: str) -> tuple[np.ndarray, list[str]]:
    """(n,) int: each point's category, and the names: the frequent first for names, in their own order for verdicts and bands."""
    fixed = {
        "Right or wrong": ("verdict", [RIGHT, WRONG, UNJUDGED]),
        "Fixed or broken": ("change", [BOTH_RIGHT, BOTH_WRONG, FIXED, BROKEN, NO_VERDICT]),
    }
    if colouring in ("Margin", "Probability"):
        return np.digitize(table[colouring.lower()].to_numpy(), STEPS), list(BANDS)
    if colouring in fixed:
        column, names = fixed[colouring]
        return pd.Categorical(table[column], categories=names).codes.astype(int), names
    column = {"Domain": "domain", "Predicted": "predicted", "Language": "language", "Split side": "side", "Part": "part"}.get(colouring)
    if column is None:
        raise InputError(f"The map has no colouring '{colouring}'.", f"Use one of: {', '.join(COLOURINGS)}.")
    counts = table[column].value_counts()
    names = sorted(counts.index, key=lambda name: (-counts[name], name))
    if column == "language" and len(names) > LANGUAGES_NAMED + 1:
        names, rest = names[:LANGUAGES_NAMED], set(names[LANGUAGES_NAMED:])
        column_values = table[column].where(~table[column].isin(rest), f"{len(rest)} others")
        names = [*names, f"{len(rest)} others"]
        return pd.Categorical(column_values, categories=names).codes.astype(int), names
    return pd.Categorical(table[column], categories=names).codes.astype(int), names


def folded(text: str) -> str:
    """``text`` without case and accents: "Câble" and "cable" are the same word to a person who searches."""
    if text.isascii():
        return text.lower()
    return "".join(one for one in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(one))


def contains(folded_texts: Sequence[str], query: str) -> np.ndarray:
    """(n,) bool: which of the already folded texts contain ``query``. An empty query finds all."""
    wanted = folded(query.strip())
    return np.fromiter((wanted in text for text in folded_texts), dtype=bool, count=len(folded_texts))


def domain_places(table: pd.DataFrame) -> pd.DataFrame:
    """One line a domain: prompts, x and y (:func:`densest`), share right where a router judged; most prompts first."""
    groups = table.groupby("domain", sort=True)
    out = pd.DataFrame({"prompts": groups.size()})
    places = np.array([densest(part[["x", "y"]].to_numpy()) for _, part in groups]).reshape(-1, 2)
    out["x"], out["y"] = places[:, 0], places[:, 1]
    if "verdict" in table:
        judged = table[table["verdict"] != UNJUDGED]
        out["right"] = (judged["verdict"] == RIGHT).groupby(judged["domain"]).mean().reindex(out.index)
    return out.sort_values("prompts", ascending=False, kind="stable").reset_index()


def densest(xy: np.ndarray) -> np.ndarray:
    """(2,): the median of the densest quarter of points (n, 2). The median of all lies between two clusters, where nobody is."""
    sample = xy[:: max(1, len(xy) // MOST_SAMPLED)]
    away = np.hypot(*(sample[:, None, :] - sample[None, :, :]).transpose(2, 0, 1))
    k = max(1, len(sample) // 4)
    centre = int(np.partition(away, k - 1, axis=1)[:, k - 1].argmin())
    return np.median(sample[np.argsort(away[centre], kind="stable")[:k]], axis=0)


def apart(xy: np.ndarray, boxes: np.ndarray, rounds: int = 400) -> np.ndarray:
    """(n, 2): places (n, 2) pushed apart until ``boxes`` (n, 2) of width and height around them overlap no more, or rounds are over."""
    out = xy.astype(np.float64).copy()
    size = (boxes[:, None, :] + boxes[None, :, :]) / 2
    for _ in range(rounds):
        gap = out[:, None, :] - out[None, :, :]
        over = size - np.abs(gap)
        touching = (over > 1e-9).all(axis=2)
        np.fill_diagonal(touching, False)
        if not touching.any():
            break
        sideways = over[..., 0] / size[..., 0] < over[..., 1] / size[..., 1]
        order = np.sign(np.arange(len(out))[:, None] - np.arange(len(out))[None, :])
        way = np.where(gap == 0, order[:, :, None], np.sign(gap))
        push = np.where(np.stack([sideways, ~sideways], axis=2) & touching[:, :, None], way * over, 0.0)
        out += 0.3 * push.sum(axis=1)
    return out


def nearest_domains(domains: Sequence[str], vectors: np.ndarray) -> pd.DataFrame:
    """One line a domain: the domain whose centroid is nearest in the encoder's own space, and the cosine of the two.

    This is what distances between clusters on the map cannot tell. ``domains`` n names, ``vectors`` (n, d) of unit length.
    """
    codes, names = pd.factorize(np.asarray(domains, dtype=object), sort=True)
    centroids = np.stack([vectors[codes == one].mean(axis=0) for one in range(len(names))]).astype(np.float64)
    centroids /= np.maximum(np.linalg.norm(centroids, axis=1, keepdims=True), 1e-12)
    cosine = centroids @ centroids.T
    np.fill_diagonal(cosine, -np.inf)
    best = cosine.argmax(axis=1)
    alone = len(names) < 2
    return pd.DataFrame(
        {"domain": names, "nearest": "" if alone else names[best], "cosine": np.nan if alone else cosine[np.arange(len(names)), best]}
    )
