"""GSM8K: the final number of an answer, compared as a number. English, French and German ways of writing one."""

from __future__ import annotations

import re
from fractions import Fraction

from lab.benchmark.scoring.contract import Score, shown
from lab.benchmark.scoring.latex import boxed

SPACES = "\u00a0\u202f\u2009"
GLYPHS = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅛": "1/8"}
NUMBER = re.compile(
    rf"""(?<![\w.,/])[-+]?(?:[$€£¥]\s?)?[-+]?
    (?:\d{{1,3}}(?:[ {SPACES}'’]\d{{3}})+(?:[.,]\d+)?   # 1 234,50  1'234.50
     |\d+(?:[.,]\d+)*|[.,]\d+)
    (?:[eE][-+]?\d+)?(?:\s?/\s?\d+(?![\d/]))?(?![\d])""",
    re.VERBOSE,
)
STATED = re.compile(r"(?i)(?:answer|réponse|antwort|respuesta|result|résultat|total)\b[^\d\n]{0,40}?(?:is|est|ist|es|:|=)\s*[^\d\n]{0,12}?(?=[-+]?[$€£]?\s?[\d.,])")
TEN = re.compile(r"(?<![\d.,])(?:(\d+(?:[.,]\d+)?)\s?(?:×|x|\*|\\times|\\cdot)\s?)?10\s?\^\s?\{?\s?(-?\d{1,3})\s?\}?")
TOLERANCE = 1e-6


def readings(text: str) -> set[Fraction]:
    """What a written number can mean: usually one value, two where a separator may be of thousands or of decimals ("1,234")."""
    text = re.sub(rf"[$€£¥ {SPACES}'’+]", "", text)
    top, _, below = text.partition("/")
    if below:
        return {one / int(below) for one in readings(top)} if below.isdigit() and int(below) else set()
    match = re.fullmatch(r"(-?)([\d.,]*\d)(?:[eE]([-+]?\d{1,3}))?", top)
    if not match:
        return set()
    sign, digits, power = match.groups()
    scale = Fraction(-1 if sign else 1) * Fraction(10) ** int(power or 0)
    return {scale * one for one in _readings(digits)}


def _readings(digits: str) -> set[Fraction]:
    points, commas = digits.count("."), digits.count(",")
    if points and commas:  # the last sign is the decimal one
        decimal = "." if digits.rfind(".") > digits.rfind(",") else ","
        other = "," if decimal == "." else "."
        return {Fraction(digits.replace(other, "").replace(decimal, "."))} if digits.count(decimal) == 1 else set()
    sign = "." if points else ","
    if points + commas == 0:
        return {Fraction(digits)}
    groups = digits.split(sign)
    thousands = all(len(group) == 3 for group in groups[1:]) and 1 <= len(groups[0]) <= 3 and groups[0] != "0"
    if len(groups) > 2:
        return {Fraction(digits.replace(sign, ""))} if thousands else set()
    decimal = Fraction("0" * (not groups[0]) + digits.replace(sign, "."))
    return {decimal, Fraction(digits.replace(sign, ""))} if thousands else {decimal}


def same(one: Fraction, other: Fraction) -> bool:
    return abs(one - other) <= TOLERANCE * max(1, abs(other))


def prepared(text: str) -> str:
    """Minus signs, fraction glyphs, LaTeX commas, bold marks and thin spaces made plain."""
    text = text.replace("\u2212", "-").replace("\u2013", "-").replace("{,}", ",").replace("\\,", "\u202f").replace("\\$", "$").replace("\\!", "")
    text = re.sub(r"(?<![\d.,])(\d{1,9})\s?\\[dt]?frac\s*\{\s*(\d{1,9})\s*\}\s*\{\s*(\d{1,9})\s*\}", lambda found: _mixed(found[1], f"{found[2]}/{found[3]}"), text)
    text = re.sub(r"\\[dt]?frac\s*\{\s*(-?\d+)\s*\}\s*\{\s*(\d+)\s*\}", r"\1/\2", text)
    text = re.sub(r"(?<![\d.,/])(\d{1,9}) (\d{1,3}/\d{1,3})(?![\d/])", lambda found: _mixed(found[1], found[2]), text)
    text = TEN.sub(lambda found: f"{found[1] or '1'}e{found[2]}", text)
    for glyph, plain in GLYPHS.items():
        text = re.sub(rf"(\d+)\s?{glyph}", lambda found, plain=plain: _mixed(found[1], plain), text).replace(glyph, plain)
    return re.sub(r"[*_`]+", "", text)


def _mixed(whole: str, part: str) -> str:
    """A whole number and a proper fraction; anything else stays as it is."""
    top, below = part.split("/")
    if int(top) >= int(below):
        return f"{whole} {part}"
    return f"{int(whole) * int(below) + int(top)}/{below}"


def final(text: str) -> tuple[str | None, str]:
    """(the final number as written, where it was found)."""
    if "####" in text:
        after = _numbers(text.rsplit("####", 1)[1])
        if after:
            return after[0], "after ####"
    box = boxed(text)
    if box is not None and (inside := _numbers(prepared(box))):
        return inside[-1], "in the last \\boxed{}"
    plain = prepared(text)
    stated = list(STATED.finditer(plain))
    if stated and (after := _numbers(plain[stated[-1].end() :].split("\n", 1)[0])):
        return after[0], "stated as the answer"
    found = _numbers(plain)
    return (found[-1], "the last number") if found else (None, "no number in it")


def _numbers(text: str) -> list[str]:
    return [one for one in (found[0].strip() for found in NUMBER.finditer(prepared(text))) if readings(one)]


def score(response: str, truth: str) -> Score:
    wanted, _ = final(truth)
    if wanted is None:
        return Score(None, "GSM8K: no number in the ground truth", f"The ground truth is {shown(truth)!r}.")
    given, where = final(response)
    if given is None:
        return Score(0.0, "GSM8K: no number", "No number in the answer.")
    right = any(same(one, other) for one in readings(given) for other in readings(wanted))
    return Score(float(right), "GSM8K", f"{where}: {given}; wanted {wanted}.")
