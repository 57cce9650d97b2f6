"""The order of a queue, and the catalogue that makes its items."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.curation.material import Material, OtherVersion, Unlike, percent
from lab.curation.order import ALIKE, SAME, diverse_order
from lab.curation.queues import CATALOGUE, build
from lab.errors import InputError
from lab.evaluation.out_of_fold import UNKNOWN


def alone(n: int, start: int = 0, dim: int = 128) -> np.ndarray:
    """n vectors of which no two look alike."""
    return np.eye(dim, dtype=np.float32)[start : start + n]


def alike_in_a_row(order: np.ndarray, vectors: np.ndarray) -> int:
    """Length of the longest run of look-alikes."""
    longest = run = 1
    for a, b in pairwise(order):
        run = run + 1 if vectors[a] @ vectors[b] >= ALIKE else 1
        longest = max(longest, run)
    return longest


class TestOrder:
    def test_unlike_prompts_come_by_score(self):
        assert diverse_order(np.asarray([0.2, 0.9, 0.5]), alone(3)).tolist() == [1, 2, 0]

    @pytest.mark.parametrize("best", [True, False])
    def test_thirty_look_alikes_do_not_follow_each_other(self, best):
        vectors = np.concatenate([np.repeat(alone(1), 30, axis=0), alone(40, 1)])
        scores = np.linspace(1, 0, 70) if best else np.linspace(0, 1, 70)
        order = diverse_order(scores, vectors)
        assert alike_in_a_row(order, vectors) == 1
        assert order[0] == (0 if best else 69)

    def test_only_look_alikes_come_by_score_all_the_same(self):
        assert sorted(diverse_order(np.linspace(1, 0, 9), np.repeat(alone(1), 9, axis=0)).tolist()) == list(range(9))

    def test_one_kind_of_confusion_does_not_fill_the_screen(self):
        kind = np.asarray([0] * 20 + [1] * 20)
        order = diverse_order(np.linspace(1, 0, 40), alone(40), kind)
        runs = "".join(str(kind[row]) for row in order)
        assert runs.startswith("0001000")
        assert "0" * (SAME + 1) not in runs[: runs.rindex("0")]

    def test_a_group_stays_together_best_first(self):
        group = np.asarray([0, 1, 0, 2, 1])
        order = diverse_order(np.asarray([0.1, 0.5, 0.9, 0.7, 0.6]), alone(5), group=group)
        assert order.tolist() == [2, 0, 3, 4, 1]

    @given(seed=st.integers(0, 10_000), n=st.integers(0, 40), groups=st.booleans())
    def test_every_prompt_comes_once_and_look_alikes_meet_only_without_a_gap(self, seed, n, groups):
        random = np.random.default_rng(seed)
        vectors = alone(6)[random.integers(0, 6, n)]
        group = random.integers(0, 5, n) if groups else None
        order = diverse_order(random.random(n), vectors, random.integers(0, 3, n), group)
        assert sorted(order.tolist()) == list(range(n))
        if groups:
            seen = [int(group[row]) for row in order]
            assert [one for k, one in enumerate(seen) if k == 0 or one != seen[k - 1]] == list(dict.fromkeys(seen))
        elif n:
            most = np.bincount(vectors.argmax(axis=1)).max()
            assert alike_in_a_row(order, vectors) == 1 or most > (n + 1) // 2 or _no_gap(order, vectors)


def _no_gap(order: np.ndarray, vectors: np.ndarray) -> bool:
    """Whether every look-alike that follows another has no earlier place between two prompts unlike it."""
    for at in range(1, len(order)):
        if vectors[order[at]] @ vectors[order[at - 1]] >= ALIKE:
            alike = vectors[order[:at]] @ vectors[order[at]] >= ALIKE
            if (~alike[:-1] & ~alike[1:]).any():
                return False
    return True


# the catalogue


@pytest.fixture
def material() -> Material:
    """40 prompts of ham, jam and tea in turn. 0: ham, predicted jam for certain. 1: close. 39: new, no label. 3, 4: nearly one text."""
    domains, n = ["ham", "jam", "tea"], 40
    primary = np.arange(n) % 3
    p = np.full((n, 3), 0.05, np.float32)
    p[np.arange(n), primary] = 0.9
    p[0], p[1] = [0.02, 0.96, 0.02], [0.47, 0.5, 0.03]
    primary[39] = UNKNOWN
    texts = [f"prompt number {n} about {n * 7919 % 1000} things" for n in range(n)]
    texts[3], texts[4] = "is the kettle on already, or shall I put it on now", "Is the kettle on already? Or shall I put it on now!"
    second = p.copy()
    second[7] = [0.8, 0.1, 0.1]
    return Material(
        [f"id{n}" for n in range(n)], texts, alone(n), domains, p, np.ones(n, dtype=bool), primary, np.zeros((n, 3), np.uint8),
        ["test" if n == 0 else "train" for n in range(n)], "Router x", [frozenset()] * n, np.zeros(n, dtype=bool),
        OtherVersion("Router y", domains, second, np.ones(n, dtype=bool)),
        Unlike(np.linspace(0, 1, n), 0.98, np.linspace(0, 1, 100), np.ones(n, dtype=bool)),
        given={"from-matrix": {"id2": "“jam → tea” by Ada", "id0": "“jam → tea” by Ada"}},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "ids", "suggestion", "words"),
    [
        ("label-issues", ["id0"], "jam", ["Labelled ham", "jam 96 %", "nearest prompts", "test set"]),
        ("confidently-wrong", ["id0"], "jam", ["Labelled ham (2 %)", "96 % sure of jam"]),
        ("low-margin", ["id1"], "ham", ["jam (50 %) and ham (47 %)", "The label is jam."]),
        ("versions-disagree", ["id7"], "ham", ["Router x says jam (90 %)", "Router y says ham (80 %)"]),
        ("near-duplicates", ["id3", "id4"], "jam", ["Labelled ham", "100 % alike to one prompt labelled jam"]),
        ("out-of-domain", ["id39"], "ham", ["Unlike anything Router x was trained on", "no label yet"]),
        ("from-matrix", ["id0", "id2"], "jam", ["Sent from “jam → tea” by Ada."]),
        ("from-map", [], None, []),
        ("from-traffic", ["id39"], "ham", ["New, no label yet. Router x: ham 90 %"]),
        ("second-opinions", [], None, []),
    ],
)
def test_each_queue_holds_its_prompts_and_says_why(material, name, ids, suggestion, words):
    found = build(name, material)
    assert [item.prompt_id for item in found.items] == ids
    assert found.found == len(ids) and found.note == ""
    if ids:
        first = found.items[0]
        assert first.suggestion == suggestion and 0 < first.score <= 1
        for word in words:
            assert word in first.reason


def test_a_prompt_of_the_test_side_is_marked(material):
    items = {name: build(name, material).items[0] for name in ("label-issues", "low-margin")}
    assert items["label-issues"].detail["split"] == "test" and "A test prompt" in items["label-issues"].reason
    assert items["low-margin"].detail["split"] == "train" and "test prompt" not in items["low-margin"].reason


def test_near_duplicates_name_their_partners(material):
    assert build("near-duplicates", material).items[0].detail["partners"] == [{"id": "id4", "label": "jam", "similarity": 1.0}]


def test_who_was_asked_is_not_asked_again_by_the_same_queues_but_by_audit_and_second_opinions(material):
    decided = replace(material, decided_by=[frozenset({"Ada"})] * 40)
    for name in (
        "label-issues",
        "confidently-wrong",
        "low-margin",
        "versions-disagree",
        "out-of-domain",
        "from-traffic",
        "near-duplicates",
    ):
        assert build(name, decided).items == []
    assert len(build("from-matrix", decided).items) == 2
    for name in ("audit", "second-opinions"):
        items = build(name, decided).items
        assert items and all(item.suggestion is None and set(item.detail) == {"split"} for item in items)
        assert not any(domain in item.reason for item in items for domain in material.domains)


def test_a_flagged_prompt_is_the_first_second_opinion(material):
    flagged = np.zeros(40, dtype=bool)
    flagged[8] = True
    items = build("second-opinions", replace(material, flagged=flagged, decided_by=[frozenset({"Ada"})] * 40)).items
    assert items[0].prompt_id == "id8" and "Somebody asked" in items[0].reason
    assert len(items) > 1 and all("one person decided" in item.reason for item in items[1:])


def test_what_does_not_fit_into_a_queue_is_counted(material):
    found = build("from-matrix", material, most=1)
    assert [item.prompt_id for item in found.items] == ["id0"]
    assert found.note == "The 1 most doubtful of 2; the others come with the next build."


def test_a_label_that_the_router_lacks_is_no_new_prompt(material):
    assert build("from-traffic", replace(material, labelled=np.ones(40, dtype=bool))).items == []


def test_a_version_with_fewer_domains_is_compared_where_both_know_the_domains(material):
    second = material.other.probabilities[:, [1, 0]]
    other = OtherVersion("Router y", ["jam", "ham"], second, np.ones(40, dtype=bool))
    assert [item.prompt_id for item in build("versions-disagree", replace(material, other=other)).items] == ["id7"]


@pytest.mark.parametrize(("name", "part"), [("versions-disagree", "other"), ("out-of-domain", "unlike")])
def test_a_queue_says_what_it_lacks(material, name, part):
    with pytest.raises(InputError, match=r"There (is|are)"):
        build(name, replace(material, **{part: None}))


def test_unknown_queues_and_shapes_are_refused(material):
    with pytest.raises(InputError, match="no queue 'nothing'"):
        build("nothing", material)
    with pytest.raises(InputError, match="also have another shape"):
        replace(material, also=np.zeros((40, 2), np.uint8))


def test_every_queue_says_what_it_is_and_how_it_is_ordered():
    assert [name for name, queue in CATALOGUE.items() if queue.blind] == ["audit", "second-opinions"]
    for name, queue in CATALOGUE.items():
        assert name == queue.name and queue.title and queue.description.endswith(".") and queue.order.endswith(".")


@pytest.mark.parametrize(("share", "text"), [(0, "0 %"), (0.001, "under 1 %"), (0.814, "81 %"), (0.999, "over 99 %"), (1, "100 %")])
def test_percentages_never_claim_certainty(share, text):
    assert percent(share) == text
