"""Near-duplicates by exact Jaccard, and the split that keeps them together (lab.corpus.duplicates, lab.corpus.split)."""

import json
import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.corpus.duplicates import fold, groups, near_pairs
from lab.corpus.rows import Row, corpus_sha256
from lab.corpus.split import LEFT_OUT, RULE, assign, by_hash, read_frozen, split_sha256, write_frozen
from lab.errors import LabError
from lab.files import sha256_file

WORDS = [
    "bonjour",
    "carte",
    "resistance",
    "moteur",
    "docker",
    "volume",
    "requete",
    "index",
    "filtre",
    "bruit",
    "fonction",
    "boucle",
    "pilote",
    "tension",
    "courant",
    "antenne",
    "cadre",
    "titre",
    "resume",
    "langue",
]


def sentence(seed: int, words: int = 12) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words)) + f" {seed}"


# near-duplicates


@pytest.mark.parametrize(
    ("a", "b", "alike"),
    [
        ("Ça VA ?", "ca va", True),
        ("Hello, world!", "hello   WORLD", True),
        ("ﬁn", "fin", True),
        ("Straße", "STRASSE", True),
        ("C", "C++", False),
        ("c#", "c", False),
        ("???", "!!!", False),
        ("3.3 V", "33 V", False),
    ],
)
def test_fold_ignores_case_accents_and_punctuation_but_not_what_names_a_language(a, b, alike):
    assert (fold(a) == fold(b)) is alike


def brute_force(texts, threshold):
    """Straight from the definition: character 5-grams of the folded text between two spaces."""
    sets = []
    for text in texts:
        padded = f" {fold(text)} "
        sets.append({padded[i : i + 5] for i in range(len(padded) - 4)} or {padded})
    found = [(i, j, len(sets[i] & sets[j]) / len(sets[i] | sets[j])) for i in range(len(texts)) for j in range(i + 1, len(texts))]
    return [one for one in found if one[2] >= threshold]


EDITS = st.lists(st.tuples(st.integers(0, 60), st.sampled_from(["", "x", " ", "é", "E", "!", "zz"])), max_size=3)


def edited(base: str, edits) -> str:
    for place, new in edits:
        place %= len(base) + 1
        base = base[:place] + new + base[place + 1 :]
    return base


FAMILIES = st.lists(
    st.tuples(st.one_of(st.text("abc é!", max_size=30), st.integers(0, 4).map(lambda n: sentence(n, 6))), st.lists(EDITS, max_size=4)),
    max_size=5,
)


@given(FAMILIES, st.sampled_from([0.8, 0.5, 1.0]))
def test_near_pairs_are_those_of_brute_force(families, threshold):
    texts = [edited(base, edits) for base, variants in families for edits in ([], *variants)]
    assert near_pairs(texts, threshold) == brute_force(texts, threshold)


def test_near_pairs_on_a_few_hundred_sentences_are_those_of_brute_force():
    texts = [sentence(n % 60) if n % 3 else edited(sentence(n % 60), [(n, "x")]) for n in range(240)]
    found = near_pairs(texts)
    assert found == brute_force(texts, 0.8)
    assert len(found) > 200
    assert any(0.8 < similarity < 1 for *_, similarity in found)


def test_one_changed_letter_in_a_long_prompt_is_near_and_one_in_a_short_prompt_is_not():
    assert [
        pair[:2]
        for pair in near_pairs(
            [
                "the quick brown fox jumps over the lazy dog and runs away from it",
                "the quick brown fox jumps over the lazy dog and runs away from us",
            ]
        )
    ] == [(0, 1)]
    assert near_pairs(["Bonjour", "Bonsoir"]) == []


def test_a_similarity_of_exactly_the_threshold_counts():
    shorter = "abcdefgh ijklmnopq"  # 16 grams, all of them among the 20 of the longer
    assert near_pairs([shorter, f"{shorter} rst"]) == [(0, 1, 0.8)]
    assert near_pairs([shorter, f"{shorter} rstu"]) == []
    assert near_pairs(["abcdefghijklm", "abcdefghijklm nopqrstu"], 0.55) == [(0, 1, 0.55)]  # 11 of 20, and 0.55 · 20 > 11 as floats


