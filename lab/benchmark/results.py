"""Quality, latency and cost of answers by model and category, with n and intervals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lab.evaluation.intervals import bootstrap, wilson

ALL = "all"


def summary(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """``by_model``: one line a model; ``by_category``: one a model and category; ``shared``: queries with a score from each of the
    ``compared`` models, those with any score.

    Models that answered other queries are compared on the shared ones alone (``quality_shared``).
    """
    cells: dict[str, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    scored: dict[str, dict[str, float]] = defaultdict(dict)
    for row in rows:
        slim = (row.get("performance"), row.get("response_time"), row.get("cost"), row.get("time_to_first_token_s"), row.get("status") == "failed")
        cells[row["model_name"]][str(row.get("category") or "–")].append(slim)
        if slim[0] is not None and not slim[4]:
            scored[row["model_name"]][row["query"]] = slim[0]
    models = sorted(cells)
    compared = [set(found) for found in scored.values() if found]
    shared = set.intersection(*compared) if compared else set()
    by_model, by_category = [], []
    for name in models:
        line = _line([cell for group in cells[name].values() for cell in group]) | {"model": name}
        both = [value for query, value in scored.get(name, {}).items() if query in shared]
        by_model.append(line | {"quality_shared": float(np.mean(both)) if both else None})
        by_category += [_line(group) | {"model": name, "category": category} for category, group in sorted(cells[name].items())]
    return {"by_model": sorted(by_model, key=lambda one: -(one["quality"] or 0.0)), "by_category": by_category, "shared": len(shared), "compared": len(compared)}


def _line(cells: Sequence[tuple]) -> dict[str, Any]:
    answered = [cell for cell in cells if not cell[4]]
    quality, latency, cost, first = (np.array([cell[place] for cell in answered if cell[place] is not None], dtype=np.float64) for place in range(4))
    low, high = interval(quality)
    return {
        "answers": len(answered), "failed": len(cells) - len(answered), "n": len(quality),
        "quality": _mean(quality), "low": low, "high": high,
        "latency_s": _mean(latency), "latency_p50_s": _quantile(latency, 0.5), "latency_p95_s": _quantile(latency, 0.95), "first_token_s": _mean(first),
        "cost_usd": float(cost.sum()) if len(cost) else None, "costed": len(cost),
    }  # fmt: skip


def interval(values: np.ndarray) -> tuple[float | None, float | None]:
    """95 % interval of the mean of (n,) scores in [0, 1]: Wilson where all are 0 or 1, percentile bootstrap else; None below two scores."""
    if len(values) < 2:
        return None, None
    if np.isin(values, (0.0, 1.0)).all():
        return wilson(int(values.sum()), len(values))
    low, high = bootstrap(len(values), lambda weights: weights @ values / len(values))
    return float(low), float(high)


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def _quantile(values: np.ndarray, share: float) -> float | None:
    return float(np.quantile(values, share)) if len(values) else None
