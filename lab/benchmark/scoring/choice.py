"""Multiple choice: which letter an answer chooses, in English, French, German or Spanish wording."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from lab.benchmark.scoring.contract import Score, shown
from lab.benchmark.scoring.latex import boxed

LETTERS = "ABCDEFGHIJ"
_LETTER = r"[\s:=*_\"'`(\[{$]*(?:\\(?:text|mathrm|textbf|mathbf)\s*\{\s*)?([A-J])(?![A-Za-z0-9'’+#/&])"
_NOUN = r"(?:final answer|correct answer|best answer|right answer|answer|correct option|correct choice|option|choice|bonne réponse|réponse|reponse|choix|antwort|lösung|respuesta|opción)"
_IS = r"(?:\s*(?:is|are|would be|must be|should be|est|serait|ist|lautet|wäre|es|:|=|→|->))*"
_LABELS = r"(?:\s*(?:the\s+|la\s+|die\s+|l['’])?(?:option|choice|letter|lettre|answer|réponse|antwort|buchstabe))?"
SMALL = re.compile(rf"(?i:\b{_NOUN}\b[*_`]*{_IS}{_LABELS})[\s:=*_\"'`(\[]*(?<![A-Za-z'’])([a-j])(?=[\s)\].*_\"'`]*(?:$|[.,;:!\n]))", re.MULTILINE)
"""As MARKED, in small letters: only where nothing follows, for "a" is a word."""
MARKED = re.compile(rf"(?i:\b{_NOUN}\b[*_`]*{_IS}{_LABELS}){_LETTER}")
CONCLUDED = re.compile(rf"(?i:\b(?:so|therefore|thus|hence|choose|pick|select|i'd say|donc|je choisis|also|daher)\b,?(?:\s+(?:it is|it's|it must be|c'est|the answer is|is))?{_LABELS}){_LETTER}")
VERDICT = re.compile(r"(?i:\b(?:option|choice)?)\s*[*_(\[]*([A-J])[)\]*_.:]*\s+(?i:is|est|ist)\s+(?i:the\s+|la\s+|die\s+)?(?i:correct|right|bonne|juste|richtig|best|true)\b")
OPENING = re.compile(r"^[\s*_(\[\"'`]*([A-J])(?:[\s*_\"'`]*$|[)\].:*_]+(?:\s|$)|\s*[-–—]\s)", re.MULTILINE)
ALONE = re.compile(r"(?<![A-Za-z0-9'’])([A-J])(?![A-Za-z0-9'’+#])")
ARTICLE = re.compile(r"(?<![A-Za-z0-9'’])(?:A|I)(?=\s+[a-zà-ÿ])")
NEGATED = re.compile(r"(?i)\b(?:not|isn't|n'est pas|nicht|no)\s*$")


def is_choice(metric: str | None, choices: Any) -> bool:
    """A stated metric counts; without one, choices make a question multiple choice."""
    name = (metric or "").strip().lower()
    return name == "em_mc" or (not name and bool(choices))


def options(choices: Any) -> dict[str, str]:
    """Letter → text, from a list, {"text": […], "labels": […]}, a text of either, lines, or a comma-separated text. Empty if unreadable."""
    if isinstance(choices, str):
        choices = _parsed(choices.strip())
    if isinstance(choices, dict):
        texts, labels = choices.get("text"), choices.get("labels") or choices.get("label")
        if isinstance(texts, list) and isinstance(labels, list) and len(texts) == len(labels):
            labels = [str(one).upper() for one in labels]
            if all(one in LETTERS and len(one) == 1 for one in labels):
                return dict(zip(labels, map(str, texts), strict=True))
            choices = texts
        elif all(len(str(key)) == 1 and str(key).upper() in LETTERS for key in choices):
            return {str(key).upper(): str(value) for key, value in choices.items()}
        else:
            choices = texts if isinstance(texts, list) else []
    if not isinstance(choices, list) or not 0 < len(choices) <= len(LETTERS):
        return {}
    return {letter: re.sub(rf"^\(?{letter}\s*[).:]\s*", "", str(text)).strip() for letter, text in zip(LETTERS, choices, strict=False)}


def _parsed(text: str) -> Any:
    if text[:1] in ("[", "{"):
        for read in (json.loads, ast.literal_eval):
            try:
                return read(text)
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if len(lines) > 1:
        return lines
    return [part.strip() for part in re.split(r"[;|]" if re.search(r"[;|]", text) else ",", text) if part.strip()]


def score(response: str, truth: str, choices: Any = None) -> Score:
    found = options(choices)
    letters = "".join(found) or LETTERS
    wanted = _wanted(truth, found)
    if wanted is None:
        return Score(None, "em_mc: no letter in the ground truth", f"The ground truth {shown(truth)!r} is neither a letter nor one of the choices.")
    given, how = chosen(response, letters, found)
    if given is None:
        return Score(0.0, "em_mc: no choice found", how)
    return Score(float(given == wanted), "em_mc", f"{how}: {given}; wanted {wanted}.")


def _wanted(truth: str, found: dict[str, str]) -> str | None:
    plain = re.fullmatch(r"[\s(\[*\"']*([A-Ja-j])[\s)\].:*\"']*", truth)
    if plain:
        return plain[1].upper()
    same = [letter for letter, text in found.items() if _same(text, truth)]
    if len(same) == 1:
        return same[0]
    start = re.match(r"\s*\(?([A-J])\s*[).:]\s", truth)
    return start[1] if start else None


def _same(one: str, other: str) -> bool:
    return " ".join(one.split()).strip(" .").casefold() == " ".join(other.split()).strip(" .").casefold()


def chosen(response: str, letters: str, found: dict[str, str]) -> tuple[str | None, str]:
    """(letter or None, what it was told by). Explicit statements first, the last of them counts: models correct themselves."""
    box = boxed(response)
    if box is not None:
        inside = ALONE.findall(re.sub(r"\\[a-z]+", " ", box))
        if len(set(inside)) == 1 and inside[0] in letters:
            return inside[0], "the last \\boxed{}"
    for pattern, how in ((MARKED, "stated as the answer"), (VERDICT, "called correct"), (CONCLUDED, "concluded")):
        said = [one[1] for one in pattern.finditer(response) if one[1] in letters and not _article(response, one.start(1)) and not NEGATED.search(response[: one.start(1)])]
        if said:
            return said[-1], how if len(set(said)) == 1 else f"{how} last, after {', '.join(dict.fromkeys(said[:-1]))}"
    begun = [letter for letter in OPENING.findall(response) if letter in letters]
    if len(set(begun)) == 1:
        return begun[0], "at the start of a line"
    small = [one[1].upper() for one in SMALL.finditer(response) if one[1].upper() in letters and not NEGATED.search(response[: one.start(1)])]
    if small:
        return small[-1], "stated as the answer, in small letters"
    alone = [one[1] for one in ALONE.finditer(response) if one[1] in letters and not _article(response, one.start(1)) and not NEGATED.search(response[: one.start(1)])]
    if len(set(alone)) == 1:
        return alone[0], "the only letter"
    named = [letter for letter, text in found.items() if text and _holds(response, text)]
    if len(named) == 1:
        return named[0], "the only choice whose text it has"
    if len(response.strip(" .()")) == 1 and response.strip(" .()").upper() in letters:
        return response.strip(" .()").upper(), "the whole answer"
    several = ", ".join(dict.fromkeys(alone))
    return None, f"Several letters ({several}) and none stated as the answer." if several else "No letter of a choice in the answer."


def _article(text: str, place: int) -> bool:
    """Whether the "A" or "I" there is a word: before a lower-case word, as in "A dog"."""
    return ARTICLE.match(text, place) is not None and not re.match(r"[AI]\s+(?:is|est|ist|because|since|as|car|weil)\b", text[place:])


def _holds(response: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(text)}(?!\w)", response, re.IGNORECASE) is not None
