"""How far two curators agree beyond chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from lab.curation.agreement import Decision, agreements, kappa_of


def decisions(first: str, second: str) -> list[Decision]:
    """Ada's and Bob's choices, one letter a prompt; a dot is no decision."""
    return [Decision(f"p{n}", who, one) for who, line in (("Ada", first), ("Bob", second)) for n, one in enumerate(line) if one != "."]


def test_kappa_of_the_textbook():
    """Two readers on 50 grants, yes or no: 20 both yes, 15 both no, 5 and 10 apart. Observed 0.7, chance 0.5: kappa 0.4."""
    one = agreements(decisions("y" * 25 + "n" * 25, "y" * 20 + "n" * 5 + "y" * 10 + "n" * 15))[0]
    assert (one.n, one.same) == (50, 35)
    assert one.kappa == pytest.approx(0.4)
    low, high = one.interval
    assert 0.05 < low < 0.4 < high < 0.75
    assert one.disputes == (("n", "y", 10), ("y", "n", 5))


@given(seed=st.integers(0, 10_000), n=st.integers(2, 40))
def test_kappa_is_the_one_of_scikit_learn(seed, n):
    random = np.random.default_rng(seed)
    a, b, weights = random.integers(0, 4, n), random.integers(0, 4, n), random.integers(1, 4, n)
    own = kappa_of(a, b, weights)
    if not np.isnan(own):
        assert own == pytest.approx(cohen_kappa_score(a, b, sample_weight=weights))


def test_only_prompts_that_both_decided_count_and_the_last_decision_of_each():
    told = [*decisions("ab" * 10 + "....", "ab" * 10 + "bbbb"), Decision("p0", "Ada", "b")]
    one = agreements(told)[0]
    assert (one.first, one.second, one.n, one.same) == ("Ada", "Bob", 20, 19)


def test_full_agreement_is_no_certainty():
    few, many = (agreements(decisions("ab" * n, "ab" * n))[0] for n in (5, 100))
    assert few.kappa == many.kappa == 1
    assert few.interval[1] == 1 and few.interval[0] < 0.6 < 0.9 < many.interval[0]


def test_chance_agreement_is_near_0():
    random = np.random.default_rng(0)
    lines = ["".join("abcd"[one] for one in random.integers(0, 4, 400)) for _ in range(2)]
    one = agreements(decisions(*lines))[0]
    assert one.interval[0] < 0 < one.interval[1] and abs(one.kappa) < 0.1


def test_where_nothing_can_be_said_it_says_why():
    few = agreements(decisions("abc", "abd"))[0]
    assert few.kappa is None and "Only 3 prompts" in few.note
    same = agreements(decisions("a" * 20, "a" * 20))[0]
    assert same.kappa is None and same.interval is None and "chance alone" in same.note


def test_three_people_make_three_pairs_and_strangers_none():
    told = [*decisions("ab" * 10, "ab" * 10), *[Decision(f"p{n}", "Cy", "a") for n in range(12)], Decision("elsewhere", "Dee", "a")]
    assert [(one.first, one.second, one.n) for one in agreements(told)] == [("Ada", "Bob", 20), ("Ada", "Cy", 12), ("Bob", "Cy", 12)]


def test_the_same_decisions_give_the_same_interval():
    told = decisions("aabbabab" * 4, "abbbaaab" * 4)
    assert agreements(told, seed=3) == agreements(told, seed=3)
    assert agreements(told, seed=3)[0].interval != agreements(told, seed=4)[0].interval
