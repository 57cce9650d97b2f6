"""Out-of-domain scores, the detector and its figures (lab.evaluation.ood, ood_report)."""

import json
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from lab.corpus.duplicates import near_pairs
from lab.corpus.rows import Row
from lab.errors import InputError
from lab.evaluation import ood
from lab.evaluation.ood_report import Prompt, auroc, check_sides, fpr95, in_domain, read_prompts, separation
from lab.files import sha256_bytes, sha256_file
from lab.text.prepare import text_id

E = np.eye(3, dtype=np.float32)


# scores, by hand


def test_scores_from_logits_by_hand():
    logits = np.array([[0.0, 0.0], [3.0, -1.0]])
    assert ood.max_probability(np.array([0.25, 0.9])) == pytest.approx([0.75, 0.1])
    assert ood.max_logit(logits).tolist() == [0, -3]
    assert ood.energy(logits) == pytest.approx([-np.log(2), -np.log(np.e**3 + np.e**-1)])
    assert ood.energy(logits, temperature=2.0)[0] == pytest.approx(-2 * np.log(2))
    assert ood.joint_energy(logits)[0] == pytest.approx(-2 * np.log(2))


def test_energy_of_huge_logits_is_finite():
    assert ood.energy(np.array([[1e4, -1e4]])) == pytest.approx([-1e4])
    assert ood.joint_energy(np.array([[1e4, -1e4]])) == pytest.approx([-1e4])


def test_knn_is_the_distance_to_the_kth_nearest_row():
    train = np.stack([E[0], E[0], E[1]])
    assert ood.knn(E[:1], train, k=2) == pytest.approx([0.0], abs=1e-6)
    assert ood.knn(E[:1], train, k=3) == pytest.approx([np.sqrt(2)])
    assert ood.knn(-E[:1], train, k=3) == pytest.approx([2.0])


def test_knn_does_not_depend_on_the_block():
    vectors = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert ood.knn(vectors, vectors, 4, block=7) == pytest.approx(ood.knn(vectors, vectors, 4), abs=1e-6)


def test_knn_with_too_few_rows_is_refused():
    with pytest.raises(InputError, match="needs 4 training rows, there are 3"):
        ood.knn(E, E, k=4)


def test_mahalanobis_measures_in_widths_of_the_shared_covariance():
    """Two round classes, ten times as wide along the first axis: ten steps there are as far as one step along the second."""
    random = np.random.default_rng(0)
    cloud = random.normal(size=(4000, 2)) * [10, 1]
    train, labels = np.concatenate([cloud, cloud + np.array([0, 100])]), np.repeat([0, 1], 4000)
    found = ood.mahalanobis(np.array([[0.0, 0], [20, 0], [0, 2], [0, 102]]), train, labels)
    assert found == pytest.approx([0, 4, 4, 4], abs=0.6)


def test_relative_mahalanobis_takes_off_what_all_rows_share():
    random = np.random.default_rng(0)
    train, labels = random.normal(size=(2000, 2)) + np.repeat([[0, 0], [6, 0]], 1000, axis=0), np.repeat([0, 1], 1000)
    gaussians = ood.Gaussians.fit(train, labels)
    points = np.array([[0.0, 0], [3, 0]])
    all_rows = ((points - train.mean(0)) ** 2 / train.var(0)).sum(1)
    assert ood.relative_mahalanobis(points, train, labels) == pytest.approx(gaussians.mahalanobis(points) - all_rows, abs=0.2)
    assert gaussians.relative(points)[0] < gaussians.relative(points)[1]


# figures


def test_perfect_separation_and_its_reverse():
    assert (auroc(np.array([1.0, 2]), np.array([3.0, 4])), fpr95(np.array([1.0, 2]), np.array([3.0, 4]))) == (1.0, 0.0)
    assert (auroc(np.array([3.0, 4]), np.array([1.0, 2])), fpr95(np.array([3.0, 4]), np.array([1.0, 2]))) == (0.0, 1.0)


