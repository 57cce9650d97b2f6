"""What queues are made from: one entry a prompt in every array, and what a build gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from lab.curation.state import Item
from lab.errors import InputError
from lab.evaluation.out_of_fold import UNKNOWN


@dataclass(frozen=True)
class OtherVersion:
    """A second router on the same n prompts. Its ``domains`` carry the same names as the material's (taxonomy names)."""

    name: str
    domains: Sequence[str]
    probabilities: np.ndarray
    out_of_sample: np.ndarray


@dataclass(frozen=True)
class Unlike:
    """Out-of-domain scores of the n prompts (lab.evaluation.ood, higher = more so), the threshold, and (m,) in-domain scores."""

    scores: np.ndarray
    threshold: float
    reference: np.ndarray
    out_of_sample: np.ndarray


@dataclass(frozen=True)
class Material:
    """n prompts that some domain should answer ("not routable" ones are left out by the caller).

    ``labelled`` (n,) bool: there is a label, which the router may lack; by default where ``primary`` is known.
    ``vectors`` (n, D) of unit length; ``domains`` N names; ``probabilities`` (n, N) calibrated; ``out_of_sample`` (n,) bool: the router
    was not trained on the row; ``primary`` (n,) class id or UNKNOWN (no label yet); ``also`` (n, N) 0/1. ``decided_by``: the people
    who decided each prompt, import not counted. ``pairs``: near-duplicates, made when missing. ``given``: queue name → prompt id →
    where it was sent from.
    """

    ids: Sequence[str]
    texts: Sequence[str]
    vectors: np.ndarray
    domains: Sequence[str]
    probabilities: np.ndarray
    out_of_sample: np.ndarray
    primary: np.ndarray
    also: np.ndarray
    splits: Sequence[str] = ()
    router: str = "the router"
    decided_by: Sequence[frozenset[str]] = ()
    flagged: np.ndarray | None = None
    other: OtherVersion | None = None
    unlike: Unlike | None = None
    pairs: Sequence[tuple[int, int, float]] | None = None
    given: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    labelled: np.ndarray | None = None

    def __post_init__(self) -> None:
        n, shape = len(self.ids), (len(self.ids), len(self.domains))
        have = {
            "texts": len(self.texts) == n, "vectors": len(self.vectors) == n, "probabilities": self.probabilities.shape == shape,
            "also": self.also.shape == shape, "out_of_sample": self.out_of_sample.shape == (n,), "primary": self.primary.shape == (n,),
            "splits": len(self.splits) in (0, n), "decided_by": len(self.decided_by) in (0, n),
            "flagged": self.flagged is None or self.flagged.shape == (n,),
            "labelled": self.labelled is None or self.labelled.shape == (n,), "other": self.other is None or self.other.probabilities.shape == (n, len(self.other.domains)),
            "unlike": self.unlike is None or self.unlike.scores.shape == (n,),
        }  # fmt: skip
        wrong = [name for name, fits in have.items() if not fits]
        if wrong:
            raise InputError(
                f"Of {n} prompts and {len(self.domains)} domains, {', '.join(wrong)} have another shape.", "One entry a prompt."
            )

    @cached_property
    def deciders(self) -> np.ndarray:
        """(n,) how many people decided each prompt."""
        return np.asarray([len(one) for one in self.decided_by], dtype=np.int64) if self.decided_by else np.zeros(len(self.ids), np.int64)

    @cached_property
    def has_label(self) -> np.ndarray:
        """(n,) bool: a label, known to the router or not."""
        return self.primary != UNKNOWN if self.labelled is None else self.labelled

    def name(self, domain: int) -> str | None:
        return None if domain == UNKNOWN else str(self.domains[int(domain)])


@dataclass(frozen=True)
class Found:
    """A queue in its order. ``found``: how many prompts qualified; the queue holds the most doubtful ones up to a limit."""

    items: list[Item]
    found: int

    @property
    def note(self) -> str:
        """Says what is not shown; empty if all is."""
        left = self.found - len(self.items)
        return f"The {len(self.items):,} most doubtful of {self.found:,}; the others come with the next build." if left else ""


def percent(share: float) -> str:
    """0.814 → "81 %"; what rounds to 0 or 100 without being it is "under 1 %" or "over 99 %"."""
    whole = round(100 * float(share))
    if whole == 0 and share > 0:
        return "under 1 %"
    return "over 99 %" if whole == 100 and share < 1 else f"{whole} %"
