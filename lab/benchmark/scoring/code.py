"""code_eval: the share of assertions that pass, run apart from everything (see sandbox.py). Off unless it is enabled."""

from __future__ import annotations

import ast
import re
from typing import Any

from lab.benchmark.sandbox import run_assertions
from lab.benchmark.scoring.contract import Score, shown

FENCE = re.compile(r"```[ \t]*([A-Za-z0-9_+-]*)[^\n]*\n(.*?)(?:```|\Z)", re.DOTALL)
MOST_LINES = 400
PYTHON = ("", "python", "py", "python3")


def extract(response: str) -> str:
    """The Python of an answer: its fenced blocks, joined; without fences, the longest stretch of lines that parses and defines something."""
    blocks = [body for language, body in FENCE.findall(response) if language.lower() in PYTHON]
    good = [body for body in blocks if _parses(body)]
    if blocks:
        return "\n\n".join(good or blocks)
    lines = response.split("\n")[:MOST_LINES]
    starts = [place for place, line in enumerate(lines) if re.match(r"(?:def|class|import|from|async def|@)\s?", line)]
    for end in range(len(lines), 0, -1) if starts else ():
        candidate = "\n".join(lines[starts[0] : end])
        if _parses(candidate):
            return candidate
    return response


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def tests(truth: Any) -> str:
    """The assertions as one Python text; a list (or its text) is one assertion an item. Empty if there are none."""
    if isinstance(truth, str) and truth.strip().startswith("["):
        try:
            truth = ast.literal_eval(truth.strip())
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return ""
    text = "\n".join(str(one) for one in truth) if isinstance(truth, list) else str(truth or "")
    return text if _parses(text) and any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(text))) else ""


def score(query: str, response: str, truth: Any, enabled: bool) -> Score:
    found = tests(truth)
    if not found:
        return Score(None, "code_eval: no assertions", "The ground truth has no assertions that can be read.")
    if not enabled:
        return Score(None, "code_eval is off", "Enable it to run the models' code in a sandbox.")
    code = extract(response)
    if not _parses(code):
        return Score(0.0, "code_eval: no code", "The answer holds no Python that parses.")
    result = run_assertions(code, found)
    if result.total == 0:
        return Score(0.0, f"code_eval: {result.ended}", shown(result.detail, 200))
    return Score(result.passed / result.total, f"code_eval: {result.ended}", f"{result.passed} of {result.total} assertions hold. {shown(result.detail, 200)}".strip())
