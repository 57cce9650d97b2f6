"""The gate: may the candidate replace the champion? A verdict from two versions on the same frozen test set, every check with its figures.

Each check asks for what can be shown. "Not worse" means: not shown to be worse, and not possibly worse by more than the margin.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.errors import InputError
from lab.evaluation.compare import Comparison, compare, figures
from lab.evaluation.metrics import ENOUGH
from lab.evaluation.out_of_fold import Predictions
from lab.release.gate_statistics import calibration_change, domain_losses, macro_f1_change, suite_changes
from lab.release.verdict import Check, Limits, Override, Verdict, may_promote, override

__all__ = ["Check", "Corpus", "Evaluated", "Limits", "Override", "Verdict", "judge", "may_promote", "override"]

SHOWN = 20


@dataclass(frozen=True)
class Evaluated:
    """One version, measured. ``predictions``: its own answers on the frozen test rows. ``behaviour``: its report
    (lab.evaluation.behaviour), ``golden``: golden id → passed (lab.release.golden). ``trained_on``: text ids of its training rows, None
    when that is not known."""

    version: str
    predictions: Predictions
    behaviour: dict[str, Any] | None = None
    golden: Mapping[str, bool] | None = None
    trained_on: Collection[str] | None = None


@dataclass(frozen=True)
class Corpus:
    """Of the candidate. ``healthy`` and ``findings`` (kind → count, errors only): lab.corpus.health. ``near``: (text id, text id,
    similarity) of near-duplicates between train and test. ``reserved``: text ids that no router may train on."""

    sha256: str
    healthy: bool
    findings: Mapping[str, int] = field(default_factory=dict)
    near: Collection[tuple[str, str, float]] = ()
    reserved: Collection[str] = ()


def judge(
    candidate: Evaluated, champion: Evaluated | None, corpus: Corpus, *, canonical_name: Callable[[str], str] = lambda name: name,
    backend: Callable[[str], str | None] = lambda name: None, limits: Limits | None = None,
) -> Verdict:  # fmt: skip
    """Pure. InputError if the two were not measured on the same prompts with the same labels.

    Versions with different label sets are compared on the prompts whose label both have, each choosing among the labels they share.
    Without a champion, what compares is left out and the rest must hold.
    """
    limits, test = limits or Limits(), candidate.predictions.corpus_sha256
    checks = [_corpus(corpus), _leaks(corpus, candidate, champion), _reserved(corpus, candidate), _golden(candidate, champion, limits)]
    if champion is not None:
        if champion.predictions.corpus_sha256 != test:
            raise InputError(
                f"The candidate was measured on test set {test[:12]}, the champion on {champion.predictions.corpus_sha256[:12]}.",
                "Evaluate both on the frozen test side of the same corpus revision.",
            )
        compared = compare(champion.predictions, candidate.predictions, "shared", canonical_name, backend)
        table = figures(compared)
        checks += [
            _top1(table, limits), _macro(champion, candidate, compared, canonical_name, limits), _domains(table, _gone(champion, candidate, canonical_name), limits),
            _calibration(champion, candidate, compared, limits), _behaviour(champion, candidate, limits),
        ]  # fmt: skip
    return Verdict(
        candidate.version,
        champion.version if champion else None,
        test,
        len(candidate.predictions.rows),
        all(one.passed for one in checks),
        tuple(checks),
        limits,
    )


def points(share: float) -> str:
    return f"{100 * share:+.1f} points"


def _range(interval: tuple[float, float]) -> str:
    return f"[{100 * interval[0]:+.1f}, {100 * interval[1]:+.1f}]"


def _corpus(corpus: Corpus) -> Check:
    found = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in corpus.findings.items() if count)
    sentence = (
        f"The corpus {corpus.sha256[:12]} has no error of health."
        if corpus.healthy
        else f"The corpus {corpus.sha256[:12]} is not healthy: {found or 'see its report'}."
    )
    return Check("corpus healthy", corpus.healthy, sentence, {"findings": dict(corpus.findings)})


def _leaks(corpus: Corpus, candidate: Evaluated, champion: Evaluated | None) -> Check:
    """A champion that saw test prompts does not refuse the candidate: it is only flattered, and that is said."""
    test = {row.id for row in candidate.predictions.rows}
    seen = sorted(test & set(candidate.trained_on or ()))
    flattered = len(test & set(champion.trained_on or ())) if champion else 0
    unknown = [one.version[:12] for one in (candidate, champion) if one and one.trained_on is None]
    wrong = len(seen) + len(corpus.near)
    sentence = (
        f"{len(seen)} test prompts were in the candidate's training and {len(corpus.near)} pairs are near-duplicates across train and test."
        if wrong
        else f"None of the {len(test)} test prompts, and none of their near-duplicates, was in the candidate's training."
    )
    if flattered:
        sentence += f" {flattered} of them were in the champion's, which flatters the champion."
    if unknown:
        sentence += f" What {' and '.join(unknown)} was trained on is not known."
    near = [{"train": a, "test": b, "similarity": round(s, 3)} for a, b, s in list(corpus.near)[:SHOWN]]
    return Check(
        "no test prompt in training",
        not wrong,
        sentence,
        {"seen": seen[:SHOWN], "near": near, "champion_saw": flattered, "unknown": unknown},
    )


def _reserved(corpus: Corpus, candidate: Evaluated) -> Check:
    found = sorted(set(corpus.reserved) & set(candidate.trained_on or ()))
    sentence = (
        f"{len(found)} golden or behavioural prompts were trained on."
        if found
        else f"None of the {len(corpus.reserved)} golden and behavioural prompts was trained on."
    )
    return Check("reserved prompts kept out", not found, sentence, {"trained_on": found[:SHOWN]})


def _golden(candidate: Evaluated, champion: Evaluated | None, limits: Limits) -> Check:
    """All that the champion passes must pass, and at least ``limits.golden`` of the whole."""
    mine, theirs = candidate.golden, (champion.golden if champion else None) or {}
    if not mine:
        return Check("golden set", False, "The golden set was not run on the candidate.")
    passed = sum(mine.values())
    lost = sorted(one for one, good in mine.items() if not good and theirs.get(one))
    enough = passed >= limits.golden * len(mine)
    sentence = f"{passed} of {len(mine)} golden prompts pass" + (f" (champion {sum(theirs.values())})" if theirs else "")
    sentence += f"; {len(lost)} that the champion passes fail." if lost else "." if enough else f"; at least {limits.golden:.0%} must."
    return Check(
        "golden set", enough and not lost, sentence, {"failed": sorted(one for one, good in mine.items() if not good), "lost": lost}
    )


def _top1(table: Mapping[str, Any], limits: Limits) -> Check:
    change, interval = table["top1_b"] - table["top1_a"], (table["difference_low"], table["difference_high"])
    worse, unsure = interval[1] < 0, interval[0] < -limits.top1
    sentence = (
        f"Top-1 {table['top1_a']:.1%} → {table['top1_b']:.1%}: {points(change)} {_range(interval)}, {table['fixed']} fixed, {table['broken']} broken of {table['n']}, "
        f"McNemar p {table['mcnemar_p']:.2g}. " + _words(worse, unsure, limits.top1)
    )  # fmt: skip
    detail = {key: table[key] for key in ("n", "top1_a", "top1_b", "fixed", "broken", "mcnemar_p", "difference_low", "difference_high")}
    return Check("top-1 not worse", not (worse or unsure), sentence, detail)


def _words(worse: bool, unsure: bool, margin: float) -> str:
    if worse:
        return "It is worse."
    return (
        f"A loss of more than {100 * margin:g} points cannot be ruled out."
        if unsure
        else f"A loss of more than {100 * margin:g} points is ruled out."
    )


def _macro(champion: Evaluated, candidate: Evaluated, compared: Comparison, canonical_name: Callable[[str], str], limits: Limits) -> Check:
    found = macro_f1_change(champion.predictions, candidate.predictions, compared, canonical_name)
    interval = (found["low"], found["high"])
    worse, unsure = interval[1] < 0, interval[0] < -limits.macro_f1
    sentence = (
        f"Macro-F1 {found['champion']:.3f} → {found['candidate']:.3f}: {points(found['candidate'] - found['champion'])} {_range(interval)}. "
        + _words(worse, unsure, limits.macro_f1)
    )
    return Check("macro-F1 not worse", not (worse or unsure), sentence, found)


def _gone(champion: Evaluated, candidate: Evaluated, canonical_name: Callable[[str], str]) -> dict[str, int]:
    """Domains that the champion has and the candidate lacks, with their test prompts, where there are enough to judge."""
    names = {canonical_name(one) for one in champion.predictions.domains} - {canonical_name(one) for one in candidate.predictions.domains}
    support = Counter(canonical_name(row.domain) for row in champion.predictions.rows)
    return {name: support[name] for name in sorted(names) if support[name] >= ENOUGH}


def _domains(table: Mapping[str, Any], gone: Mapping[str, int], limits: Limits) -> Check:
    """A domain that the candidate does not have any more (merged, renamed, dropped) is lost; whoever meant it overrides the gate."""
    lost, maybe, judged = domain_losses(table["per_domain"], limits.domain_recall, limits.domain_p)
    what = f"more than {100 * limits.domain_recall:g} points of recall"
    said = f"{len(lost)} of {judged} domains with enough support lose {what}: {', '.join(one['domain'] for one in lost)}."
    sentence = said if lost else f"None of the {judged} domains with enough support is shown to lose {what}."
    if gone:
        sentence += f" The candidate does not know {', '.join(gone)} ({sum(gone.values())} test prompts)."
    if maybe:
        sentence += f" Within chance: {', '.join(one['domain'] for one in maybe)}."
    detail = {"lost": lost, "gone": dict(gone), "within_chance": maybe, "judged": judged, "p": limits.domain_p}
    return Check("no domain lost", not lost and not gone, sentence, detail)


def _calibration(champion: Evaluated, candidate: Evaluated, compared: Comparison, limits: Limits) -> Check:
    found = calibration_change(champion.predictions, candidate.predictions, compared.rows)
    change = found["candidate"] - found["champion"]
    worse = found["low"] > 0 and change > limits.calibration
    sentence = (
        f"ECE {found['champion']:.3f} → {found['candidate']:.3f}: {points(change)} {_range((found['low'], found['high']))}. "
        + (f"It is worse by more than {100 * limits.calibration:g} points." if worse else f"It is not shown to be worse by {100 * limits.calibration:g} points.")
    )  # fmt: skip
    return Check("calibration not worse", not worse, sentence, found)


def _behaviour(champion: Evaluated, candidate: Evaluated, limits: Limits) -> Check:
    if not candidate.behaviour or not champion.behaviour:
        return Check("behaviour not worse", False, "The behavioural suites were not run on both versions.")
    for one in (candidate, champion):
        bound = one.behaviour["bound_to"]["router_sha256"]
        if bound != one.predictions.router.sha256:
            raise InputError(f"The behavioural report of {one.version[:12]} is of weights {bound[:12]}.", "Run the suites again.")
    if candidate.behaviour["bound_to"]["suites_sha256"] != champion.behaviour["bound_to"]["suites_sha256"]:
        raise InputError("The behavioural reports are of different suites.", "Run the suites again on both versions.")
    rows = suite_changes(champion.behaviour["suites"], candidate.behaviour["suites"], limits.flips, limits.flips_p)
    worse = [row for row in rows if row["worse"]]
    total = " ".join(f"{row['suite']} {row['champion']:.0%} → {row['candidate']:.0%}." for row in worse)
    sentence = (
        f"{len(worse)} of {len(rows)} behavioural suites flip more than before: {total}"
        if worse
        else f"None of the {len(rows)} behavioural suites is shown to flip over {100 * limits.flips:g} points more than before."
    )
    return Check("behaviour not worse", not worse, sentence, {"suites": rows})
