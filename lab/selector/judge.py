"""Picks against outcomes: the honest table (spec selectors.md §7), with paired bootstrap intervals over queries."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from lab.selector.table import Cells
from lab.selector.utility import Utility

REPEATS = 1_000
FEWEST = 10
"""Queries below which no interval is given: resampling so few says nothing about those that were not asked."""
ORACLE, DOMAIN, RANDOM = "Oracle", "Domain oracle", "Random"


def always(model: str) -> str:
    return f"Always {model}"


@dataclass(frozen=True)
class Strategy:
    """``share`` (n, M): the probability with which each model is picked. ``kind``: oracle, domain, selector, single or random."""

    name: str
    kind: str
    share: np.ndarray

    @classmethod
    def of_picks(cls, name: str, kind: str, picks: np.ndarray, models: int) -> Strategy:
        return cls(name, kind, np.eye(models)[picks])


@dataclass(frozen=True)
class Row:
    """One line of the table. Means over the queries whose outcome is known (``n``; ``missing`` are not); ``gain`` is over the best single model,
    paired; ``regret`` is the oracle's quality minus this one's on the same queries; None where the data does not say."""

    strategy: str
    kind: str
    quality: float | None
    quality_low: float | None
    quality_high: float | None
    latency_s: float | None
    cost_usd: float | None
    best_model_share: float | None
    regret: float | None
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    utility: float | None = None
    n: int = 0
    missing: int = 0
    picks: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def fixed_strategies(cells: Cells, models: Sequence[str], domain: np.ndarray) -> list[Strategy]:
    """Oracle (best quality, then least latency, then least cost), domain oracle from its picks (n,), each single model, random's expectation."""
    n, count = cells.quality.shape
    known = cells.observed
    order = np.lexsort([
        np.nan_to_num(cells.cost_usd, nan=np.inf), np.nan_to_num(cells.latency_s, nan=np.inf), -np.nan_to_num(cells.quality, nan=-1.0)
    ], axis=1)  # fmt: skip
    out = [Strategy.of_picks(ORACLE, "oracle", order[:, 0], count), Strategy.of_picks(DOMAIN, "domain", domain, count)]
    out += [Strategy.of_picks(always(name), "single", np.full(n, place), count) for place, name in enumerate(models)]
    return [*out, Strategy(RANDOM, "random", known / np.maximum(known.sum(1, keepdims=True), 1))]


