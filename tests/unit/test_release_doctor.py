"""The taxonomy doctor: pairs that can and cannot be told apart, curves that say when they cannot say, merges and splits with scores."""

from dataclasses import replace

import numpy as np
import pytest

from lab.errors import InputError
from lab.release.doctor import auc_interval, separability, simulate_merge, simulate_split
from lab.release.learning import Point, fit_curve, learning_points
from tests.unit.release_case import RECIPE, dataset, rows, vectors


@pytest.fixture(scope="module")
def corpus():
    data = dataset(rows(120))
    return data, vectors(data)


@pytest.fixture(scope="module")
def blurred(corpus):
    """beta's prompts are called beta or delta by a coin."""
    data, x = corpus
    coin = np.random.default_rng(1).random(len(data.rows)) < 0.5
    some = [replace(row, domain="delta") if row.domain == "beta" and coin[n] else row for n, row in enumerate(data.rows)]
    return replace(data, rows=some, domains=sorted({row.domain for row in some})), x


def test_separable_domains_score_high_and_a_coin_scores_a_half(blurred):
    worst, best = separability(*blurred, [("alpha", "beta"), ("beta", "delta")])
    assert (worst.a, worst.b) == ("beta", "delta") and worst.interval[0] < 0.5 < worst.interval[1] and "hardly" in worst.verdict
    assert best.auc > 0.97 and best.interval[0] > 0.9


def test_a_pair_without_prompts_is_refused(corpus):
    with pytest.raises(InputError, match="0 prompts"):
        separability(*corpus, [("alpha", "nothing")])


def test_the_interval_of_an_auc_is_the_published_one():
    low, high = auc_interval(0.8, 50, 50)  # Hanley & McNeil 1982: standard error 0.0446
    assert (high - low) / 2 / 1.96 == pytest.approx(0.0446, abs=2e-4)


def test_merging_what_cannot_be_told_apart_costs_nothing_and_names_its_score(blurred):
    found = simulate_merge(*blurred, RECIPE, ["beta", "delta"])
    assert (found.domains_before, found.domains_after) == (4, 3) and found.n == len(blurred[0].side("valid"))
    assert found.parts["beta + delta"]["f1"] > 0.9 and found.top1_after >= found.top1_before - 0.05
    assert "Merge of beta, delta" in found.sentence and found.difference[0] <= found.top1_after - found.top1_before <= found.difference[1]
    with pytest.raises(InputError, match="no domain"):
        simulate_merge(*blurred, RECIPE, ["beta", "epsilon"])
    with pytest.raises(InputError, match="two domains"):
        simulate_merge(*blurred, RECIPE, ["beta"])


def test_a_split_by_meaning_is_told_apart_and_one_by_a_coin_is_not(corpus):
    data, x = corpus
    by_word = {row.id: "fruit" if "apple" in row.text else "rest" for row in data.rows if row.domain == "alpha"}
    by_coin = {row.id: f"alpha{n % 2}" for n, row in enumerate(data.rows) if row.domain == "alpha"}
    meaning, coin = (simulate_split(data, x, RECIPE, "alpha", parts) for parts in (by_word, by_coin))
    assert min(row["f1"] for row in meaning.parts.values()) > max(0.7, min(row["f1"] for row in coin.parts.values()))
    assert meaning.domains_after == 4 and set(simulate_split(data, x, RECIPE, "alpha", 2).parts) == {"alpha/1", "alpha/2"}
    with pytest.raises(InputError, match="no part"):
        simulate_split(data, x, RECIPE, "alpha", {})


def test_learning_points_grow_with_the_prompts_of_their_own_domain(corpus):
    data, x = corpus
    points = learning_points(data, x, RECIPE.with_changes(epochs=3), folds=1, groups=3)
    assert set(points) == set(data.domains)
    sizes = [point.n for point in points["alpha"]]
    assert len(sizes) == 5 and sizes == sorted(sizes) and sizes[0] < sizes[-1] / 4
    usable = {row.id for row, side in zip(data.rows, data.splits, strict=True) if side != "test"}
    assert all(point.support <= len(usable) / 3 for one in points.values() for point in one)


def curve_points(a, b, sizes, support=4_000):
    """Points that lie on 1 − F1 = a·n^(−b)."""
    return [Point(n, round(support * (1 - a * n**-b)), support, support) for n in sizes]


def test_a_known_power_law_gives_the_number_of_prompts_it_needs():
    points = curve_points(2.0, 0.5, [20, 40, 80, 160]) * 3  # 1 − F1 = 0.15 at n = 178
    found = fit_curve("alpha", points, 140, 0.85)
    assert found.b == pytest.approx(0.5, abs=0.01) and found.f1 == pytest.approx(1 - 2 * 140**-0.5, abs=0.01)
    assert found.more == pytest.approx(38, abs=3) and found.more_interval[0] <= found.more <= found.more_interval[1]
    assert f"about {found.more} more for F1 ≥ 0.85" in found.sentence
    assert fit_curve("alpha", points, 400, 0.85).more == 0


def test_a_flat_noisy_or_short_curve_cannot_say():
    assert fit_curve("alpha", curve_points(0.5, 0.0, [20, 40, 80, 160]), 160, 0.85).more is None
    noisy = [Point(n, hits, 20, 20) for n, hits in ((20, 9), (40, 11), (80, 10), (160, 12))]
    assert "cannot be said" in fit_curve("alpha", noisy, 160, 0.85).sentence
    assert "too few" in fit_curve("alpha", noisy[:2], 40).sentence
    assert fit_curve("alpha", [], 0).more is None
    assert fit_curve("alpha", curve_points(0.9, 0.1, [20, 40, 80, 160]), 160, 0.85).more is None  # far beyond four times the prompts
    with pytest.raises(InputError, match="target"):
        fit_curve("alpha", noisy, 40, 1.5)


def test_a_hybrid_is_examined_with_its_ngrams(corpus):
    """Vectors that say nothing: what is right is the n-grams' doing."""
    data, _ = corpus
    noise = np.random.default_rng(0).normal(size=(len(data.rows), 8)).astype(np.float32)
    hybrid = RECIPE.with_changes(epochs=2, lexical_weight=12.0)
    found = {name: learning_points(data, noise, recipe, folds=1, groups=1)["alpha"][-1] for name, recipe in (("head", replace(hybrid, lexical_weight=0.0)), ("hybrid", hybrid))}
    assert found["hybrid"].tp > found["hybrid"].support * 0.9 > found["head"].tp
    assert simulate_merge(data, noise, hybrid, data.domains[:2]).top1_before > 0.9
