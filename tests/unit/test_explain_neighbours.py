"""Which words drive a decision, and which labelled prompts are near (lab.router.explain, lab.text.neighbours)."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import InputError
from lab.router.explain import MOST_PIECES, leave_one_out, pieces
from lab.text.neighbours import nearest
from lab.text.prepare import text_id


def toy(calls=None):
    """Logit = 2 · times of "good" − 3 · times of "bad" + 0.5."""

    def logit(texts):
        if calls is not None:
            calls.append(list(texts))
        return np.array([2.0 * len(re.findall("good", text)) - 3.0 * len(re.findall("bad", text)) + 0.5 for text in texts])

    return logit


def test_each_word_has_its_place_and_the_sign_of_what_it_does():
    text = "a good\n\tday, bad  weather"
    found = leave_one_out(text, toy())
    assert [(piece.text, piece.effect) for piece in found] == [("a", 0), ("good", 2), ("day,", 0), ("bad", -3), ("weather", 0)]
    assert all(text[piece.start : piece.end] == piece.text for piece in found)


def test_the_same_word_twice_has_an_effect_each_time():
    assert [piece.effect for piece in leave_one_out("good or good", toy())] == [2, 0, 2]


def test_the_logit_is_asked_once_with_the_text_first_and_one_shorter_text_a_word():
    calls = []
    leave_one_out("one two three", toy(calls))
    assert len(calls) == 1
    assert calls[0][0] == "one two three"
    assert [text.split() for text in calls[0][1:]] == [["two", "three"], ["one", "three"], ["one", "two"]]


@pytest.mark.parametrize("text", ["", "   ", "word", " word "])
def test_under_two_words_there_is_nothing_to_leave_out(text):
    calls = []
    assert leave_one_out(text, toy(calls)) == []
    assert calls == []


@pytest.mark.parametrize(("words", "run", "spans"), [(48, 1, 48), (49, 2, 25), (96, 2, 48), (97, 3, 33), (200, 5, 40)])
def test_more_than_48_words_are_taken_in_runs_of_equal_length(words, run, spans):
    text = " ".join(f"w{n}" for n in range(words))
    found = pieces(text)
    assert len(found) == spans <= MOST_PIECES
    assert {len(text[start:end].split()) for start, end in found[:-1]} <= {run}
    assert " ".join(text[start:end] for start, end in found) == text


def test_a_run_has_the_effect_of_its_words_together():
    found = leave_one_out("good good " + "x " * 98, toy())
    assert [piece.effect for piece in found] == [4.0] + [0.0] * 33
    assert found[0].text == "good good x"


@given(st.text("ab \n\té", max_size=400))
def test_pieces_cover_every_word_in_order_without_overlap(text):
    found = pieces(text)
    assert " ".join(" ".join(text[start:end] for start, end in found).split()) == " ".join(text.split())
    assert all(a[1] < b[0] for a, b in pairwise(found))
    assert all(start < end for start, end in found)


def unit(n, dim=16, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("k", [1, 5, 900, 4_999, 5_000, 9_000])
def test_nearest_is_a_full_sort(k):
    matrix, vector = unit(5_000), unit(1, seed=1)[0]
    order = np.argsort(-(matrix @ vector))[:k]
    found = nearest(vector, matrix, k)
    assert [row for row, _ in found] == order.tolist()
    assert [cosine for _, cosine in found] == pytest.approx((matrix @ vector)[order].tolist())


def test_nearest_of_nothing_is_empty():
    assert nearest(unit(1)[0], unit(5), 0) == []
    assert nearest(unit(1)[0], np.empty((0, 16), np.float32), 3) == []


@pytest.mark.real
def test_the_word_that_names_the_tool_speaks_for_its_domain(bench):
    text = "why does my docker container restart all night"
    found = bench.explain(text, "lab-47", "docker")
    assert [piece.text for piece in found] == text.split()
    assert max(found, key=lambda piece: piece.effect).text in ("docker", "container")
    assert max(piece.effect for piece in found) > 0.5


def test_a_domain_the_router_does_not_have_is_refused(bench):
    with pytest.raises(InputError, match="Router lab-47 has no domain 'made-up'"):
        bench.explain("hello", "lab-47", "made-up")


@pytest.mark.real
def test_an_explanation_is_of_the_prepared_text(bench):
    long = "docker " * 400
    found = bench.explain(long, "lab-47", "docker")
    assert found[0].start == 0
    assert found[-1].end <= 256 + 5 + 256
    assert len(found) <= MOST_PIECES


@pytest.mark.real
def test_neighbours_are_labelled_prompts_nearest_first_and_never_the_prompt_itself(bench):
    own = bench.corpus.rows[0]
    found = bench.neighbours(own.text, "lab-47", k=7)
    assert len(found) == 7
    assert text_id(own.text) not in {one.row.id for one in found}
    assert [one.cosine for one in found] == sorted((one.cosine for one in found), reverse=True)
    assert all(one.split == bench.frozen_split[one.row.id] for one in found)
    assert bench.in_corpus(f"  {own.text}\r\n") == own
    assert bench.in_corpus("this prompt is not in the corpus at all") is None


@pytest.mark.real
def test_neighbours_of_a_new_prompt_are_those_of_a_full_sort(bench):
    text = "my esp32 loses its mqtt connection every ten minutes"
    index = bench.corpus_index(bench.router("lab-47").encoder_name)
    vector = bench.serving_encoder(bench.router("lab-47")).encode([text])[0]
    wanted = np.argsort(-(index.vectors @ vector))[:5]
    found = bench.neighbours(text, "lab-47", k=5)
    assert [one.row for one in found] == [index.rows[row] for row in wanted]
    assert found[0].row.domain in ("iot", "platformio", "embedded")
