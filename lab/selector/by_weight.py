"""The honest table at every weight of quality: nothing is trained again, each row keeps its n and its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lab.selector.contract import LabSelector
from lab.selector.held_out import SWEEP, Part, _prepared, best_by_category, best_single, mark_frontier
from lab.selector.judge import Strategy, always, fixed_strategies, judge
from lab.selector.table import OutcomeTable
from lab.selector.utility import Utility


def tables_by_weight(
    table: OutcomeTable, x: np.ndarray, part: Part, utility: Utility, weights: Sequence[float] = SWEEP, seed: int = 0
) -> list[dict[str, Any]]:
    """quality_weight, best_single and rows (as of :func:`lab.selector.judge.judge`) per weight; [] where quality is all that is known.

    Best single model and domain oracle are chosen anew at each weight, on the training queries. A compatible form cannot be weighed after
    its training: its picks stay.
    """
    utility = utility.for_cells(table.cells)
    if len(utility.parts) < 2:
        return []
    asked, tested = x[part.test], table.rows(part.test)
    seen = part.train if len(part.train) else part.test
    scores = [_prepared(one.selector, asked) if isinstance(one.selector, LabSelector) else None for one in part.chosen]
    fixed = [None if score else one.selector.predict(asked) for one, score in zip(part.chosen, scores, strict=True)]
    out = []
    for weight in weights:
        at = utility.at(weight)
        single = best_single(table, seen, at)
        chosen = Part(part.train, part.test, [], single, best_by_category(table, seen, at))
        strategies = fixed_strategies(tested.cells, table.models, chosen.domain(tested.categories))
        strategies[2:2] = [
            Strategy.of_picks(one.name, "selector", score(at).argmax(1) if score else stays, len(table.models))
            for one, score, stays in zip(part.chosen, scores, fixed, strict=True)
        ]
        rows = judge(tested.cells, table.models, strategies, np.full(len(tested), single), at, seed)
        out.append({"quality_weight": float(weight), "best_single": table.models[single], "rows": [short(row.to_json()) for row in rows]})
    return out


def short(value: Any) -> Any:
    """Six decimals are more than any figure here is known to."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: short(one) for key, one in value.items()}
    return [short(one) for one in value] if isinstance(value, list) else value


def points(tables: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """strategy, kind, quality_weight, quality with its interval, latency_s, cost_usd, n and ``on_frontier``, of the learnt strategies at each
    weight and, once, of each single model; "Best single" is the model that each weight chose."""
    out = []
    for place, one in enumerate(tables):
        for row in one["rows"]:
            named = {key: row[key] for key in ("strategy", "kind", "quality", "quality_low", "quality_high", "latency_s", "cost_usd", "n")}
            if row["kind"] in ("selector", "domain"):
                out.append(named | {"quality_weight": one["quality_weight"]})
            if row["kind"] == "single" and place == 0:
                out.append(named | {"quality_weight": None})
            if row["strategy"] == always(one["best_single"]):
                out.append(named | {"strategy": "Best single", "kind": "best", "quality_weight": one["quality_weight"]})
    return mark_frontier(out)
