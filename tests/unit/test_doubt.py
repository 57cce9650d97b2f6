"""Reasons to doubt a label: scores in [0, 1] with answers that can be seen in the figures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.curation import doubt
from lab.curation.votes import neighbour_vote
from lab.errors import InputError
from lab.evaluation.out_of_fold import UNKNOWN

A, B, C = 0, 1, 2


def problem(rows: list[list[float]], primary: list[int], also: dict[int, list[int]] | None = None):
    """probabilities, primary, also, out_of_sample: what most reasons take."""
    p = np.asarray(rows, dtype=np.float32)
    more = np.zeros(p.shape, dtype=np.uint8)
    for row, domains in (also or {}).items():
        more[row, domains] = 1
    return p, np.asarray(primary), more, np.ones(len(p), dtype=bool)


def clean(n: int = 30) -> tuple[list[list[float]], list[int]]:
    """n rows, a third of each label, all of them well predicted."""
    primary = [row % 3 for row in range(n)]
    return [[0.9 if domain == own else 0.05 for domain in range(3)] for own in primary], primary


@pytest.mark.parametrize("reason", [doubt.label_issues, doubt.confidently_wrong, doubt.low_margin])
class TestEveryReason:
    def test_refuses_probabilities_that_have_seen_the_label(self, reason):
        p, primary, also, sample = problem(*clean())
        sample[4] = False
        with pytest.raises(InputError, match=r"1 of 30 .* trained on these prompts"):
            reason(p, primary, also, sample)

    def test_does_not_ask_where_an_unlabelled_row_comes_from(self, reason):
        p, primary, also, sample = problem(*clean())
        sample[4], primary[4] = False, UNKNOWN
        score, other = reason(p, primary, also, sample)
        assert (score[4], other[4]) == (0, UNKNOWN)

    def test_takes_an_also_label_for_right(self, reason):
        rows, primary = clean()
        rows[0] = [0.01, 0.98, 0.01]
        rows[3] = [0.47, 0.53, 0.0]
        found = reason(*problem(rows, primary))[0]
        assert found[0] > 0 or found[3] > 0
        cleared = reason(*problem(rows, primary, {0: [B], 3: [B]}))[0]
        assert cleared[0] == cleared[3] == 0

    @given(data=st.data())
    def test_scores_lie_between_0_and_1_and_point_outside_the_label(self, reason, data):
        n, domains = data.draw(st.integers(1, 12)), data.draw(st.integers(2, 5))
        random = np.random.default_rng(data.draw(st.integers(0, 10_000)))
        p = random.dirichlet(np.full(domains, 0.3), n).astype(np.float32)
        primary, also = random.integers(-1, domains, n), (random.random((n, domains)) < 0.2).astype(np.uint8)
        score, other = reason(p, primary, also, np.ones(n, dtype=bool))
        assert score.shape == (n,) and (score >= 0).all() and (score <= 1).all()
        doubted = np.flatnonzero(score > 0)
        assert (other[doubted] != UNKNOWN).all()
        assert not doubt.accepted(primary, also)[doubted, other[doubted]].any()
        assert (primary[doubted] != UNKNOWN).all()


def test_a_swapped_label_comes_first_among_label_issues():
    rows, primary = clean()
    primary[0] = C  # its probabilities say A
    score, other = doubt.label_issues(*problem(rows, primary))
    assert score.argmax() == 0 and other[0] == A
    assert (score[1:] == 0).all()


def test_surprise_is_the_other_domains_share_times_the_logarithm_of_the_labels():
    score, other = doubt.surprise(np.asarray([[0.1, 0.8, 0.1], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), np.zeros(3, int), np.zeros((3, 3)))
    assert other[0] == B
    assert score == pytest.approx([0.8 / 3, 0, 1], abs=1e-6)  # log(0.1) / log(0.001) = 1/3


def test_neighbours_can_turn_the_suggestion_and_an_unasked_row_keeps_its_score():
    p, primary, also, _ = problem([[0.1, 0.5, 0.4], [0.1, 0.5, 0.4]], [A, A])
    alone = doubt.surprise(p, primary, also)[0][0]
    votes = np.asarray([[0.0, 0.1, 0.9], [0.0, 0.0, 0.0]], dtype=np.float32)
    score, other = doubt.with_votes(p, votes, primary, also)
    assert other.tolist() == [C, B]
    assert score[0] > alone and score[1] == pytest.approx(alone)


def test_confidently_wrong_begins_at_the_level():
    p = problem([[0.1, 0.85, 0.05], [0.3, 0.65, 0.05], [0.95, 0.05, 0.0]], [A, A, A])
    assert doubt.confidently_wrong(*p)[0] == pytest.approx([0.85, 0, 0])
    assert doubt.confidently_wrong(*p, level=0.6)[0] == pytest.approx([0.85, 0.65, 0])


def test_low_margin_is_high_where_two_domains_are_close():
    p = problem([[0.45, 0.44, 0.11], [0.7, 0.2, 0.1], [0.4, 0.35, 0.25]], [A, A, C])
    score, other = doubt.low_margin(*p)
    assert score == pytest.approx([0.99, 0, 0.95])
    assert other.tolist() == [B, UNKNOWN, A]


def test_the_closest_twentieth_counts_where_the_calibration_leaves_a_gap_between_first_and_second():
    rows = [[0.5 + 0.001 * n, 0.3 - 0.001 * n, 0.2] for n in range(100)]  # no margin is below 0.2
    score, _ = doubt.low_margin(*problem(rows, [A] * 100))
    assert np.flatnonzero(score).tolist() == [0, 1, 2, 3, 4]


def test_versions_disagree_scores_the_less_sure_of_the_two():
    first, primary, also, sample = problem([[0.9, 0.1, 0.0], [0.9, 0.1, 0.0], [0.9, 0.1, 0.0]], [A, A, C], {1: [B]})
    second = np.asarray([[0.3, 0.7, 0.0], [0.3, 0.7, 0.0], [0.3, 0.7, 0.0]], dtype=np.float32)
    score, other = doubt.versions_disagree(first, second, np.asarray([True, True, False]), primary, also, sample)
    assert score == pytest.approx([0.7, 0, 0])  # the second row accepts both, the third cannot be compared
    assert other.tolist() == [B, UNKNOWN, UNKNOWN]


def test_near_duplicates_conflict_only_where_one_label_is_wrong_for_the_other():
    _, primary, also, _ = problem([[0, 0, 0]] * 6, [A, B, A, B, A, UNKNOWN], {2: [B], 3: [A]})
    pairs = [(0, 1, 0.9), (2, 3, 1.0), (0, 4, 0.95), (1, 5, 0.99)]
    score, other, bad = doubt.duplicates_in_conflict(pairs, primary, also)
    assert bad == [(0, 1, 0.9)]
    assert score == pytest.approx([0.9, 0.9, 0, 0, 0, 0])
    assert other[:2].tolist() == [B, A]


def test_out_of_domain_keeps_the_order_beyond_every_known_prompt():
    reference = np.linspace(0, 1, 101)
    score = doubt.out_of_domain(np.asarray([0.5, 2.0, 3.0, -np.inf]), 0.95, reference, np.ones(4, dtype=bool))
    assert score[0] == score[3] == 0
    assert 0.95 < score[1] < score[2] < 1


def test_a_draw_takes_a_tenth_stays_when_prompts_are_added_and_changes_with_the_seed():
    ids = [f"prompt {n}" for n in range(4_000)]
    every = np.ones(4_000, dtype=bool)
    luck = doubt.drawn(ids, every, seed=1)
    assert 340 < (luck > 0).sum() < 460
    assert (doubt.drawn(ids[:1_000], every[:1_000], seed=1) == luck[:1_000]).all()
    assert (doubt.drawn(ids, every, seed=2) != luck).any()
    assert (doubt.drawn(ids, ~every, seed=1) == 0).all()


def test_second_opinions_are_flagged_prompts_then_some_that_exactly_one_person_decided():
    ids = [f"prompt {n}" for n in range(300)]
    deciders = np.asarray([0] * 100 + [1] * 100 + [2] * 100)
    flagged = np.zeros(300, dtype=bool)
    flagged[[5, 250]] = True
    score = doubt.second_opinions(ids, flagged, deciders, seed=0, share=1.0)
    assert np.flatnonzero(score == 1).tolist() == [5, 250]
    assert (np.delete(score[:100], 5) == 0).all() and (score[100:200] > 0).all() and (np.delete(score[200:], 50) == 0).all()


class TestNeighbourVote:
    def test_the_prompt_itself_and_its_near_duplicates_do_not_vote(self):
        texts = ["how do I join two tables in one query", "How do I join two tables in one query?", "left join in a query", "bake a cake"]
        vectors = np.asarray([[1, 0], [1, 0], [0.9, 0.435889894], [0, 1]], dtype=np.float32)
        vote = neighbour_vote(np.asarray([0]), vectors, texts, np.asarray([A, A, B, C]), 3, k=1)
        assert vote.counts.tolist() == [[0, 1, 0]]
        assert vote.shares.tolist() == [[0, 1, 0]]

    def test_nearer_prompts_weigh_more_and_unlabelled_ones_nothing(self):
        vectors = np.asarray([[1, 0], [1, 0], [0.6, 0.8], [1, 0]], dtype=np.float32)
        vote = neighbour_vote(np.asarray([0]), vectors, ["a b c", "d e f", "g h i", "j k l"], np.asarray([A, B, C, UNKNOWN]), 3)
        assert vote.counts.tolist() == [[0, 1, 1]]
        assert vote.shares[0] == pytest.approx([0, 1 / (1 + 0.6**4), 0.6**4 / (1 + 0.6**4)], abs=1e-6)
        assert vote.asked.tolist() == [2]

    @given(seed=st.integers(0, 1_000), n=st.integers(1, 120), k=st.integers(1, 9), block=st.integers(1, 50))
    def test_the_short_cut_finds_what_sorting_everything_finds(self, seed, n, k, block):
        random = np.random.default_rng(seed)
        vectors = random.normal(size=(n, 4)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        primary = random.integers(-1, 3, n)
        rows = random.permutation(n)[: max(1, n // 2)]
        vote = neighbour_vote(rows, vectors, [f"{x} {x} {x}" for x in random.random(n)], primary, 3, k, block)
        for at, row in enumerate(rows):
            others = [one for one in np.flatnonzero(primary != UNKNOWN) if one != row]
            best = sorted(others, key=lambda one: -float(vectors[one] @ vectors[row]))[:k]
            assert vote.counts[at].tolist() == np.bincount(primary[best], minlength=3).tolist() if best else [0, 0, 0]
