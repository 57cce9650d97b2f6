"""The one preparation of a prompt (lab.text.prepare)."""

import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lab.errors import InputError
from lab.text.prepare import CUT_KEEP, CUT_MARK, MAX_CHARS, fault, prepare, text_id

ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
AWKWARD = st.text("ae\u0301\u0300\u0327 \r\n\t\u2028\u1100\u1161\uac00x\x85\u0344\u0958", max_size=40)
SHORT_AND_LONG = st.tuples(st.one_of(ANY, AWKWARD), st.sampled_from([1, 1, 1, 40, 400])).map(lambda pair: pair[0] * pair[1])


@given(SHORT_AND_LONG)
def test_prepare_is_idempotent(text):
    assume(text.strip())
    assert prepare(prepare(text)) == prepare(text)


@given(SHORT_AND_LONG)
def test_a_prepared_text_is_nfc_with_unix_line_ends_no_outer_space_and_fits(text):
    assume(text.strip())
    prepared = prepare(text)
    assert unicodedata.is_normalized("NFC", prepared)
    assert "\r" not in prepared
    assert prepared == prepared.strip() != ""
    assert len(prepared) <= 1_000


@given(SHORT_AND_LONG, st.sampled_from(["", " ", "\r\n", "\t\u2003\n"]))
def test_text_id_does_not_depend_on_normal_form_line_ends_or_outer_space(text, pad):
    text = text.replace("\r", "")
    assume(text.strip())
    wanted = text_id(text)
    for form in ("NFC", "NFD"):
        assert text_id(unicodedata.normalize(form, text)) == wanted
    for end in ("\r\n", "\r"):
        assert text_id(text.replace("\n", end)) == wanted
    assert text_id(pad + text + pad) == wanted


def test_text_id_is_the_sha256_of_the_prepared_text_and_sees_case_and_inner_space():
    assert text_id("  abc\r\n") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert len({text_id(text) for text in ("abc", "Abc", "a bc", "a  bc", "abc.")}) == 5


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("", "The prompt is empty."),
        (" \t\r\n\u2003", "The prompt has only white space."),
        ("x" * 200_000, "200,000 characters and at most 100,000"),
        ("ab\0c", "NUL character at position 3"),
        ("abc \ud83d", "lone surrogate (U+D83D) at position 5"),
        (None, "is a NoneType, not a text"),
        (b"bytes", "is a bytes, not a text"),
        (7, "is a int, not a text"),
        (["a"], "is a list, not a text"),
    ],
)
def test_a_prompt_that_cannot_be_routed_says_why_and_what_to_do(bad, said):
    with pytest.raises(InputError) as caught:
        prepare(bad)
    assert said in str(caught.value)
    assert "Type or paste the text of one question" in str(caught.value)
    assert "\n" not in str(caught.value)
    str(caught.value).encode()  # the sentence itself can be printed
    with pytest.raises(InputError):
        text_id(bad)
    assert fault(bad)


@pytest.mark.parametrize("good", ["a", "?", "Bonjour", "日本語", "🙂", "\u0301x", "a\u2028b", "x" * MAX_CHARS])
def test_a_prompt_that_can_be_routed_has_no_fault(good):
    assert fault(good) is None


def test_1_000_characters_stay_whole_and_1_001_are_cut_to_the_two_ends():
    whole = "a" * 600 + "b" * 400
    assert prepare(whole) == whole
    assert prepare(whole + "b") == "a" * 256 + " ... " + "b" * 256


def test_the_length_is_counted_after_normalisation_and_stripping():
    assert prepare("e\u0301" * 1_000) == "é" * 1_000
    assert prepare("a\r\n" * 500) == ("a\n" * 500).strip()
    assert prepare(" " * 900 + "b" * 200 + " " * 900) == "b" * 200


def test_compatibility_characters_keep_their_meaning():
    assert prepare("x² ≠ x2, ﬁn, ５ Ω, ™") == "x² ≠ x2, ﬁn, ５ Ω, ™"
    assert prepare("ANGSTROM \u212b, OHM \u2126") == "ANGSTROM Å, OHM Ω"


def test_the_cut_leaves_no_space_beside_the_mark():
    head, tail = "h" * (CUT_KEEP - 3), "t" * (CUT_KEEP - 5)
    assert prepare(head + " " * 900 + tail) == head + CUT_MARK + tail


def test_two_long_prompts_that_differ_only_in_the_middle_are_the_same_to_the_router():
    ends = "a" * 256, "z" * 256
    assert text_id(ends[0] + "1" * 600 + ends[1]) == text_id(ends[0] + "2" * 700 + ends[1])
    assert text_id(ends[0] + "1" * 200 + ends[1]) != text_id(ends[0] + "2" * 200 + ends[1])
