"""Small changes that should not change who answers a prompt. Pure and deterministic: the same prompt is always changed the same way."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable

from lab.text.prepare import CUT_KEEP, CUT_OVER

WORDS_PER_TYPO = 8
KEYBOARDS = {"fr": ("azertyuiop", "qsdfghjklm", "wxcvbn"), "en": ("qwertyuiop", "asdfghjkl", "zxcvbnm")}
GREETING = {"fr": "Bonjour, ", "en": "Hi, "}
POLITE = {"fr": " Merci d'avance pour votre aide.", "en": " Thanks in advance for your help."}
NEUTRAL = {
    "fr": (
        "Je vous écris depuis mon bureau, il est un peu tard et il pleut dehors.",
        "Excusez-moi si le message est long, je préfère tout mettre au même endroit.",
        "J'ai pris le temps de relire ce que j'avais noté la semaine dernière.",
        "Rien de tout cela n'est urgent, une réponse demain me convient très bien.",
        "Un collègue m'a conseillé de poser la question ici plutôt que par téléphone.",
    ),
    "en": (
        "I am writing this from my desk, it is rather late and it is raining outside.",
        "Sorry if the message is long, I prefer to keep everything in one place.",
        "I took the time to read again what I had noted last week.",
        "None of this is urgent, an answer tomorrow would suit me very well.",
        "A colleague advised me to put the question here rather than by phone.",
    ),
}


def typos(text: str, lang: str) -> str:
    """One adjacent swap, deletion or keyboard neighbour per eight words or part of eight; the first letter of a word is never touched."""
    chance = random.Random(f"typos-1:{text}")
    words = [match.span() for match in re.finditer(r"[^\W\d_]{3,}", text)]
    for start, end in sorted(chance.sample(words, min(len(words), -(-len(text.split()) // WORDS_PER_TYPO))), reverse=True):
        text = text[:start] + _mistyped(text[start:end], chance, lang) + text[end:]
    return text


def _mistyped(word: str, chance: random.Random, lang: str) -> str:
    rows = KEYBOARDS.get(lang, KEYBOARDS["en"])
    place = chance.randrange(1, len(word))
    swapped = word[:place] + word[place + 1 : place + 2] + word[place] + word[place + 2 :]
    near = [row[at + step] for row in rows if (at := row.find(word[place].lower())) >= 0 for step in (-1, 1) if 0 <= at + step < len(row)]
    deleted = word[:place] + word[place + 1 :]
    choices = [
        deleted,
        *([swapped] if swapped != word else []),
        *([word[:place] + chance.choice(near) + word[place + 1 :]] if near else []),
    ]
    return chance.choice(choices)


def no_accents(text: str, lang: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def no_punctuation(text: str, lang: str) -> str:
    """Without , ; : ? ! … « » " and without full stops that end a word; marks inside names (C++, .tran, a-b) stay."""
    plain = re.sub(r"\s+", " ", re.sub(r"[,;:?!…«»\"]+|\.+(?=\s|$)", " ", text)).strip()
    return plain or text


def more_punctuation(text: str, lang: str) -> str:
    return f"{text.rstrip(' .?!…')} ??!"


def padding(lang: str, characters: int) -> str:
    """Neutral sentences, repeated until they have at least ``characters``."""
    sentences, out = NEUTRAL.get(lang, NEUTRAL["en"]), ""
    n = 0
    while len(out) < characters:
        out += ("" if not out else " ") + sentences[n % len(sentences)]
        n += 1
    return out


def long_before(text: str, lang: str) -> str:
    """Padding first: over the gateway's length, the prompt in the part that is kept (if it is not longer than that part)."""
    return f"{padding(lang, CUT_OVER)} {text}"


def long_after(text: str, lang: str) -> str:
    return f"{text} {padding(lang, CUT_OVER)}"


def long_middle(text: str, lang: str) -> str:
    """Padding on both sides longer than what the gateway keeps: the cut removes the prompt itself."""
    side = padding(lang, max(CUT_KEEP, CUT_OVER // 2))
    return f"{side} {text} {side}"


PERTURBATIONS: dict[str, tuple[Callable[[str, str], str], str]] = {
    "typos": (typos, "one slip of the finger per eight words"),
    "lower-case": (lambda text, lang: text.lower(), "all in lower case"),
    "upper-case": (lambda text, lang: text.upper(), "all in capitals"),
    "no-accents": (no_accents, "accents left out"),
    "no-punctuation": (no_punctuation, "punctuation left out"),
    "more-punctuation": (more_punctuation, "ends in ??!"),
    "greeting": (lambda text, lang: GREETING.get(lang, GREETING["en"]) + text, "a greeting first"),
    "politeness": (lambda text, lang: text + POLITE.get(lang, POLITE["en"]), "thanks in advance at the end"),
    "long-before": (long_before, "neutral sentences before, over the gateway's length"),
    "long-after": (long_after, "neutral sentences after, over the gateway's length"),
    "long-middle": (long_middle, "neutral sentences on both sides: the gateway's cut removes the prompt, so a flip is what it does"),
}
"""Name → (change, what it is). A suite holds only the prompts that the change alters."""
