"""Whether what a pattern found is what it looks like. Each check gives the span of the text to mask, or None to leave it."""

from __future__ import annotations

import ipaddress
import re

IBAN_LENGTHS = dict(
    (one[:2], int(one[2:]))
    for one in [
        "AD24",
        "AE23",
        "AL28",
        "AT20",
        "AZ28",
        "BA20",
        "BE16",
        "BG22",
        "BH22",
        "BR29",
        "BY28",
        "CH21",
        "CR22",
        "CY28",
        "CZ24",
        "DE22",
        "DK18",
        "DO28",
        "EE20",
        "EG29",
        "ES24",
        "FI18",
        "FO18",
        "FR27",
        "GB22",
        "GE22",
        "GI23",
        "GL18",
        "GR27",
        "GT28",
        "HR21",
        "HU28",
        "IE22",
        "IL23",
        "IQ23",
        "IS26",
        "IT27",
        "JO30",
        "KW30",
        "KZ20",
        "LB28",
        "LC32",
        "LI21",
        "LT20",
        "LU20",
        "LV21",
        "MC27",
        "MD24",
        "ME22",
        "MK19",
        "MR27",
        "MT31",
        "MU30",
        "NL18",
        "NO15",
        "PK24",
        "PL28",
        "PS29",
        "PT25",
        "QA29",
        "RO24",
        "RS22",
        "SA24",
        "SC31",
        "SE24",
        "SI19",
        "SK24",
        "SM27",
        "ST25",
        "TL23",
        "TN24",
        "TR26",
        "UA29",
        "VA22",
        "VG24",
        "XK20",
    ]
)
"""Country → length of its IBANs (SWIFT IBAN registry)."""
_NUMBERING = re.compile(
    r"(?:\bv|\bver\.?|\bversions?|\brelease|\bfirmware|\bsoftware|\bclauses?|\bsections?|\bsect\.|\barticles?|\bart\.|§+|\bchap(?:ter|itre)?s?\.?|"
    r"\bannexe?s?|\btable(?:au)?x?|\bfig(?:ure)?\.?|\bpoints?|\bparagraph(?:e)?s?|\brequirements?|\bstep|\bpart(?:ie)?)\s?(?:n°\s?)?\Z",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"[$%{<⟨\[*.]|(?:x+|\*+|\.+|_+)\Z|your|my[_-]|changeme|example|placeholder|redacted|os\.|env|process\.|getenv", re.IGNORECASE
)
_SECRET_NAMES = re.compile(r"[\w.]*(?:pass(?:word|wd|phrase)?|pwd|secret|token|key|user(?:name)?|hash(?:ed)?)[\w.]*\Z", re.IGNORECASE)
Span = tuple[int, int]
_FILES = frozenset(["png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "css", "js", "ts", "py", "json", "yaml", "yml", "md", "txt", "html"])


def whole(match: re.Match[str]) -> Span:
    return match.span()


def _group(match: re.Match[str]) -> str | int:
    return next((name for name in ("value", "double", "single", "bare") if name in match.re.groupindex and match[name]), 0)


def digit(match: re.Match[str]) -> Span | None:
    group = _group(match)
    return match.span(group) if any(map(str.isdigit, match[group])) else None


def mixed(match: re.Match[str]) -> Span | None:
    """A digit and both cases, or a digit in one unbroken run of 32 or more."""
    value = match[0][3:]
    cases = any(map(str.isupper, value)) and any(map(str.islower, value))
    run = len(value) >= 32 and "-" not in value
    return match.span() if any(map(str.isdigit, value)) and (cases or run) else None


def no_placeholder(match: re.Match[str]) -> Span | None:
    return None if _PLACEHOLDER.match(match["value"]) else match.span("value")


def _trimmed(match: re.Match[str]) -> tuple[str, Span]:
    """The value without the end of its sentence."""
    group = _group(match)
    value = match[group].rstrip(".!?:") if group == "bare" else match[group]
    return value, (match.start(group), match.start(group) + len(value))


def password(match: re.Match[str]) -> Span | None:
    """A quoted text without spaces; a bare one with a digit or sign in it, or after a name in capitals; no code, no placeholder."""
    value, span = _trimmed(match)
    if len(value) < 4 or _PLACEHOLDER.match(value) or _SECRET_NAMES.match(value) or any(map(str.isspace, value)):
        return None
    if match["bare"]:
        if re.search(r"[(\[]", value) or not any(map(str.isalpha, value)) or value[0] in "/~":
            return None
        if not re.search(r"[\d!@#$%^&*?+]", value) and not match["key"].isupper():
            return None
    return span


def secret(match: re.Match[str]) -> Span | None:
    """At least 12 characters with a digit and a letter; no code, no placeholder."""
    value, span = _trimmed(match)
    if len(value) < 12 or _PLACEHOLDER.match(value) or re.search(r"[\s(\[]", value):
        return None
    return span if any(map(str.isdigit, value)) and any(map(str.isalpha, value)) else None


def email(match: re.Match[str]) -> Span | None:
    local, _, host = match[0].rpartition("@")
    return None if local == "git" or host.rpartition(".")[2].lower() in _FILES else match.span()


def _prefixes(match: re.Match[str], marks: str) -> list[tuple[str, int]]:
    """(characters without ``marks``, end) of every beginning of the match that does not end inside a word, the longest first."""
    out, kept = [], ""
    for end in range(match.start() + 1, match.end() + 1):
        character = match.string[end - 1]
        if character not in marks:
            kept += character.upper()
            if not match.string[end : end + 1].isalnum():
                out.append((kept, end))
    return out[::-1]


def iban(match: re.Match[str]) -> Span | None:
    """The beginning of the match that is an IBAN: its country's length, remainder 1 modulo 97 (ISO 13616)."""
    length = IBAN_LENGTHS.get(match[0][:2].upper())
    for number, end in _prefixes(match, " -") if length else []:
        if len(number) == length and int("".join(str(int(one, 36)) for one in number[4:] + number[:4])) % 97 == 1:
            return match.start(), end
    return None


def nir(match: re.Match[str]) -> Span | None:
    """Key = 97 - number modulo 97, with 2A as 19 and 2B as 18."""
    number = re.sub(r"[ .-]", "", match[0]).upper().replace("2A", "19").replace("2B", "18")
    if len(number) != 15 or not number.isdigit() or not (1 <= int(number[3:5]) <= 12 or int(number[3:5]) >= 20):
        return None
    return match.span() if int(number[13:]) == 97 - int(number[:13]) % 97 else None


_ISSUERS = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|(?:5[1-5]|2[2-7]|35)\d{14}|(?:6011|65\d\d|64[4-9]\d|62\d\d)\d{12,15}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}"
)
"""Visa, Mastercard, JCB, Discover and UnionPay, American Express, Diners: first digits and lengths."""