def test_all_tied_is_a_coin():
    assert auroc(np.zeros(3), np.zeros(5)) == 0.5


def test_fpr95_by_hand():
    """20 in-domain scores 1 … 20: the threshold that 19 of them pass is 19. Of 18.5, 19, 19.5, 30 two pass it."""
    inside = np.arange(1.0, 21)
    assert ood.passing_threshold(inside) == 19
    assert fpr95(inside, np.array([18.5, 19, 19.5, 30])) == 0.5


scores = st.lists(st.integers(-3, 3), min_size=1, max_size=30)


@given(scores, scores)
def test_auroc_is_sklearns_and_fpr95_is_the_thresholds(inside, outside):
    inside, outside = np.asarray(inside, float), np.asarray(outside, float)
    truth = np.concatenate([np.zeros(len(inside)), np.ones(len(outside))])
    assert auroc(inside, outside) == pytest.approx(roc_auc_score(truth, np.concatenate([inside, outside])))
    limit = ood.passing_threshold(inside)
    assert (inside <= limit).mean() >= 0.95
    assert fpr95(inside, outside) == pytest.approx((outside <= limit).mean())


def test_identical_distributions_are_near_a_half_and_the_interval_says_so():
    random = np.random.default_rng(1)
    found = separation(random.normal(size=400), random.normal(size=400), repeats=300)
    assert found["auroc"] == pytest.approx(0.5, abs=0.05)
    assert found["auroc_interval"][0] < 0.5 < found["auroc_interval"][1]
    assert found["fpr95_interval"][0] < 0.95 < found["fpr95_interval"][1]


def test_more_prompts_make_a_narrower_interval_and_the_same_seed_the_same():
    random = np.random.default_rng(2)
    few, many = (separation(random.normal(size=n), random.normal(size=n) + 1, repeats=200) for n in (40, 1000))
    width = [low_high["auroc_interval"][1] - low_high["auroc_interval"][0] for low_high in (few, many)]
    assert width[1] < width[0] / 2
    assert separation(np.arange(9.0), np.arange(5.0), 50) == separation(np.arange(9.0), np.arange(5.0), 50)


# the detector


@pytest.mark.parametrize("name", ood.OodDetector.NAMES)
def test_a_detector_lets_95_percent_pass_and_finds_the_far_one_outside(name):
    random = np.random.default_rng(0)

    def cloud(n):
        made = np.repeat(np.eye(8)[:2], n, axis=0) + 0.05 * random.normal(size=(2 * n, 8))
        return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32), np.repeat([0, 1], n)

    (train, labels), (valid, _) = cloud(300), cloud(200)
    detector = ood.OodDetector(name).fit(train, labels).calibrate(valid)
    assert 0.95 <= (detector.score(valid) <= detector.threshold).mean() < 0.96
    far = detector.judge(np.eye(8, dtype=np.float32)[7])
    assert far["outside"] is True and far["score"] > far["threshold"] and far["name"] == name
    assert detector.judge(train[0])["outside"] is False


def test_a_detector_that_cannot_be_fitted_says_why():
    with pytest.raises(InputError, match="no vector score 'energy'"):
        ood.OodDetector("energy")
    with pytest.raises(InputError, match="needs 10 training rows, there are 3"):
        ood.OodDetector("knn").fit(E)
    with pytest.raises(InputError, match="needs the labels"):
        ood.OodDetector("mahalanobis").fit(np.ones((20, 3)))
    with pytest.raises(InputError, match="validation rows, there are none"):
        ood.OodDetector().fit(E).calibrate(E[:0])


# which prompts stand on which side


def test_a_domain_that_the_taxonomy_knows_and_the_router_does_not_is_no_in_domain_prompt(bench):
    router = SimpleNamespace(name="r", domains=["docker"])
    rows = [Row("a", "docker"), Row("b", "rust"), Row("c", "my-file")]
    kept, foreign = in_domain(router, rows, bench.taxonomy)
    assert ([row.text for row in kept], foreign) == (["a", "c"], {"rust": 1})


