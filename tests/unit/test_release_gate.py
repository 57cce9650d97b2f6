"""The gate: what is worse is refused with its figures, what is chance is not, and an override is written down."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from lab.corpus.rows import Row, corpus_sha256
from lab.errors import InputError
from lab.evaluation.out_of_fold import Predictions
from lab.files import canonical
from lab.release.gate import Corpus, Evaluated, Verdict, judge, may_promote, override

DOMAINS = ["a", "b", "c", "d"]
N = 800
HEALTHY = Corpus("c" * 64, True)
SUITES = {"typos": {"n": 100, "flip_rate": 0.10}, "greeting": {"n": 100, "flip_rate": 0.05}}
WANTED = np.arange(N) % len(DOMAINS)
ROWS = [Row(f"prompt {n}", DOMAINS[WANTED[n]]) for n in range(N)]


def version(name, answered, confidence=None, suites=None, golden=None, trained_on=frozenset(), rows=ROWS):
    """A version that answers ``answered`` (n,) with the claimed probability ``confidence``."""
    logits = np.full((len(rows), len(DOMAINS)), -5.0)
    logits[np.arange(len(rows)), answered] = 5.0
    jitter = np.random.default_rng(0).uniform(-0.005, 0.005, len(rows))  # so that the bins of the calibration error are not rows in order
    claimed = ((answered == WANTED).mean() if confidence is None else confidence) + jitter
    router = SimpleNamespace(name=name, sha256=name * 8, domains=DOMAINS, claimed=lambda logits: claimed)
    predictions = Predictions(router, rows, logits, WANTED, "test side", corpus_sha256(rows))
    behaviour = {"bound_to": {"router_sha256": name * 8, "suites_sha256": "s"}, "suites": suites or SUITES}
    return Evaluated(name, predictions, behaviour, golden or {"one": True, "two": True}, trained_on)


def wrong(some, answered=WANTED):
    out = answered.copy()
    out[some] = (out[some] + 1) % len(DOMAINS)
    return out


BASE = wrong(np.arange(0, 200))
CHAMPION = version("champion", BASE)


def failed(verdict):
    return {check.name for check in verdict.checks if not check.passed}


def test_a_version_that_answers_as_the_champion_passes_with_every_figure_stated():
    verdict = judge(version("candidate", BASE), CHAMPION, HEALTHY)
    assert verdict.passed and verdict.reasons == () and len(verdict.checks) == 9
    assert verdict.test_sha256 == corpus_sha256(ROWS) and verdict.test_sha256[:12] in verdict.sentence
    said = {check.name: check.sentence for check in verdict.checks}
    assert said["top-1 not worse"].startswith("Top-1 75.0% → 75.0%: +0.0 points [+0.0, +0.0], 0 fixed, 0 broken of 800, McNemar p 1.")
    assert "[" in said["macro-F1 not worse"] and "ECE" in said["calibration not worse"]


def test_a_worse_version_is_refused():
    verdict = judge(version("candidate", wrong(np.arange(200, 260), BASE)), CHAMPION, HEALTHY)
    assert {"top-1 not worse", "macro-F1 not worse"} <= failed(verdict)
    assert "60 broken of 800" in verdict.reasons[0] + verdict.reasons[1] and "It is worse." in " ".join(verdict.reasons)


def test_a_change_that_may_be_a_loss_of_more_than_the_margin_is_refused_although_nothing_is_shown():
    shuffled = wrong(np.r_[0:60, 200:275])  # 140 of the champion's errors are fixed, 75 new ones
    assert "top-1 not worse" not in failed(judge(version("candidate", shuffled), CHAMPION, HEALTHY))
    unsure = wrong(np.r_[0:130, 200:275])  # 70 fixed, 75 broken: anything from −3.6 to +2.4 points
    verdict = judge(version("candidate", unsure), CHAMPION, HEALTHY)
    assert "top-1 not worse" in failed(verdict) and "cannot be ruled out" in " ".join(verdict.reasons)


def test_one_domain_that_breaks_refuses_a_version_that_is_better_on_the_whole():
    mine = np.flatnonzero(WANTED == 3)
    broken = wrong(mine[60:110])  # everything is fixed, but fifty more prompts of d fail
    verdict = judge(version("candidate", broken), CHAMPION, HEALTHY)
    check = next(one for one in verdict.checks if one.name == "no domain lost")
    assert not check.passed or check.detail["lost"] == []
    worse = wrong(mine[:100])  # 50 of d broken beyond the champion's, all else fixed
    verdict = judge(version("candidate", worse), CHAMPION, HEALTHY)
    assert failed(verdict) == {"no domain lost"}
    assert [one["domain"] for one in verdict.checks[6].detail["lost"]] == ["d"]


def test_a_domain_that_the_candidate_does_not_know_any_more_is_lost():
    whole = version("candidate", BASE)
    router = SimpleNamespace(**{**vars(whole.predictions.router), "domains": ["a", "b", "c", "other"]})
    renamed = Evaluated("candidate", replace(whole.predictions, router=router), whole.behaviour, whole.golden, ())
    verdict = judge(renamed, CHAMPION, HEALTHY)
    assert "no domain lost" in failed(verdict) and "does not know d (200 test prompts)" in " ".join(verdict.reasons)


def test_a_small_loss_in_a_small_domain_is_called_chance():
    few = np.flatnonzero(WANTED == 2)
    rows = [
        Row(row.text, "c") if n in set(few[:12]) else Row(row.text, "a" if row.domain == "c" else row.domain) for n, row in enumerate(ROWS)
    ]
    wanted = np.asarray([DOMAINS.index(row.domain) for row in rows])

    def of(name, answered):
        one = version(name, answered, rows=rows)
        return Evaluated(
            name,
            Predictions(one.predictions.router, rows, one.predictions.logits, wanted, "test side", corpus_sha256(rows)),
            one.behaviour,
            one.golden,
            (),
        )

    verdict = judge(of("candidate", wrong(few[:3], wanted)), of("champion", wanted), HEALTHY)
    check = next(one for one in verdict.checks if one.name == "no domain lost")
    assert check.passed and [one["domain"] for one in check.detail["within_chance"]] == ["c"] and "Within chance: c." in check.sentence


def test_overconfidence_is_refused():
    verdict = judge(version("candidate", BASE, 0.99), CHAMPION, HEALTHY)
    assert failed(verdict) == {"calibration not worse"}


def test_more_flips_are_refused_and_missing_suites_too():
    suites = {**SUITES, "typos": {"n": 100, "flip_rate": 0.35}}
    verdict = judge(version("candidate", BASE, suites=suites), CHAMPION, HEALTHY)
    assert failed(verdict) == {"behaviour not worse"} and "typos 10% → 35%" in verdict.reasons[0]
    slightly = {**SUITES, "typos": {"n": 100, "flip_rate": 0.16}}
    assert judge(version("candidate", BASE, suites=slightly), CHAMPION, HEALTHY).passed
    bare = version("candidate", BASE)
    assert failed(judge(Evaluated("candidate", bare.predictions, None, bare.golden, ()), CHAMPION, HEALTHY)) == {"behaviour not worse"}


def test_the_golden_set_the_corpus_and_the_leaks_are_checked_even_without_a_champion():
    test_id = ROWS[3].id
    verdict = judge(
        version("candidate", BASE, golden={"one": True, "two": False}, trained_on={test_id, "g"}),
        None,
        Corpus("c" * 64, False, {"mojibake": 3}, [("x", test_id, 0.9)], {"g"}),
    )
    assert failed(verdict) == {"corpus healthy", "no test prompt in training", "reserved prompts kept out", "golden set"}
    assert "3 mojibake" in " ".join(verdict.reasons) and verdict.champion is None
    assert judge(version("candidate", BASE), None, HEALTHY).passed


def test_a_golden_prompt_that_the_champion_passes_may_not_be_lost():
    golden = {str(n): True for n in range(40)}
    verdict = judge(version("candidate", BASE, golden={**golden, "7": False}), version("champion", BASE, golden=golden), HEALTHY)
    assert failed(verdict) == {"golden set"} and verdict.checks[3].detail["lost"] == ["7"]


def test_a_champion_that_saw_test_prompts_is_said_to_be_flattered():
    verdict = judge(version("candidate", BASE), version("champion", BASE, trained_on={ROWS[0].id}), HEALTHY)
    assert verdict.passed and "flatters the champion" in verdict.checks[1].sentence
    unknown = judge(version("candidate", BASE, trained_on=None), CHAMPION, HEALTHY)
    assert "is not known" in unknown.checks[1].sentence


def test_versions_measured_on_different_prompts_or_with_foreign_reports_are_not_compared():
    with pytest.raises(InputError, match="test set"):
        judge(version("candidate", BASE, rows=[Row("other", "a"), *ROWS[1:]]), CHAMPION, HEALTHY)
    foreign = version("candidate", BASE)
    foreign.behaviour["bound_to"]["router_sha256"] = "x" * 64
    with pytest.raises(InputError, match="of weights"):
        judge(foreign, CHAMPION, HEALTHY)


def test_a_verdict_survives_storage_and_an_override_belongs_to_one_verdict():
    import json

    verdict = judge(version("candidate", wrong(np.arange(200, 260), BASE)), CHAMPION, HEALTHY)
    back = Verdict.from_json(json.loads(json.dumps(verdict.to_json())))
    assert (back.sha256, back.sentence, canonical(back.to_json())) == (verdict.sha256, verdict.sentence, canonical(verdict.to_json()))
    with pytest.raises(InputError, match=r"The gate refused the version: .*It is worse"):
        may_promote(verdict)
    with pytest.raises(InputError, match="written reason"):
        override(verdict, "Ada", True, "because", "2026-01-01T00:00:00Z")
    given = override(verdict, "Ada", True, "The new labels are right, the test labels are not.", "2026-01-01T00:00:00Z")
    assert given.failed and may_promote(back, given) is None
    with pytest.raises(InputError, match="another verdict"):
        may_promote(judge(version("other", wrong(np.arange(200, 290), BASE)), CHAMPION, HEALTHY), given)
    with pytest.raises(InputError, match="not held against"):
        may_promote(None)
    passed = judge(version("candidate", BASE), CHAMPION, HEALTHY)
    assert may_promote(passed) is None
    with pytest.raises(InputError, match="nothing to override"):
        override(passed, "Ada", True, "for no reason at all", "2026-01-01T00:00:00Z")
