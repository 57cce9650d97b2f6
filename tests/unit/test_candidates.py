"""Unlabelled traffic: what comes first, and which groups are offered as new domains."""

from __future__ import annotations

import numpy as np
import pytest

from lab.curation.candidates import FEWEST, candidate_domains, propose_name, traffic_scores, uncertainty

BEER = [
    "mash temperature for a pale ale",
    "hops schedule in an ale recipe",
    "why does my ale taste of yeast",
    "bottle the ale with how much sugar",
]
BEES = ["when to inspect the hive in spring", "varroa count in my hive", "queen gone from the hive", "split a strong hive before swarming"]


def scattered(n: int, dim: int, random: np.random.Generator) -> np.ndarray:
    vectors = random.normal(size=(n, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def around(middle: np.ndarray, n: int, random: np.random.Generator) -> np.ndarray:
    vectors = middle + 0.08 * random.normal(size=(n, len(middle))).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def traffic():
    """40 prompts on beer, 30 on bees, 60 on anything: vectors and texts."""
    random = np.random.default_rng(0)
    middles = scattered(2, 32, random)
    vectors = np.concatenate([around(middles[0], 40, random), around(middles[1], 30, random), scattered(60, 32, random)])
    texts = (
        [f"{BEER[n % 4]} {n}" for n in range(40)]
        + [f"{BEES[n % 4]} {n}" for n in range(30)]
        + [f"thing{n} for the w{n}ord" for n in range(60)]
    )
    return vectors, texts


def test_uncertainty_is_1_at_a_tie_and_0_at_certainty():
    assert uncertainty(np.asarray([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])).tolist() == [1, 0]


def test_an_unsure_and_new_prompt_comes_before_a_sure_and_familiar_one():
    p = np.asarray([[0.5, 0.5], [0.5, 0.5], [1.0, 0.0], [1.0, 0.0]])
    score, unsure, novel = traffic_scores(p, np.asarray([5.0, 0.1, 5.0, 0.1]), np.linspace(0, 1, 96))
    assert np.argsort(-score, kind="stable").tolist() == [0, 1, 2, 3]
    assert score == pytest.approx((unsure + novel) / 2)
    assert novel[0] == pytest.approx(0.98) and novel[1] == pytest.approx(0.1)
    assert traffic_scores(p)[2] is None and traffic_scores(p)[0].tolist() == [1, 1, 0, 0]


def test_two_subjects_are_offered_with_a_name_and_samples_and_every_prompt_is_counted(traffic):
    vectors, texts = traffic
    p = np.tile(np.asarray([[0.2, 0.3]], np.float32), (130, 1))
    found = candidate_domains(vectors, texts, [""] * 130, ["a word about the weather"] * 20, (), p, ["rain", "sun"])
    beer = next(one for one in found.offered if one.rows[0] < 40)
    bees = next(one for one in found.offered if 40 <= one.rows[0] < 70)
    assert sum(row < 40 for row in beer.rows) >= max(30, 0.9 * len(beer.rows))
    assert sum(40 <= row < 70 for row in bees.rows) >= max(20, 0.9 * len(bees.rows))
    assert beer.name.split("-")[0] == "ale" and bees.name.split("-")[0] == "hive"
    assert beer.words[0][1] > 0.7 and beer.words[0][2] < 0.1
    assert set(beer.samples) <= set(beer.rows) and 1 <= len(beer.samples) <= 5
    assert beer.nearest == ("sun", pytest.approx(0.3))
    assert found.n == found.looked_at == 130
    assert found.alone == 130 - sum(len(one.rows) for one in found.offered)


def test_a_language_is_no_subject(traffic):
    vectors, texts = traffic
    shift = np.zeros(32, np.float32)
    shift[0] = 3
    half = np.arange(len(texts)) % 2 == 0
    moved = np.where(half[:, None], vectors + shift, vectors)
    moved /= np.linalg.norm(moved, axis=1, keepdims=True)
    found = candidate_domains(moved, texts, ["fr" if one else "en" for one in half], seed=0)
    for one in found.offered:
        assert len({row < 40 for row in one.rows if row < 70}) <= 1
    assert any({row % 2 for row in one.rows} == {0, 1} for one in found.offered)


def test_the_same_traffic_gives_the_same_candidates(traffic):
    vectors, texts = traffic
    assert candidate_domains(vectors, texts, [""] * 130) == candidate_domains(vectors, texts, [""] * 130)


@pytest.mark.parametrize("n", [0, 1, 2 * FEWEST - 1])
def test_too_few_prompts_are_no_domain(n):
    random = np.random.default_rng(1)
    found = candidate_domains(around(scattered(1, 8, random)[0], n, random), ["ale"] * n, ["en"] * n)
    assert found.offered == [] and found.alone == n


def test_prompts_without_words_get_a_plain_name():
    random = np.random.default_rng(2)
    vectors = np.concatenate([around(middle, 25, random) for middle in scattered(2, 32, random)])
    found = candidate_domains(vectors, ["?!"] * 50, [""] * 50)
    assert [one.name for one in found.offered] == ["new", "new-2"][: len(found.offered)]
    assert found.offered


def test_a_name_is_ascii_and_free():
    assert propose_name(["ale", "hops", "yeast"], set()) == "ale-hops"
    assert propose_name(["ale", "hops", "yeast"], {"ale-hops"}) == "ale-hops-yeast"
    assert propose_name(["ale", "hops"], {"ale-hops", "ale-hops-2"}) == "ale-hops-3"
    assert propose_name(["c++", "日本"], set()) == "c"
    assert propose_name([], {"new"}) == "new-2"
