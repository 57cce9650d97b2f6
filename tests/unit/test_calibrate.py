"""Calibration, abstain thresholds, metrics and their intervals, against answers by hand and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import f1_score, top_k_accuracy_score

from lab.errors import ArtefactError
from lab.evaluation.intervals import bootstrap, wilson
from lab.evaluation.metrics import confusion, expected_calibration_error, f1_from_confusion, slices, summarise, top_k_hits
from lab.router import calibrate
from lab.router.calibrate import TARGETS, Calibration, fit_calibration, fit_platt, fit_temperature, thresholds
from lab.router.head import sigmoid, softmax


def drawn(n, classes, temperature, seed=0):
    """Logits, and labels that follow softmax(logits / temperature) exactly."""
    random = np.random.default_rng(seed)
    logits = random.normal(scale=3, size=(n, classes)).astype(np.float32)
    p = softmax(logits / temperature)
    return logits, (p.cumsum(1) > random.random((n, 1))).argmax(1)


# calibration


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_temperature_recovers_the_one_that_made_the_labels(temperature):
    fitted = fit_temperature(*drawn(6_000, 5, temperature))
    assert fitted.kind == "temperature"
    assert fitted.a[0] == pytest.approx(temperature, rel=0.05)


def test_temperature_keeps_the_order_and_gives_probabilities():
    logits, _ = drawn(50, 4, 1.0)
    p = Calibration("temperature", (2.0,)).probabilities(logits)
    assert p.sum(1) == pytest.approx(1, abs=1e-6)
    assert (p.argsort(1) == logits.argsort(1)).all()
    assert Calibration("temperature", (2.0,)).probabilities(np.array([[2 * np.log(3), 0.0]]))[0] == pytest.approx([0.75, 0.25])


def test_platt_is_a_sigmoid_a_class():
    p = Calibration("platt", (1.0, 2.0), (0.0, -1.0)).probabilities(np.array([[0.0, 0.5]], np.float32))
    assert p[0] == pytest.approx([0.5, 0.5])


def test_platt_recovers_slope_and_offset_of_a_class():
    random = np.random.default_rng(0)
    z = random.normal(scale=3, size=20_000)
    first = random.random(20_000) < 1 / (1 + np.exp(-(1.5 * z - 0.7)))
    fitted = fit_platt(np.stack([z, -z], 1), np.where(first, 0, 1))
    assert (fitted.a[0], fitted.b[0]) == pytest.approx((1.5, -0.7), rel=0.06)
    assert (fitted.a[1], fitted.b[1]) == pytest.approx((1.5, 0.7), rel=0.06)


def test_platt_gives_a_rare_class_the_fit_of_all_classes_together():
    logits, primary = drawn(400, 4, 1.0)
    primary = np.where(primary >= 2, 0, primary)
    primary[:4], primary[4:8] = 2, 3
    fitted = fit_platt(logits, primary)
    assert (fitted.a[2], fitted.b[2]) == (fitted.a[3], fitted.b[3])
    assert len({fitted.a[0], fitted.a[1], fitted.a[2]}) == 3


def test_validation_rows_of_a_single_class_are_calibrated_without_error():
    logits, _ = drawn(120, 3, 1.0)
    fitted, _ = fit_calibration(logits, np.zeros(120, dtype=np.int64))
    p = fitted.probabilities(logits)
    assert p is None or np.isfinite(p).all()


def test_under_100_rows_no_probability_is_claimed():
    logits, primary = drawn(99, 3, 1.0)
    assert fit_calibration(logits, primary) == (Calibration("none"), {})
    assert Calibration("none").probabilities(logits) is None
    assert fit_calibration(*drawn(100, 3, 1.0))[0].kind != "none"


def test_the_kind_with_the_lower_held_out_brier_score_is_kept_and_fitted_on_all_rows():
    logits, primary = drawn(1_000, 6, 3.0)
    fitted, brier = fit_calibration(logits, primary)
    assert set(brier) == {"temperature", "top", "platt"}
    assert brier["temperature"] < brier["platt"]
    assert fitted == fit_temperature(logits, primary)


def test_calibration_lowers_the_calibration_error_of_an_overconfident_head():
    logits, primary = drawn(4_000, 5, 4.0)
    right = logits.argmax(1) == primary
    before, after = softmax(logits).max(1), fit_temperature(logits, primary).probabilities(logits).max(1)
    assert expected_calibration_error(before, right) > 0.25
    assert expected_calibration_error(after, right) < 0.03


@pytest.mark.parametrize(
    "calibration", [Calibration("none"), Calibration("temperature", (0.7,)), Calibration("top", (0.7, 0.5, -0.1), (0.1,)), Calibration("platt", (1.0, 2.0, 3.0), (0.0, 0.1, 0.2))]
)
def test_a_calibration_survives_json(calibration):
    assert Calibration.from_json(calibration.to_json(), 3) == calibration


@pytest.mark.parametrize(
    "value",
    [
        {"kind": "isotonic", "a": [], "b": []},
        {"kind": "temperature", "a": [], "b": []},
        {"kind": "platt", "a": [1, 2], "b": [1, 2]},
        {"kind": "temperature", "a": [float("nan")], "b": []},
    ],
)
def test_a_calibration_that_does_not_fit_is_refused(value):
    with pytest.raises(ArtefactError, match="does not fit 3 domains"):
        Calibration.from_json(value, 3)


# thresholds

P = np.array([0.9] * 30 + [0.8] * 10 + [0.7] * 10 + [0.6] * 50)
RIGHT = np.array([True] * 30 + [True] * 5 + [False] * 5 + [True] * 10 + [True] * 10 + [False] * 40)
"""Right at or above 0.9: 30/30; 0.8: 35/40 = 0.875; 0.7: 45/50 = 0.9; 0.6: 55/100."""


@pytest.mark.parametrize(
    ("target", "threshold", "precision", "accepted"),
    [(0.5, 0.6, 0.55, 100), (0.85, 0.7, 0.9, 50), (0.9, 0.7, 0.9, 50), (0.91, 0.9, 1.0, 30), (1.0, 0.9, 1.0, 30)],
)
def test_thresholds_by_hand_take_ties_whole(target, threshold, precision, accepted):
    for order in (np.arange(100), np.arange(100)[::-1], np.random.default_rng(0).permutation(100)):
        (row,) = thresholds(P[order], RIGHT[order], (target,))
        assert (row["threshold"], row["precision"], row["accepted"], row["coverage"], row["n"]) == (
            threshold,
            pytest.approx(precision),
            accepted,
            accepted / 100,
            100,
        )
        assert row["interval"] == pytest.approx(list(wilson(round(precision * accepted), accepted)))


def test_a_target_out_of_reach_has_no_threshold():
    for p, right in ((P, ~RIGHT), (np.full(29, 0.9), np.full(29, True)), (np.empty(0), np.empty(0, dtype=bool))):
        (row,) = thresholds(p, right, (0.9,))
        assert (row["threshold"], row["precision"], row["interval"], row["coverage"], row["accepted"], row["n"]) == (
            None,
            None,
            None,
            0.0,
            0,
            len(p),
        )


@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.7, 0.9, 0.95]), st.booleans()), min_size=1, max_size=60), st.sampled_from(TARGETS)
)
def test_no_lower_threshold_keeps_the_target(pairs, target):
    p, right = np.array([one for one, _ in pairs]), np.array([one for _, one in pairs])
    usual, calibrate.MIN_ACCEPTED = calibrate.MIN_ACCEPTED, 3
    try:
        (row,) = thresholds(p, right, (target,))
    finally:
        calibrate.MIN_ACCEPTED = usual
    keeps = [limit for limit in sorted(set(p)) if (p >= limit).sum() >= 3 and right[p >= limit].mean() >= target]
    assert row["threshold"] == (keeps[0] if keeps else None)


# figures


def test_expected_calibration_error_by_hand():
    p, right = np.array([0.8, 0.1, 0.6, 0.3]), np.array([True, False, True, True])
    # bins of equal mass {0.1, 0.3} and {0.6, 0.8}: |0.5 − 0.2| and |1 − 0.7|, half of the rows each
    assert expected_calibration_error(p, right, bins=2) == pytest.approx(0.3)
    assert expected_calibration_error(p, right, bins=1) == pytest.approx(0.3)
    assert (
        expected_calibration_error(p, right, bins=4)
        == expected_calibration_error(p, right, bins=9)
        == pytest.approx((0.1 + 0.7 + 0.4 + 0.2) / 4)
    )
    assert expected_calibration_error(np.array([1.0, 0.0]), np.array([True, False])) == 0
    assert np.isnan(expected_calibration_error(np.empty(0), np.empty(0, dtype=bool)))


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [
        (8, 10, 0.4902, 0.9433),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (1, 1, 0.2065, 1.0),
        (50, 100, 0.4038, 0.5962),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson_by_hand(right, n, low, high):
    assert wilson(right, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys(pair):
    right, n = pair
    wanted = binomtest(right, n).proportion_ci(method="wilson")
    assert wilson(right, n) == pytest.approx((wanted.low, wanted.high), abs=1e-9)


RANDOM = np.random.default_rng(3)
LOGITS = RANDOM.normal(size=(300, 7))
PRIMARY = np.where(RANDOM.random(300) < 0.5, LOGITS.argmax(1), RANDOM.integers(0, 6, 300))  # class 6: only predicted, or by its own argmax
NAMES = [f"d{n}" for n in range(7)]


@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_top_k_is_scikit_learns(k):
    assert top_k_hits(LOGITS, PRIMARY, k).mean() == pytest.approx(top_k_accuracy_score(PRIMARY, LOGITS, k=k, labels=range(7)))


def test_top_k_gives_ties_to_the_lower_index():
    assert top_k_hits(np.zeros((3, 4)), np.array([0, 1, 2]), 2).tolist() == [True, True, False]


def test_macro_and_weighted_f1_are_scikit_learns():
    report = summarise(LOGITS, PRIMARY, NAMES, softmax(LOGITS).max(1), repeats=50)
    predicted = LOGITS.argmax(1)
    assert report["macro_f1"] == pytest.approx(f1_score(PRIMARY, predicted, average="macro", labels=sorted(set(PRIMARY))))
    assert report["weighted_f1"] == pytest.approx(f1_score(PRIMARY, predicted, average="weighted"))
    each = f1_score(PRIMARY, predicted, average=None, labels=range(7))
    assert [report["per_domain"][name]["f1"] for name in NAMES] == pytest.approx(list(each))


def test_f1_by_hand():
    table = confusion(np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 2]), 4)
    assert table.tolist() == [[2, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert f1_from_confusion(table) == pytest.approx([4 / 5, 2 / 4, 0, 0])


def test_every_interval_contains_its_figure():
    report = summarise(LOGITS, PRIMARY, NAMES, softmax(LOGITS).max(1), repeats=300)
    for name in ("top1", "top3", "macro_f1", "weighted_f1"):
        low, high = report["intervals"][name]
        assert low < report[name] < high
    for row in report["per_domain"].values():
        assert row["f1"] is None or row["interval"][0] <= row["f1"] <= row["interval"][1]


def test_a_domain_with_under_ten_rows_is_not_judged_and_one_without_rows_has_no_figure():
    primary = np.array([0] * 10 + [1] * 9)
    logits = np.eye(3)[primary]
    domains = summarise(logits, primary, ["a", "b", "c"], np.ones(19), repeats=20)["per_domain"]
    assert [domains[name]["judged"] for name in "abc"] == [True, False, False]
    assert domains["c"] == {"precision": None, "recall": None, "f1": None, "support": 0, "interval": None, "judged": False}
    assert summarise(logits, primary, ["a", "b", "c"], np.ones(19), repeats=20)["macro_f1"] == 1.0


def test_bootstrap_draws_n_rows_with_replacement_and_is_repeatable():
    values = np.array([1.0, 2.0, 3.0, 4.0])
    weights = []

    def mean(weight):
        weights.append(weight)
        return np.array([(weight * values).sum() / weight.sum()])

    low, high = bootstrap(4, mean, repeats=200)
    assert all(weight.sum() == 4 and len(weight) == 4 for weight in weights)
    assert low[0] < values.mean() < high[0]
    assert (bootstrap(4, mean, repeats=200) == [low, high]).all()
    assert (bootstrap(4, mean, repeats=200, seed=1) != [low, high]).any()


def test_more_rows_give_a_narrower_interval():
    def width(n):
        low, high = bootstrap(n, lambda weight: np.array([(weight * (np.arange(n) % 2)).sum() / n]))
        return float(high[0] - low[0])

    assert width(400) < width(25) / 3


def test_slices_come_largest_first_with_their_own_figures():
    logits, primary = np.eye(3)[[0, 1, 2, 0, 0]], np.array([0, 1, 0, 0, 1])
    found = slices(logits, primary, ["fr", "fr", "en", "fr", "en"])
    assert list(found) == ["fr", "en"]
    assert (found["fr"]["n"], found["fr"]["top1"], found["en"]["n"], found["en"]["top1"]) == (3, 1.0, 2, 0.0)
    assert found["fr"]["interval"] == list(wilson(3, 3))


def test_sigmoid_and_softmax_stay_finite():
    z = np.array([[-1e4, -30.0, 0.0, 30.0, 1e4]], np.float32)
    assert sigmoid(z)[0] == pytest.approx([0, 0, 0.5, 1, 1], abs=1e-6)
    assert softmax(z)[0] == pytest.approx([0, 0, 0, 0, 1])
