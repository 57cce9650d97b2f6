"""A verdict of the gate, its checks, and a maintainer's override of it: what is stored with a promotion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lab.errors import InputError
from lab.files import canonical, sha256_bytes


@dataclass(frozen=True)
class Limits:
    """What is tolerated. Shares are of 1: 0.02 is two points."""

    top1: float = 0.02
    macro_f1: float = 0.03
    domain_recall: float = 0.10
    domain_p: float = 0.01
    calibration: float = 0.02
    flips: float = 0.05
    flips_p: float = 0.01
    golden: float = 0.90


@dataclass(frozen=True)
class Check:
    name: str
    passed: bool
    sentence: str
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """``champion`` is None for a first version. ``test_sha256`` is the hash of the frozen test rows and their labels."""

    candidate: str
    champion: str | None
    test_sha256: str
    n: int
    passed: bool
    checks: tuple[Check, ...]
    limits: Limits

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it was refused: the sentences of the checks that failed."""
        return tuple(check.sentence for check in self.checks if not check.passed)

    @property
    def sentence(self) -> str:
        against = f"against {self.champion[:12]}" if self.champion else "without a champion to compare with"
        found = "passed" if self.passed else f"refused: {len(self.reasons)} of {len(self.checks)} checks failed"
        return f"Candidate {self.candidate[:12]} {against}, {self.n} test prompts ({self.test_sha256[:12]}): {found}."

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "sha256": self.sha256}

    @property
    def sha256(self) -> str:
        return sha256_bytes(canonical(asdict(self)))

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Verdict:
        known = {key: raw[key] for key in ("candidate", "champion", "test_sha256", "n", "passed")}
        return cls(**known, checks=tuple(Check(**one) for one in raw["checks"]), limits=Limits(**raw["limits"]))


@dataclass(frozen=True)
class Override:
    """A maintainer's decision to promote although the gate refused; bound to that verdict."""

    who: str
    verified: bool
    reason: str
    at_utc: str
    verdict_sha256: str
    failed: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def override(verdict: Verdict, who: str, verified: bool, reason: str, at_utc: str) -> Override:
    """InputError without a reason in words, or when there is nothing to override."""
    if verdict.passed:
        raise InputError("The gate passed; there is nothing to override.", "Promote the version.")
    if len(reason.split()) < 3:
        raise InputError(
            "An override needs a written reason.", "Say in a sentence why the refused version should serve; it is kept in the record."
        )
    return Override(who, verified, reason.strip(), at_utc, verdict.sha256, tuple(one.name for one in verdict.checks if not one.passed))


def may_promote(verdict: Verdict | None, given: Override | None = None) -> None:
    """InputError with the reasons unless the verdict passed or is overridden."""
    if verdict is None:
        raise InputError("The version was not held against the gate.", "Run the gate on it.")
    if verdict.passed or (given is not None and given.verdict_sha256 == verdict.sha256):
        return
    if given is not None:
        raise InputError("The override belongs to another verdict.", "Read the reasons of this one and write the override again.")
    raise InputError(
        f"The gate refused the version: {' '.join(verdict.reasons)}", "Fix what it names, or let a maintainer override it with a reason."
    )
