"""MATH: the last \\boxed{} of an answer, compared after LaTeX normalisation (as Hendrycks et al. 2021, and further)."""

from __future__ import annotations

import re

from lab.benchmark.scoring.contract import Score, shown

BOX = re.compile(r"\\(?:boxed|fbox)\b\s*")
UNITS = (
    r"(?:cm|mm|km|m|inches|inch|in|feet|foot|ft|miles|yards|kg|g|mg|liters?|litres?|ml|seconds?|sec|s|minutes?|min|hours?|hrs?|h|days?|years?|"
    r"degrees?|dollars?|cents?|units?|square units?|points?|percent|people|students)"
)
SIGNS = str.maketrans({
    "\u2212": "-", "\n": " ", "π": "\\pi ", "∞": "\\infty ", "×": "\\times ", "·": "\\cdot ", "≤": "\\leq ", "≥": "\\geq ", "≠": "\\neq ", "±": "\\pm ", "∪": "\\cup ", "∈": "\\in ",
})  # fmt: skip
FIRST_LONG, MOST_BOXES = 5_000, 20


def boxed(text: str) -> str | None:
    """What the last box holds, braces matched; None without a complete one. ``\\boxed 5`` holds the next word."""
    for start in list(BOX.finditer(text))[: -MOST_BOXES - 1 : -1]:
        rest = text[start.end() :]
        if not rest.startswith("{"):
            word = re.match(r"[^\s$]+", rest)
            if word:
                return word[0].rstrip(".,;")
            continue
        depth = 0
        for place, sign in enumerate(rest[:FIRST_LONG]):
            escaped = place > 0 and rest[place - 1] == "\\"
            depth += (sign == "{" and not escaped) - (sign == "}" and not escaped)
            if depth == 0:
                return rest[1:place]
    return None


def normalise(text: str) -> str:
    """One spelling for what is written in many: fractions, sizes, spaces, units, decimals, "x =". Not algebra."""
    text = re.sub(r"^\\[(\[]|\\[)\]]$", "", text.strip()).strip().strip("$").translate(SIGNS)
    # \\\\ ends a matrix' row; elsewhere it is a backslash escaped twice
    text = re.sub(r"\\\\\s+", r"\\\\", text) if "\\begin" in text else text.replace("\\\\", "\\")
    inner = boxed(text)
    text = inner if inner is not None else text
    text = re.sub(r"\\(?:left|right|big|Big|bigg|Bigg|displaystyle|limits)(?![a-zA-Z])\.?", "", text)
    text = re.sub(r"\\[,;:!]|\\(?:quad|qquad)\b|\\ |~", "", text)
    text = re.sub(r"\\[dtc]frac", r"\\frac", text).replace("½", "\\frac{1}{2}").replace("¼", "\\frac{1}{4}").replace("¾", "\\frac{3}{4}")
    text = re.sub(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ)|°|\\(?:degree|percent)\b", "", text)
    text = re.sub(r"(?<=\S)\s*\\(?:text|mbox|mathrm|textrm)\s*\{[^{}]*\}(?:\^\{?\d\}?)?\s*$", "", text)
    text = re.sub(r"\\(?:text|mbox|mathrm|textrm|textbf|mathbf|mathbb)\s*\{([^{}]*)\}", r"\1", text)
    text = text.replace("\\%", "").replace("%", "").replace("\\$", "").replace("$", "").replace("{,}", ",")
    text = re.sub(rf"(?<=\d)\s*{UNITS}(?:\^\{{?\d\}}?)?\.?\s*$", "", text)
    text = re.sub(r"\\(l|g|n)e(?![a-zA-Z])", r"\\\1eq", text)
    text = re.sub(r"\s+", "", text).rstrip(".")
    text = re.sub(r"^[a-zA-Z](?:=|\\in(?![a-zA-Z]))(?=.)", "", text)
    text = re.sub(r"^\{([^{}\\]*)\}$", r"\1", text)
    text = re.sub(r"^\(([A-Z])\)$", r"\1", text)
    text = text.casefold() if re.fullmatch(r"[A-Za-z]{3,}", text) else text
    text = re.sub(r"^(-?)([a-zA-Z]|\d+)/([a-zA-Z]|\d+)$", r"\1\\frac{\2}{\3}", text)
    text = re.sub(r"\\frac(\d)(\d)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\frac(\d)\{", r"\\frac{\1}{", text)
    text = re.sub(r"(\\frac\{[^{}]*\})(\d)", r"\1{\2}", text)
    text = re.sub(r"\\sqrt(\w)", r"\\sqrt{\1}", text)
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text) if re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", text) else text
    text = re.sub(r"(?<![\d.])\.(?=\d)", "0.", text)
    text = re.sub(r"^\\frac\{-", r"-\\frac{", text)
    return re.sub(r"\^\{(\w)\}", r"^\1", text)


def score(response: str, truth: str) -> Score:
    wanted = boxed(truth)
    wanted = truth if wanted is None else wanted
    given, where = _given(response)
    if given is None:
        return Score(0.0, "MATH: no answer found", "Neither \\boxed{} nor a stated answer.")
    if normalise(given) == normalise(wanted):
        return Score(1.0, "MATH", f"{where}: {shown(given)}; the same as {shown(wanted)}.")
    if _equal_numbers(normalise(given), normalise(wanted)):
        return Score(1.0, "MATH: equal numbers", f"{where}: {shown(given)}; equal to {shown(wanted)}.")
    return Score(0.0, "MATH", f"{where}: {shown(given)}; wanted {shown(wanted)}.")


def _given(response: str) -> tuple[str | None, str]:
    box = boxed(response)
    if box is not None:
        return box, "in the last \\boxed{}"
    response = re.sub(r"\\[()\[\]]", "$", response)
    stated = re.findall(r"(?i)(?:answer|réponse|antwort)\s*(?:is|est|ist|:|=)+\s*:?\s*([^\n]+)", response)
    if stated:
        dollars = re.findall(r"\$([^$]+)\$", stated[-1])
        return (dollars[-1] if dollars else re.sub(r"[*`]+", "", stated[-1]).strip().rstrip(".")), "stated as the answer"
    dollars = re.findall(r"\$\$?([^$]+)\$", response)
    if dollars:
        return dollars[-1].rsplit("=", 1)[-1], "the last formula"
    lines = [line.strip() for line in response.split("\n") if line.strip()]
    return (lines[-1].rsplit("=", 1)[-1].strip(), "the last line") if lines and len(lines[-1]) <= 120 else (None, "")


def _equal_numbers(one: str, other: str) -> bool:
    from lab.benchmark.scoring.number import prepared, readings, same

    read = [readings(re.sub(r"^(-?)\\frac\{(-?\d+)\}\{(\d+)\}$", r"\1\2/\3", prepared(text))) for text in (one, other)]
    return any(same(x, y) for x in read[0] for y in read[1])
