"""Comparison, confusions, curves and out-of-fold predictions, on arrays small enough to check by eye."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from lab.corpus.rows import Row
from lab.errors import InputError
from lab.evaluation import out_of_fold
from lab.evaluation.compare import compare, difference_interval, figures, mcnemar
from lab.evaluation.confusions import cluster_order, cost_matrix, ranked_pairs
from lab.evaluation.curves import area_under_risk, domain_thresholds, histogram, multi_label, reliability, risk_coverage
from lab.evaluation.out_of_fold import UNKNOWN, Predictions, compute, fold_numbers
from lab.evaluation.write import write_report
from lab.router.recipe import Recipe

BACKEND = {"sql": "code", "python": "code", "math": "maths"}


def predictions(domains: list[str], answers: list[str], labels: list[str]) -> Predictions:
    """A router that answers as told; only what comparison reads."""
    logits = np.asarray([[1.0 if d == answer else 0.0 for d in domains] for answer in answers], dtype=np.float32)
    rows = [Row(f"prompt {n}", label) for n, label in enumerate(labels)]
    primary = np.asarray([domains.index(label) if label in domains else UNKNOWN for label in labels])
    return Predictions(SimpleNamespace(domains=domains, sha256="x"), rows, logits, primary, "direct", "corpus")


def same(label: str) -> str:
    return label


def test_fixed_and_broken_are_counted_prompt_by_prompt():
    labels = ["sql", "sql", "math", "math", "python"]
    a = predictions(["math", "python", "sql"], ["sql", "math", "math", "sql", "sql"], labels)
    b = predictions(["math", "python", "sql"], ["sql", "sql", "sql", "math", "python"], labels)
    result = figures(compare(a, b, "shared", same, BACKEND.get))
    assert (result["n"], result["top1_a"], result["top1_b"], result["fixed"], result["broken"]) == (5, 0.4, 0.8, 3, 1)
    assert result["per_domain"]["sql"] == {
        "n": 2,
        "recall_a": 0.5,
        "recall_b": 1.0,
        "interval_b": pytest.approx([0.342, 1.0], abs=1e-3),
        "fixed": 1,
        "broken": 0,
        "judged": False,
    }
    assert result["verdict"] == "no difference is shown"


def test_shared_mode_holds_both_to_the_labels_they_share():
    labels = ["sql", "rust"]
    a = predictions(["python", "sql"], ["sql", "sql"], labels)
    b = predictions(["rust", "sql"], ["sql", "rust"], labels)
    comparison = compare(a, b, "shared", same, BACKEND.get)
    assert comparison.labels == ["sql"]
    with pytest.raises(InputError, match="share no label"):
        compare(predictions(["a"], ["a"], ["a"]), predictions(["b"], ["b"], ["a"]), "shared", same, BACKEND.get)


def test_mapped_mode_asks_for_the_backend_only():
    labels = ["sql", "math"]
    a = predictions(["math", "python"], ["python", "math"], labels)
    b = predictions(["math", "sql"], ["math", "math"], labels)
    result = figures(compare(a, b, "mapped", same, BACKEND.get))
    assert (result["n"], result["top1_a"], result["top1_b"]) == (2, 1.0, 0.5)


def test_routers_scored_on_different_prompts_are_refused():
    a = predictions(["sql"], ["sql"], ["sql"])
    b = replace(a, rows=[Row("another prompt", "sql")])
    with pytest.raises(InputError, match="different prompts"):
        compare(a, b, "shared", same, BACKEND.get)


@pytest.mark.parametrize(("fixed", "broken", "p"), [(0, 0, 1.0), (5, 5, 1.0), (10, 0, 2 * 0.5**10), (8, 2, 0.109375)])
def test_mcnemar_is_the_exact_binomial(fixed, broken, p):
    assert mcnemar(fixed, broken) == pytest.approx(p)


def test_paired_interval_holds_the_difference_and_excludes_zero_when_it_is_clear():
    low, high = difference_interval(60, 10, 1000)
    assert 0 < low < 0.05 < high
    low, high = difference_interval(30, 30, 1000)
    assert low < 0 < high


def test_pairs_are_ranked_by_count_and_know_their_cost():
    table = np.asarray([[5, 3, 1], [0, 4, 0], [2, 0, 2]])
    pairs = ranked_pairs(table, ["math", "python", "sql"], lambda a, b: BACKEND[a] != BACKEND[b])
    assert [(p.wanted, p.given, p.count, p.costly) for p in pairs] == [
        ("math", "python", 3, True),
        ("sql", "math", 2, True),
        ("math", "sql", 1, True),
    ]
    assert pairs[1].rate == 0.5
    assert cost_matrix(["python", "sql"], lambda a, b: BACKEND[a] != BACKEND[b]).tolist() == [[0, 0], [0, 0]]


def test_domains_that_are_confused_stand_together():
    table = np.eye(6, dtype=int) * 20
    table[0, 5] = table[5, 0] = 10
    table[1, 3] = table[3, 1] = 10
    order = cluster_order(table)
    assert sorted(order) == list(range(6))
    assert abs(order.index(0) - order.index(5)) == 1 and abs(order.index(1) - order.index(3)) == 1


def test_reliability_bins_hold_every_prompt_once():
    p = np.asarray([0.1, 0.2, 0.8, 0.9])
    bins = reliability(p, np.asarray([False, False, True, True]), bins=2)
    assert [(b["n"], b["accuracy"]) for b in bins] == [(2, 0.0), (2, 1.0)]
    assert [b["probability"] for b in bins] == pytest.approx([0.15, 0.85])


def test_risk_coverage_answers_the_most_certain_first():
    p, right = np.asarray([0.9, 0.8, 0.3, 0.1]), np.asarray([True, True, False, True])
    curve = risk_coverage(p, right)
    assert [(c["coverage"], round(c["precision"], 3)) for c in curve] == [(0.25, 1.0), (0.5, 1.0), (0.75, 0.667), (1.0, 0.75)]
    assert area_under_risk(p, right) == pytest.approx((0 + 0 + 1 / 3 + 1 / 4) / 4)


def test_histogram_counts_right_and_wrong_apart():
    counts = histogram(np.asarray([0.05, 0.95, 0.95]), np.asarray([False, True, False]), bins=10)
    assert counts["right"][-1] == 1 and counts["wrong"][0] == 1 and counts["wrong"][-1] == 1


def test_domain_threshold_needs_ten_prompts():
    p = np.linspace(0.99, 0.5, 20)
    rows = domain_thresholds(p, np.zeros(20, dtype=int), np.arange(20) < 15, ["sql", "math"], target=1.0)
    assert rows[0]["threshold"] == pytest.approx(p[14]) and rows[0]["coverage"] == 0.75
    assert rows[1] == {"domain": "math", "threshold": None, "coverage": 0.0, "predicted": 0}


def test_multi_label_counts_also_as_wanted():
    scores = np.asarray([[0.9, 0.8, 0.1], [0.2, 0.6, 0.7]])
    also = np.asarray([[0, 1, 0], [0, 0, 0]])
    found = multi_label(scores, np.asarray([0, 1]), also)
    assert found == {"precision": 3 / 4, "recall": 1.0, "top1_or_also": 0.5}


def test_folds_keep_near_duplicates_together_and_do_not_move_when_rows_are_added():
    rows = [Row("comment dimensionner un convertisseur buck ?", "power"), Row("Comment dimensionner un convertisseur buck", "power")]
    rows += [Row(f"a different question about thing number {n} {'x' * n}", "general") for n in range(40)]
    before = fold_numbers(rows)
    assert before[0] == before[1]
    assert fold_numbers([*rows, Row("something new altogether", "general")])[:-1].tolist() == before.tolist()
    assert set(before) <= set(range(out_of_fold.FOLDS)) and len(set(before)) > 1


def test_a_prompt_is_never_scored_by_a_head_that_saw_it():
    """Labels are noise, so only a head that saw a row can know its label."""
    random = np.random.default_rng(0)
    vectors = random.normal(size=(120, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    primary = random.integers(0, 4, 120)
    primary[:5] = UNKNOWN
    also = np.zeros((120, 4), dtype=np.uint8)
    full = np.full((120, 4), 7.0, dtype=np.float32)
    recipe = Recipe("memorise", "ce", epochs=60, learning_rate=0.01, dropout=0.0, also_weight=0.0)
    seen: list[tuple[int, int]] = []
    logits = compute(
        vectors,
        primary,
        also,
        np.arange(120) % 5,
        np.zeros(120, dtype=bool),
        recipe,
        full,
        progress=lambda done, of: seen.append((done, of)),
    )
    assert (logits[5:].argmax(1) == primary[5:]).mean() < 0.5
    assert (logits[:5] == 7.0).all()
    assert seen == [(k, 5) for k in range(1, 6)]


def test_folds_may_be_chosen_and_the_rows_that_are_learnt_from_too():
    """A row's label is its vector's sign. A row that is not learnt from is as good as one whose label is unknown."""
    random = np.random.default_rng(1)
    vectors = np.abs(random.normal(size=(100, 8))).astype(np.float32)
    primary = np.arange(100) % 2
    vectors[primary == 1] *= -1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    also, fold, none = np.zeros((100, 2), dtype=np.uint8), np.arange(100) // 20, np.zeros(100, dtype=bool)
    full, recipe = np.full((100, 2), 7.0), Recipe("short", "ce", epochs=20, learning_rate=0.01)
    one = compute(vectors, primary, also, fold, none, recipe, full, workers=1, folds=[3])
    assert (one[fold == 3].argmax(1) == primary[fold == 3]).all()
    assert (one[fold != 3] == 7.0).all()
    fewer = compute(vectors, primary, also, fold, none, recipe, full, workers=1, folds=[3], learnt=fold != 0)
    unknown = compute(vectors, np.where(fold == 0, UNKNOWN, primary), also, fold, none, recipe, full, workers=1, folds=[3])
    assert (fewer[fold == 3] == unknown[fold == 3]).all()
    assert (fewer[fold == 3] != one[fold == 3]).any()


def test_a_larger_share_of_the_corpus_holds_the_smaller_one():
    from lab.use_cases.ablating import drawn

    ids = [str(n) for n in range(4000)]
    half, most, every = drawn(ids, 0.5), drawn(ids, 0.75), drawn(ids, 1.0)
    assert 0.46 < half.mean() < 0.54 and 0.71 < most.mean() < 0.79 and every.all()
    assert not (half & ~most).any()


@pytest.mark.parametrize(("record", "fold"), [(None, None), ({"plan": {"layers": 0}, "fold": None}, None), ({"plan": {"layers": 2}, "fold": 3}, 3), ({"plan": {"layers": 2}, "fold": None}, "refused")])
def test_figures_out_of_fold_of_an_adapted_encoder_are_of_prompts_it_has_not_seen(bench, tmp_path, record, fold):
    from lab.errors import InputError
    from lab.use_cases.ablating import _fold_left_out

    (tmp_path / "config.json").write_text('{"hidden_size": 8}')
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    if record is not None:
        (tmp_path / "adapted.json").write_text(json.dumps(record))
    if fold == "refused":
        with pytest.raises(InputError, match="has learnt"):
            _fold_left_out(bench, str(tmp_path))
    else:
        assert _fold_left_out(bench, str(tmp_path)) == fold


def test_kept_predictions_are_bound_to_router_corpus_and_order(tmp_path):
    rows = [Row("one", "a"), Row("two", "b")]
    path = tmp_path / "oof.npz"
    out_of_fold.save(path, "sha", rows, np.asarray([[1.0, 2.0], [3.0, 4.0]]))
    assert out_of_fold.load(path, "sha", rows).tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert out_of_fold.load(path, "other", rows) is None
    assert out_of_fold.load(path, "sha", rows[::-1]) is None
    assert out_of_fold.load(path, "sha", [Row("one", "b"), Row("two", "b")]) is None
    path.write_bytes(path.read_bytes()[:50])
    assert out_of_fold.load(path, "sha", rows) is None


def test_shipped_out_of_fold_predictions_belong_to_the_shipped_routers(bench):
    for name in bench.router_names():
        router = bench.router(name)
        logits = out_of_fold.load(router.folder.path / out_of_fold.NAME, router.sha256, bench.corpus.rows)
        assert logits is not None and logits.shape == (len(bench.corpus.rows), router.head.domains)


def test_a_report_of_other_weights_is_refused(tmp_path):
    p = predictions(["sql"], ["sql"], ["sql"])
    with pytest.raises(Exception, match="Evaluate again"):
        write_report(tmp_path / "report", {"bound_to": {"router_sha256": "y" * 64}}, p)
    assert not (tmp_path / "report").exists()
