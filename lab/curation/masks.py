"""Secrets and personal data in a prompt become typed marks (⟨email⟩) before anything is stored. The list of patterns is data.

Every expression is linear in the length of the text: runs are bounded, start at a boundary, or do not give back (``++``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from lab.curation import checks


@dataclass(frozen=True)
class Pattern:
    """``hints``: one of them stands in every text (in small letters) with a match. ``check``: the span of a match to mask, or None."""

    name: str
    mark: str
    meaning: str
    hints: tuple[str, ...]
    expression: re.Pattern[str]
    check: Callable[[re.Match[str]], tuple[int, int] | None] = checks.whole


@dataclass(frozen=True)
class Masked:
    """``found``: pattern name → how often. Without the values, on purpose."""

    text: str
    found: dict[str, int]


def _re(expression: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile(expression, flags)


_KEY = r"(?:RSA |DSA |EC |OPENSSH |ENCRYPTED |PGP )?PRIVATE KEY(?: BLOCK)?-----"
_BREAK = r"(?:\s|\\[nr])*+"
_HARD = r"password|passwd|passphrase|passwort|(?<![a-z])pass|pwd|mot de passe|mdp|contraseña|kennwort"
_SOFT = r"secret|token|api[_ -]?key|access[_-]?key|private[_-]?key|cl[ée] (?:d[’']?)?api|credentials?"
_IS = r"\\?[\"']?\s{0,3}(?::=|=|:|\bis\b|\best\b|->|=>)\s{0,3}"
_VALUE = r"(?:\\?\"(?P<double>[^\"\\\n]{1,200})\\?\"|'(?P<single>[^'\n]{1,200})'|(?P<bare>[^\s\"'`,;)\]}<>⟨]{4,200}))"
_DIGITS = tuple("0123456789")

PATTERNS: tuple[Pattern, ...] = (
    Pattern("private-key", "private-key", "a PEM or PGP private key with its content, even without its last line", ("private key",), _re(
        rf"-----BEGIN {_KEY}(?:{_BREAK}(?:[A-Za-z-]{{1,24}}: [^\n]{{0,200}}|[A-Za-z0-9+/=]{{16,}}+))++"
        rf"(?:{_BREAK}[A-Za-z0-9+/=]{{0,80}}{_BREAK}-----END {_KEY})?")),
    Pattern("jwt", "jwt", "a JSON web token (three parts, the first two begin with eyJ)", ("eyj",), _re(
        r"(?<![\w-])eyJ[\w-]{8,}+\.eyJ[\w-]{8,}+(?:\.[\w-]++)?")),
    Pattern("openai-key", "api-key", "keys that begin with sk- (OpenAI, Anthropic and others), at least 20 mixed characters", ("sk-",), _re(
        r"(?<![\w-])sk-[\w-]{20,}+"), checks.mixed),
    Pattern("stripe-key", "api-key", "Stripe keys (sk_live_, rk_test_ …)", ("k_live", "k_test"), _re(
        r"(?<!\w)[sr]k_(?:live|test)_\w{16,}+")),
    Pattern("github-token", "api-key", "GitHub tokens (ghp_, gho_, ghu_, ghs_, ghr_, github_pat_)", ("gh",), _re(
        r"(?<!\w)(?:gh[pousr]_[A-Za-z0-9]{30,}+|github_pat_\w{22,}+)")),
    Pattern("gitlab-token", "api-key", "GitLab tokens (glpat-)", ("glpat-",), _re(r"(?<![\w-])glpat-[\w-]{20,}+")),
    Pattern("aws-key", "api-key", "AWS access key ids (AKIA…, ASIA…)", ("akia", "asia"), _re(
        r"(?<![A-Za-z0-9])A(?:KI|SI)A[A-Z0-9]{16}(?![A-Za-z0-9])")),
    Pattern("google-key", "api-key", "Google API keys (AIza…) and OAuth secrets (GOCSPX-)", ("aiza", "gocspx"), _re(
        r"(?<![\w-])(?:AIza[\w-]{35}(?![\w-])|GOCSPX-[\w-]{20,}+)")),
    Pattern("slack-token", "api-key", "Slack tokens (xoxb-, xoxp-, xapp- …)", ("xox", "xapp"), _re(
        r"(?<![\w-])(?:xox[abeoprs]|xapp)-[\w-]{10,}+"), checks.digit),
    Pattern("huggingface-token", "api-key", "Hugging Face tokens (hf_)", ("hf_",), _re(r"(?<!\w)hf_[A-Za-z0-9]{30,}+")),
    Pattern("package-token", "api-key", "tokens of package registries and mailers (npm_, pypi-AgE…, SG.…)", ("npm_", "pypi-", "sg."), _re(
        r"(?<![\w-])(?:npm_[A-Za-z0-9]{36}|pypi-AgE[\w-]{40,}+|SG\.[\w-]{16,64}\.[\w-]{16,64})(?![\w-])")),
    Pattern("url-password", "password", "the password in an address (scheme://user:password@host)", ("://",), _re(
        r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/:@]{0,80}:(?P<value>[^\s/@]{1,200})@"), checks.no_placeholder),
    Pattern("bearer", "token", "the token of an Authorization header (Bearer, Token, Basic, ApiKey)", ("bearer", "authorization"), _re(
        r"(?<!\w)(?:bearer|authorization[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?:basic|token|apikey|bearer))\s{1,3}(?P<value>[A-Za-z0-9._~+/=-]{16,}+)",
        re.IGNORECASE), checks.digit),
    Pattern("password", "password", "what is assigned to password, passwd, pwd, passphrase, mot de passe, mdp …: quoted, or with a digit or "
        "sign in it, or after a name in capitals", ("pass", "pwd", "mdp", "contrase", "kennwort"), _re(
        rf"(?P<key>{_HARD}){_IS}{_VALUE}", re.IGNORECASE), checks.password),
    Pattern("secret", "secret", "what is assigned to secret, token, api key, access key, client secret …: 12 mixed characters or more",
        ("secret", "token", "key", "api", "credential"), _re(rf"(?P<key>{_SOFT}){_IS}{_VALUE}", re.IGNORECASE), checks.secret),
    Pattern("email", "email", "e-mail addresses; not git@host and file names such as icon@2x.png", ("@",), _re(
        r"(?<![\w.%+-])[\w.%+-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,6}[^\W\d_]{2,24}(?![\w-])"), checks.email),
    Pattern("iban", "iban", "IBANs whose length and check digits are right", _DIGITS, _re(
        r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}"), checks.iban),
    Pattern("nir", "nir", "French social-security numbers (NIR) whose key is right", _DIGITS, _re(
        r"(?<![\w.,])[1-478][ .]?\d{2}[ .]?\d{2}[ .]?\d[\dABab][ .]?\d{3}[ .]?\d{3}[ .-]?\d{2}(?!\w)"), checks.nir),
    Pattern("card", "card", "payment card numbers of known issuers whose Luhn digit is right", _DIGITS, _re(
        r"(?<![\w.,+-])[2-6]\d{3}(?:[ -]?\d{4,6}){2,3}(?:[ -]?\d{1,3})?(?!\w)(?![.,]\d)"), checks.card),
    Pattern("phone", "phone", "French phone numbers (01 23 45 67 89, +33 …) and international ones that begin with + or 00", _DIGITS, _re(
        r"(?<![\w.,+*/^=-])(?:(?:\+|00|(?<!:)00 )[1-9]\d{0,2}(?:[ .-]?\(0?\d{0,3}\))?(?:[ .-]?\d{1,4}){2,7}|0[1-9](?:[ .-]?\d{2}){4})(?!\w)(?![.,]\d)"),
        checks.phone),
    Pattern("ipv4", "ip", "IPv4 addresses, private ones too; not loopback, 0.0.0.0, netmasks, versions, numbers of sections, nor four numbers "
        "under 30 unless the first is 10", _DIGITS, _re(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w)(?!\.\d)"), checks.ipv4),
    Pattern("ipv6", "ip", "IPv6 addresses; not ::1", (":",), _re(
        r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])"), checks.ipv6),
)  # fmt: skip
"""In the order in which they are applied: what a longer secret holds is not looked at again."""


_HINTED = {one.name: re.compile("|".join(map(re.escape, one.hints))) for one in PATTERNS}


def documented() -> list[dict[str, str]]:
    """For the page and the README: name, mark and meaning of every pattern."""
    return [{"name": one.name, "mark": f"⟨{one.mark}⟩", "meaning": one.meaning} for one in PATTERNS]


def mask(text: str) -> Masked:
    """``text`` with every find replaced by its mark. Masking twice changes nothing more."""
    found: dict[str, int] = {}
    small = text.lower()
    for pattern in PATTERNS:
        if _HINTED[pattern.name].search(small):
            text, n = _replaced(text, pattern)
            if n:
                found[pattern.name] = n
    return Masked(text, found)


def _replaced(text: str, pattern: Pattern) -> tuple[str, int]:
    """A match that does not count is looked into again from its second character: it may hide the start of a real one."""
    out: list[str] = []
    place = done = 0
    while match := pattern.expression.search(text, place):
        span = pattern.check(match)
        if span is None:
            place = match.start() + 1
            continue
        out += [text[done : span[0]], f"⟨{pattern.mark}⟩"]
        place = done = span[1]
    return ("".join([*out, text[done:]]), len(out) // 2) if out else (text, 0)