def _luhn(number: str) -> int:
    return sum(sum(divmod(int(one) * (1 + place % 2), 10)) for place, one in enumerate(reversed(number)))


def card(match: re.Match[str]) -> Span | None:
    """The beginning of the match that has an issuer and a right last digit (Luhn, ISO/IEC 7812-1)."""
    for number, end in _prefixes(match, " -"):
        if _ISSUERS.fullmatch(number) and len(set(number)) > 1 and _luhn(number) % 10 == 0:
            return match.start(), end
    return None


def phone(match: re.Match[str]) -> Span | None:
    """9 to 15 digits, at most one group of a single digit, and no counting up (0123456789)."""
    digits = re.sub(r"\D", "", match[0])
    if digits in "01234567890" or len(set(digits)) < 3:
        return None
    if match[0].startswith(("+", "00")):
        groups = re.findall(r"\d+", match[0].removeprefix("00"))
        if not 9 <= sum(map(len, groups)) <= 15 or sum(len(one) == 1 for one in groups[1:]) > 1:
            return None
    return match.span()


def ipv4(match: re.Match[str]) -> Span | None:
    try:
        address = ipaddress.IPv4Address(match[0])
    except ValueError:
        return None
    if address.is_loopback or address.is_unspecified or address.packed[0] == 255:
        return None
    if max(address.packed) < 30 and address.packed[0] != 10:
        return None
    before = match.string[max(0, match.start() - 24) : match.start()]
    return None if _NUMBERING.search(before) else match.span()


def ipv6(match: re.Match[str]) -> Span | None:
    groups = [one for one in match[0].split(":") if one]
    if len(groups) < 2 or not any(map(str.isdigit, match[0])) or max(map(len, groups)) < 3:
        return None
    try:
        address = ipaddress.IPv6Address(match[0])
    except ValueError:
        return None
    return None if address.is_loopback else match.span()