def resamples(n: int, seed: int, repeats: int = REPEATS) -> Iterator[np.ndarray]:
    """Blocks (b, n) of how often each query is drawn, ``repeats`` in all."""
    random = np.random.default_rng(seed)
    size = max(1, min(repeats, 4_000_000 // max(n, 1)))
    for start in range(0, repeats, size):
        drawn = random.integers(0, n, (min(size, repeats - start), n))
        drawn += n * np.arange(len(drawn))[:, None]
        yield np.bincount(drawn.ravel(), minlength=drawn.size).reshape(len(drawn), n).astype(np.float64)


def intervals(values: np.ndarray, seed: int = 0, level: float = 0.95, repeats: int = REPEATS) -> tuple[np.ndarray, np.ndarray]:
    """Percentile bootstrap bounds of the column means of (n, S), NaN left out; the same draws for every column, so they are paired.

    NaN for a column with fewer than FEWEST known values.
    """
    known = ~np.isnan(values)
    filled_in = np.where(known, values, 0.0)
    draws = []
    for weight in resamples(len(values), seed, repeats):
        count = weight @ known
        draws.append(np.where(count > 0, (weight @ filled_in) / np.maximum(count, 1), np.nan))
    edge = 50 * (1 - level)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without any known value has no bounds
        low, high = np.nanpercentile(np.concatenate(draws), [edge, 100 - edge], axis=0)
    enough = known.sum(0) >= FEWEST
    return np.where(enough, low, np.nan), np.where(enough, high, np.nan)


def quality_intervals(values: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """:func:`intervals` of qualities in [0, 1]; where all n are equal the other side is 3/n away (rule of three, Hanley 1983), not 0."""
    low, high = intervals(values, seed)
    margin = np.where(low == high, 3 / np.maximum((~np.isnan(values)).sum(0), 1), 0.0)
    return np.clip(low - margin, 0, 1), np.clip(high + margin, 0, 1)


def judge(
    cells: Cells, models: Sequence[str], strategies: Sequence[Strategy], single: np.ndarray, utility: Utility, seed: int = 0
) -> list[Row]:
    """A row per strategy, the order kept. ``single`` (n,): the best single model by the training queries, which gains are against."""
    quality = np.stack([expected(one.share, cells.quality) for one in strategies], axis=1)
    others = [np.stack([expected(one.share, values) for one in strategies], axis=1) for values in (cells.latency_s, cells.cost_usd)]
    value = np.stack([expected(one.share, utility.mix(utility.components(cells))) for one in strategies], axis=1)
    top = np.where(cells.observed, cells.quality, -1).max(1)
    base = expected(np.eye(len(models))[single], cells.quality)
    gain, regret = quality - base[:, None], top[:, None] - quality
    low, high = quality_intervals(quality, seed)
    gain_low, gain_high = intervals(gain, seed)
    rows = []
    for place, one in enumerate(strategies):
        known = ~np.isnan(quality[:, place])
        rows.append(Row(
            one.name, one.kind, _mean(quality[:, place]), _known(low[place]), _known(high[place]), *(_mean(other[:, place]) for other in others),
            best_share(cells, one.share, top), _mean(regret[:, place]), _mean(gain[:, place]), _known(gain_low[place]), _known(gain_high[place]),
            _mean(value[:, place]), int(known.sum()), int((~known).sum()), dict(zip(models, one.share.mean(0).round(6).tolist(), strict=True)),
        ))  # fmt: skip
    return rows


def expected(share: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(n,) mean of (n, M) values by the (n, M) shares; NaN where a picked value is unknown."""
    unknown = (share * np.isnan(values)).sum(1) > 0
    return np.where(unknown | (share.sum(1) == 0), np.nan, (share * np.nan_to_num(values)).sum(1))


def best_share(cells: Cells, share: np.ndarray, top: np.ndarray) -> float | None:
    """How often the pick is (one of) the best, over queries that some model answered and whose pick is known; None if there is none."""
    answered = (top > 0) & ((share * ~cells.observed).sum(1) == 0) & (share.sum(1) > 0)
    if not answered.any():
        return None
    best = np.where(cells.observed, cells.quality, -1) >= top[:, None]
    return float((share * best).sum(1)[answered].mean())


def unanswered(cells: Cells) -> int:
    return int((np.where(cells.observed, cells.quality, 0).max(1) <= 0).sum())


def slices(
    cells: Cells, categories: Sequence[str | None], models: Sequence[str], strategies: Sequence[Strategy], single: np.ndarray, seed: int = 0
) -> list[dict[str, Any]]:
    """Per category: n, the model that the domain oracle takes there (most often, over folds), quality of each strategy, and its gain over the
    best single model with an interval."""
    base = expected(np.eye(len(models))[single], cells.quality)
    names = np.asarray([one or "" for one in categories])
    shown = [one for one in strategies if one.kind in ("oracle", "domain", "selector")]
    values = np.stack([expected(one.share, cells.quality) for one in shown] + [base], axis=1)
    domain = next(one.share for one in strategies if one.kind == "domain")
    out = []
    for name in sorted(set(names)):
        at = names == name
        low, high = intervals(values[at] - base[at][:, None], seed)
        out.append({
            "category": name or None, "n": int(at.sum()), "model": models[int(domain[at].sum(0).argmax())], "best_single": _mean(values[at, -1]),
            "strategies": [
                {"strategy": one.name, "quality": _mean(values[at, place]), "gain": _mean(values[at, place] - base[at]),
                 "gain_low": _known(low[place]), "gain_high": _known(high[place])}
                for place, one in enumerate(shown)
            ],
        })  # fmt: skip
    return out


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