def test_sides_that_are_small_or_share_a_prompt_are_refused():
    rows, prompts = [Row(f"in {n}", "a") for n in range(20)], [Prompt(f"out {n}") for n in range(20)]
    check_sides(rows, prompts)
    with pytest.raises(InputError, match="There are 3 out-of-domain prompts; under 20"):
        check_sides(rows, prompts[:3])
    with pytest.raises(InputError, match="1 prompts are given as in-domain and as out-of-domain, first ' in 3 '"):
        check_sides(rows, [*prompts, Prompt(" in 3 ")])


def test_prompts_are_read_with_kind_and_split_and_bad_lines_are_listed(tmp_path):
    path = tmp_path / "o.jsonl"
    path.write_text('{"prompt": "xx", "kind": "mash", "split": "dev"}\n{"text": " "}\n{"text": "yy"}\nnope\n')
    good, bad = read_prompts(path)
    assert good == [Prompt("xx", "", "mash", "dev"), Prompt("yy")]
    assert [(one.where, one.reason.split(":")[0]) for one in bad] == [
        ("o.jsonl:2", "the prompt has only white space"),
        ("o.jsonl:4", "not JSON"),
    ]


# the shipped prompts


@pytest.fixture(scope="module")
def shipped(bench):
    return [json.loads(line) for line in bench.home.out_of_domain.read_text(encoding="utf-8").splitlines()]


def test_shipped_prompts_are_new_distinct_and_split_by_the_rule_of_their_provenance(shipped, bench):
    texts = [row["prompt"] for row in shipped]
    ids = [text_id(text) for text in texts]
    assert len(set(ids)) == len(ids) >= 250
    assert not near_pairs(texts)
    assert not set(ids) & {row.id for row in bench.corpus.rows}
    for row, one in zip(shipped, ids, strict=True):
        assert row["split"] == ("dev" if int(sha256_bytes(f"ood-1:{one}".encode())[:8], 16) < 2**31 else "held")
    told = json.loads(bench.home.out_of_domain.with_suffix(".PROVENANCE.json").read_text(encoding="utf-8"))
    assert told["sha256"] == sha256_file(bench.home.out_of_domain)
    assert (told["rows"], told["per_kind"]) == (len(shipped), Counter(row["kind"] for row in shipped))
    assert told["per_split"] == Counter(row["split"] for row in shipped)


# with the real encoder


@pytest.mark.real
def test_the_default_score_is_the_best_vector_score_on_the_dev_half(bench):
    prompts, _ = read_prompts(bench.home.out_of_domain)
    rows = [row for row in bench.corpus.rows if bench.frozen_split[row.id] == "valid"]
    report = bench.ood_report("lab-47", rows, [one for one in prompts if one.split == "dev"])
    found = {name: report["scores"][name]["auroc"] for name in ood.OodDetector.NAMES}
    assert max(found, key=found.get) == ood.DEFAULT_SCORE


@pytest.mark.real
def test_the_workbench_says_inside_or_outside_with_one_detector_an_encoder(bench):
    assert bench.ood("How do I flash an STM32 over SWD?", "lab-47")["outside"] is False
    assert bench.ood("김장할 때 배추를 몇 시간 절여야 하나요?", "lab-47")["outside"] is True
    detector = bench.ood_detector("lab-47")
    assert detector is bench.ood_detector("v9-47"), "one detector for one encoder and one set of domains"
    assert detector is not bench.ood_detector("v5-32")


@pytest.mark.real
def test_a_domain_that_the_router_does_not_know_is_outside_of_what_it_was_fitted_on(bench):
    text = "AUTOSAR RTE : comment relier un SWC à un PDU CAN sous ISO 26262 ASIL D ?"
    assert bench.ood(text, "v5-32")["score"] > bench.ood(text, "lab-47")["score"]
