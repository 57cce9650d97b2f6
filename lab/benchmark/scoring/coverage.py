"""CommonGen: how many of the words asked for were used."""

from __future__ import annotations

import re

from lab.benchmark.scoring.contract import Score, shown


def score(response: str, truth: str) -> Score:
    """Share of the comma-separated words that start a word of the answer, so that "reports" covers "report"."""
    wanted = list(dict.fromkeys(word.strip().casefold() for word in truth.split(",") if word.strip()))
    missing = [word for word in wanted if not re.search(rf"(?<!\w){re.escape(word)}", response.casefold())]
    if not wanted:
        return Score(None, "coverage: no words", "The ground truth names no word.")
    text = f"{len(wanted) - len(missing)} of {len(wanted)} words" + (f"; missing: {shown(', '.join(missing))}" if missing else "")
    return Score(1 - len(missing) / len(wanted), "coverage", text + ".")
