"""Which rule judges an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab.benchmark.scoring import choice, code, coverage, latex, number, overlap
from lab.benchmark.scoring.contract import Score

BY_METRIC: dict[str, Callable[[str, str], Score]] = {
    "gsm8k": number.score, "math": latex.score, "f1_score": overlap.f1, "f1": overlap.f1, "cem": overlap.cem,
    "commongen_coverage": coverage.score,
}  # fmt: skip


LONGEST = 50_000
"""Characters of an answer that are judged: its first tenth of this and the rest from its end, where answers stand."""


def score(query: str, response: str, truth: Any, metric: str | None = None, choices: Any = None, run_code: bool = False) -> Score:
    """The best score over several true answers (a list). Without a true answer there is no score, rather than an invented one."""
    name = (metric or "").strip().lower()
    response = answered(response)
    if len(response) > LONGEST:
        response = response[: LONGEST // 10] + "\n" + response[-LONGEST * 9 // 10 :]
    if name == "code_eval":
        return code.score(query, response, truth, run_code)
    truths = [str(one) for one in (truth if isinstance(truth, list) else [truth]) if one is not None and str(one).strip()]
    if not truths:
        return Score(None, "no ground truth", "Nothing to compare with.")
    return max((_one(response, one, metric, name, choices) for one in truths), key=lambda found: found.value or 0.0)


def answered(response: str) -> str:
    """What follows the last ``</think>`` of a reasoning model: what it considered on the way is not its answer. All of it where nothing follows."""
    after = response.rpartition("</think>")[2]
    return after if after.strip() else response


def _one(response: str, truth: str, metric: str | None, name: str, choices: Any) -> Score:
    if response.strip() and response.strip().lower() == truth.strip().lower():
        return Score(1.0, "exact match", "The answer is the ground truth.")
    if not response.strip():
        return Score(0.0, "empty answer", "The model answered nothing.")
    if choice.is_choice(metric, choices):
        return choice.score(response, truth, choices)
    found = BY_METRIC.get(name, overlap.cem)(response, truth)
    if name and name not in BY_METRIC:
        return Score(found.value, f"{found.rule} (metric {metric!r:.30} is not known)", found.explanation)
    return found