def test_groups_follow_chains_and_are_named_by_their_first_row():
    assert groups(6, []) == [0, 1, 2, 3, 4, 5]
    assert groups(6, [(1, 4, 0.9), (4, 5, 0.8), (2, 3, 1.0)]) == [0, 1, 2, 2, 1, 1]
    assert groups(4, [(2, 3, 1.0), (1, 2, 1.0), (0, 1, 1.0)]) == [0, 0, 0, 0]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_groups_are_the_connected_components(edges):
    pairs = [(min(a, b), max(a, b), 1.0) for a, b in edges if a != b]
    reach = {row: {row} for row in range(10)}
    for _ in range(10):
        for a, b, _ in pairs:
            reach[a] = reach[b] = reach[a] | reach[b]
            for row in reach[a]:
                reach[row] = reach[a] | reach[row]
    assert groups(10, pairs) == [min(reach[row]) for row in range(10)]


# the split


def rows_of(*texts, **given):
    return [Row(text, "d", **given) for text in texts]


FAR = [f"{sentence(n, 10)} {n * 7919} {'abcdefghij'[n % 10] * 9}" for n in range(60)]


def test_by_hash_gives_80_10_10():
    count = Counter(by_hash(f"{n:064x}") for n in range(20_000))
    assert count["train"] / 20_000 == pytest.approx(0.8, abs=0.01)
    assert count["valid"] / 20_000 == pytest.approx(0.1, abs=0.01)
    assert count["test"] / 20_000 == pytest.approx(0.1, abs=0.01)


def test_by_hash_is_written_down_for_ever():
    """The rule is part of every shipped split: these answers may not change without a new RULE."""
    assert {row.text: by_hash(row.id) for row in rows_of("Bonjour", "hello", "What is a buck converter?", "yes", "non")} == {
        "Bonjour": "train", "hello": "train", "What is a buck converter?": "valid", "yes": "test", "non": "test"
    }  # fmt: skip
    assert RULE.startswith("sha256('split-1:' + text id)")


def test_shares_of_many_texts_are_near_80_10_10():
    rows = rows_of(*(" ".join(random.Random(n).choices("abcdefghijklmnopqrstuvwxyz", k=24)) for n in range(3_000)))
    count = Counter(assign(rows))
    assert {side: n / 3_000 for side, n in count.items()} == pytest.approx({"train": 0.8, "valid": 0.1, "test": 0.1}, abs=0.025)


def test_adding_rows_moves_nobody():
    rows = rows_of(*FAR)
    before = assign(rows[:30])
    assert len(set(before)) > 1
    assert assign(rows)[:30] == before
    assert assign([*rows[30:], *rows[:30]])[30:] == before


def test_relabelling_and_reordering_moves_nobody():
    rows = rows_of(*FAR)
    before = {row.id: side for row, side in zip(rows, assign(rows), strict=True)}
    changed = [replace(row, domain=f"other-{n}", also=("x",), lang="fr") for n, row in enumerate(reversed(rows))]
    assert {row.id: side for row, side in zip(changed, assign(changed), strict=True)} == before


def near_to(text: str, name: str) -> Row:
    row = Row(f"{text} {name}", "d")
    assert near_pairs([text, row.text]), "the test's own texts must be near-duplicates"
    return row


BASE = "comment regler la boucle de courant du moteur quand la tension de la carte baisse et que le filtre laisse passer tout le bruit de fonction du pilote"


def test_near_duplicates_share_a_side_even_where_their_hashes_differ():
    family = [Row(BASE, "d"), *(near_to(BASE, name) for name in "abcdefghijklmnop")]
    assert len({by_hash(row.id) for row in family}) > 1
    assert set(assign(family)) == {by_hash(min(row.id for row in family))}


@pytest.mark.parametrize("side", ["train", "valid", "test"])
def test_a_new_near_duplicate_follows_its_frozen_neighbour(side):
    old, new = Row(BASE, "d"), near_to(BASE, "v2")
    assert assign([old, new], {old.id: side}) == [side, side]
    assert assign([new, old], {old.id: side}) == [side, side]


def test_a_row_that_bridges_two_frozen_sides_is_left_out_and_the_frozen_stay():
    left, middle, right = f"abcdefghijklm nopqrstuvwxyz {BASE}", BASE, f"{BASE} zyxwvutsrqponm lkjihgfedcba"
    assert [pair[:2] for pair in near_pairs([left, middle, right])] == [(0, 1), (1, 2)]
    rows = rows_of(left, middle, right)
    assert assign(rows, {rows[0].id: "train", rows[2].id: "test"}) == ["train", LEFT_OUT, "test"]
    assert assign(rows, {rows[0].id: "test", rows[2].id: "test"}) == ["test", "test", "test"]


def test_a_rows_own_split_wins_over_the_frozen_one():
    rows = [Row("one", "d", split="test"), Row("two", "d")]
    assert assign(rows, {rows[0].id: "train", rows[1].id: "valid"}) == ["test", "valid"]


def test_split_hash_does_not_depend_on_row_order_and_sees_every_side():
    rows, sides = rows_of("a", "b", "c"), ["train", "valid", "test"]
    assert split_sha256(rows, sides) == split_sha256(rows[::-1], sides[::-1])
    assert split_sha256(rows, sides) != split_sha256(rows, ["train", "valid", "train"])
    twice, sides = rows_of("a", "a"), ["train", "test"]
    assert split_sha256(twice, sides) == split_sha256(twice, sides[::-1]) != split_sha256(twice, ["test", "test"])


def test_corpus_hash_sees_text_and_labels_only_in_any_order():
    a, b = Row("  a\r\nb ", "x", also=("y", "z"), lang="fr", part="p"), Row("c", "x")
    assert corpus_sha256([a, b]) == corpus_sha256([b, Row("a\nb", "x", also=("z", "y"), split="test")])
    assert (
        len(
            {
                corpus_sha256(rows)
                for rows in ([a, b], [a], [replace(a, domain="y"), b], [replace(a, also=()), b], [replace(a, text="a"), b])
            }
        )
        == 5
    )


def test_a_frozen_split_reads_back_and_leaves_out_what_has_no_side(tmp_path):
    rows = rows_of("a", "b", "c", "d")
    write_frozen(tmp_path / "split.json", rows, ["train", "test", LEFT_OUT, "valid"])
    assert read_frozen(tmp_path / "split.json") == {rows[0].id: "train", rows[1].id: "test", rows[3].id: "valid"}
    assert read_frozen(tmp_path / "absent.json") == {}


@pytest.mark.parametrize(
    "value",
    [{}, [], {"splits": ["a"]}, {"splits": {"train": 3}}, {"splits": {"train": ["a"], "holdout": ["b"]}}],
    ids=["no splits", "list", "list inside", "number", "unknown side"],
)
def test_a_split_file_of_another_form_is_an_error_that_names_it(tmp_path, value):
    path = tmp_path / "split.json"
    path.write_text(json.dumps(value))
    with pytest.raises(LabError, match=r"split\.json"):
        read_frozen(path)


# the shipped corpus


@pytest.fixture(scope="module")
def provenance(project):
    return json.loads((project / "corpus" / "PROVENANCE.json").read_text(encoding="utf-8"))


def test_the_shipped_split_is_what_the_rule_gives(bench):
    rows = bench.corpus.rows
    assert dict(zip((row.id for row in rows), assign(rows), strict=True)) == bench.frozen_split


def test_provenance_hashes_are_those_of_the_corpus_and_its_split(bench, provenance):
    rows = bench.corpus.rows
    splits = [bench.frozen_split[row.id] for row in rows]
    assert provenance["corpus_sha256"] == corpus_sha256(rows)
    assert provenance["split_sha256"] == split_sha256(rows, splits)
    assert provenance["split_rows"] == dict(Counter(splits))
    assert provenance["split_rule"] == RULE == json.loads((bench.home.corpus / "split.json").read_text(encoding="utf-8"))["rule"]


def test_provenance_counts_are_those_of_the_corpus(bench, provenance):
    rows = bench.corpus.rows
    totals = provenance["totals"]
    assert provenance["grand_total"] == len(rows) == sum(source["rows_used"] for source in provenance["sources"])
    assert totals["per_domain"] == dict(Counter(row.domain for row in rows))
    assert totals["per_part"] == dict(Counter(row.part for row in rows))
    assert totals["per_language"] == dict(Counter(row.lang for row in rows))
    assert totals["with_also"] == sum(bool(row.also) for row in rows)


def test_provenance_lists_every_file_with_its_rows_and_sha256(bench, provenance):
    rows = Counter(row.where.split(":")[0] for row in bench.corpus.rows)
    names = {file.relative_to(bench.home.corpus).as_posix(): file for file in bench.home.corpus.rglob("*.jsonl")}
    found = {name: (file.parent.name, sha256_file(file), rows[name]) for name, file in names.items()}
    assert {source["file"]: (source["part"], source["sha256"], source["rows_used"]) for source in provenance["sources"]} == found
    assert all(source["license_spdx"] for source in provenance["sources"])


def test_every_label_of_the_shipped_corpus_is_in_the_taxonomy_and_every_domain_has_all_three_sides(bench):
    rows = bench.corpus.rows
    assert {label for row in rows for label in (row.domain, *row.also)} <= set(bench.taxonomy.by_name)
    sides = {(row.domain, bench.frozen_split[row.id]) for row in rows}
    assert len(sides) == 3 * len({row.domain for row in rows})
