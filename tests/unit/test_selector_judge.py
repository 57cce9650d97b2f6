"""The honest table: numbers that can be worked out by hand, intervals that hold, a verdict that says what the evidence says."""

import numpy as np
import pytest

from lab.selector.choose import GUARDED
from lab.selector.features import features
from lab.selector.held_out import SWEEP, fit_parts, judge_parts, mark_frontier, report, sweep
from lab.selector.judge import FEWEST, Strategy, fixed_strategies, intervals, judge, quality_intervals, unanswered
from lab.selector.table import Cells, OutcomeTable
from lab.selector.utility import Utility
from lab.selector.verdict import FEW, verdict, waterfall

Q = np.asarray([[1.0, 0.0, 1.0], [0.0, 1.0, np.nan], [0.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
L = np.asarray([[3.0, 1.0, 2.0], [1.0, 2.0, np.nan], [1.0, 1.0, 1.0], [4.0, 2.0, 1.0]])
CELLS = Cells(Q, L, np.full((4, 3), np.nan))
NAMES = ["a", "b", "c"]


def rows(domain=(0, 1, 0, 0)):
    made = fixed_strategies(CELLS, NAMES, np.asarray(domain))
    return {row.strategy: row for row in judge(CELLS, NAMES, made, np.zeros(4, int), Utility().for_cells(CELLS))}


def test_the_table_by_hand():
    found = rows()
    assert (found["Oracle"].quality, found["Oracle"].latency_s, found["Oracle"].best_model_share, found["Oracle"].regret) == (
        0.75,
        1.75,
        1.0,
        0.0,
    )
    assert found["Always a"].quality == 0.5 and found["Always a"].regret == 0.25
    assert found["Always a"].best_model_share == pytest.approx(2 / 3), "a tie counts for both; the query nobody answered for none"
    assert found["Always c"].quality == pytest.approx(1 / 3) and (found["Always c"].n, found["Always c"].missing) == (3, 1)
    assert found["Random"].quality == pytest.approx((2 / 3 + 1 / 2 + 0 + 2 / 3) / 4)
    assert found["Domain oracle"].quality == 0.75 and found["Domain oracle"].gain == 0.25
    assert found["Always a"].gain == 0.0 and found["Always a"].gain_low is None, "four queries give no interval"
    assert found["Random"].cost_usd is None
    assert unanswered(CELLS) == 1


def test_a_pick_that_nobody_has_judged_is_no_miss():
    picks = Strategy.of_picks("x", "selector", np.asarray([2, 2, 2, 2]), 3)
    row = judge(CELLS, NAMES, [picks], np.zeros(4, int), Utility().for_cells(CELLS))[0]
    assert row.best_model_share == 0.5, "best on the first, not on the last; the second is not known and the third nobody answered"


def test_fewer_than_ten_queries_give_no_interval_and_equal_ones_none_of_width_zero():
    low, high = intervals(np.random.default_rng(0).random((FEWEST - 1, 1)))
    assert np.isnan([low[0], high[0]]).all()
    low, high = quality_intervals(np.stack([np.ones(60), np.zeros(60)], axis=1))
    assert low.tolist() == [0.95, 0.0] and high.tolist() == [1.0, 0.05]


def small_rows(n, missing=0):
    """Every query is answered by b and not by a, the best single model; the first ``missing`` outcomes of a are not known."""
    quality = np.tile([0.0, 1.0], (n, 1))
    quality[:missing, 0] = np.nan
    cells = Cells.of_quality(quality)
    picks = [*fixed_strategies(cells, ["a", "b"], np.zeros(n, int)), Strategy.of_picks("knn", "selector", np.ones(n, int), 2)]
    return judge(cells, ["a", "b"], picks, np.zeros(n, int), Utility()), {"knn": np.where(np.isnan(quality[:, 0]), np.nan, 1.0)}


@pytest.mark.parametrize("n,use", [(1, "one model"), (FEW - 1, "one model"), (FEW, "knn")])
def test_a_handful_of_queries_recommends_nothing(n, use):
    rows, gains = small_rows(n)
    said = verdict(rows, ["a"], gains)
    assert said["use"] == use and (use == "knn" or "too few to prove" in said["sentence"])


def test_a_selector_that_never_leaves_the_best_model_is_not_called_an_attempt_at_plus_nothing():
    rows, gains = small_rows(FEW)
    sentence = verdict(rows, ["a"], {"knn": 0 * gains["knn"]})["sentence"]
    assert "knn does just as well on each of 30 queries" in sentence and "A perfect choice would gain +100.0" in sentence


def test_steps_over_missing_outcomes_are_paired():
    random = np.random.default_rng(0)
    quality = (random.random((400, 2)) < [0.6, 0.5]).astype(float)
    quality[(quality[:, 0] == 0) & (random.random(400) < 0.95), 0] = np.nan  # a was hardly asked what it cannot do: its mean is flattered
    cells = Cells.of_quality(quality)
    rows = judge(cells, ["a", "b"], fixed_strategies(cells, ["a", "b"], np.zeros(400, int)), np.zeros(400, int), Utility())
    steps = {one["step"]: one for one in waterfall(rows, "")}
    known = ~np.isnan(quality[:, 0])
    assert steps["Oracle"]["quality"] == pytest.approx(quality[known].max(1).mean())
    assert steps["Oracle"]["quality"] > steps["Always a"]["quality"] > next(row.quality for row in rows if row.strategy == "Oracle"), "unpaired, it would lie below"


def test_picks_are_shares_that_sum_to_one():
    assert all(sum(row.picks.values()) == pytest.approx(1, abs=1e-5) for row in rows().values())


def test_paired_intervals_are_those_of_the_difference():
    random = np.random.default_rng(0)
    base = random.random(400)
    values = np.stack([base, base + 0.05], axis=1)
    low, high = intervals(values)
    assert high[0] - low[0] > 0.03, "each mean is uncertain"
    gain_low, gain_high = intervals(values - base[:, None])
    assert gain_low[1] == pytest.approx(0.05) == pytest.approx(gain_high[1]), "the difference is not"


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    hits = 0
    for seed in range(60):
        sample = (np.random.default_rng(seed).random((80, 1)) < 0.3).astype(float)
        low, high = intervals(sample, seed)
        hits += low[0] <= 0.3 <= high[0]
    assert hits >= 51


def table(n=600, seed=0, specialised=True, split=True, models=3):
    random = np.random.default_rng(seed)
    kind = random.integers(0, models, n)
    vectors = 2 * np.eye(8)[kind] + 0.8 * random.normal(size=(n, 8))
    chance = 0.2 + 0.6 * np.eye(models)[kind] if specialised else np.tile([0.7, 0.4, 0.3][:models], (n, 1))
    quality = (random.random((n, models)) < chance).astype(float)
    latency_s = random.gamma(2, 1, (n, models)) * np.asarray([4.0, 2.0, 1.0])[:models]
    sides = ["train" if one < 0.7 else "test" for one in random.random(n)] if split else [""] * n
    made = OutcomeTable(
        [f"query {one}" for one in range(n)],
        [f"kind {one}" for one in kind],
        sides,
        NAMES[:models],
        Cells(quality, latency_s, latency_s / 100),
        {},
    )
    return made, features(vectors, np.zeros(n, int), 1)


def judged(made, x, algorithms=("knn", GUARDED), forms=("lab",), utility=Utility(1.0)):  # noqa: B008
    how, parts, notes = fit_parts(made, x, utility, 1, algorithms, forms)
    return how, parts, notes, judge_parts(made, x, parts, utility)


def test_the_data_s_own_split_is_kept_and_else_every_query_is_judged_once():
    made, x = table()
    how, parts, _, result = judged(made, x)
    assert how == "the data's own split" and len(result.table) == made.splits.count("test")
    made, x = table(120, split=False)
    how, parts, _, result = judged(made, x, ("knn",))
    assert how.startswith("5 folds") and result.table.queries == made.queries
    assert not set(parts[0].train) & set(parts[0].test)


def test_a_selector_that_is_better_is_recommended_with_n_and_interval():
    *_, result = judged(*table())
    said = report(result, GUARDED)["verdict"]
    assert said["use"] in ("knn", GUARDED, "categories") and said["gain_low"] > 0
    assert "points of quality over always" in said["sentence"] and "interval" in said["sentence"]


def test_use_one_model_is_said_when_that_is_what_the_evidence_says():
    *_, result = judged(*table(specialised=False))
    said = report(result, GUARDED)["verdict"]
    assert said["use"] == "one model" and said["sentence"].startswith("Use one model: a. Nothing beats it beyond chance")


def test_one_model_and_one_query_and_zeros_give_a_table_and_a_plain_verdict():
    made, x = table(60)
    *_, notes, result = judged(made.only(["a"]), x)
    assert "one model only" in notes[0]
    assert "only one in the data" in report(result, GUARDED)["verdict"]["sentence"]
    one = made.rows(np.asarray([0]))
    how, _, notes, result = judged(one, x[:1])
    assert how == "none: one query" and len(result.rows) == 6 and notes
    zero = OutcomeTable(made.queries, made.categories, made.splits, made.models, Cells.of_quality(np.zeros((60, 3))), {})
    *_, notes, result = judged(zero, x)
    out = report(result, GUARDED)
    assert "Every outcome is 0" in notes[0] and "No model answered any" in out["verdict"]["sentence"]
    assert next(row for row in out["rows"] if row["strategy"] == "Oracle")["best_model_share"] is None


def test_the_waterfall_goes_from_random_to_the_oracle():
    *_, result = judged(*table())
    steps = report(result, GUARDED)["waterfall"]
    assert steps[0]["step"] == "Random" and steps[-1]["step"] == "Oracle" and steps[3]["step"] == GUARDED
    assert steps[1]["step"].startswith("Always ")
    assert steps[0]["quality"] + sum(one["change"] for one in steps[1:]) == pytest.approx(steps[-1]["quality"])


def test_the_sweep_trades_quality_for_speed_without_training_again():
    made, x = table()
    utility = Utility(0.9)
    _, parts, _, _ = judged(made, x, ("knn", "kmeans", "svm", GUARDED), utility=utility)
    points = sweep(made, x, parts, utility)
    assert len(points) == len(SWEEP) * 6
    knn = [one for one in points if one["strategy"] == "knn"]
    assert knn[0]["latency_s"] < knn[-1]["latency_s"] and knn[0]["quality"] < knn[-1]["quality"]
    assert any(one["on_frontier"]["latency_s"] for one in points) and any(one["on_frontier"]["cost_usd"] for one in points)


def test_a_point_that_another_beats_in_both_is_off_the_frontier():
    made = mark_frontier([{"quality": q, "latency_s": s, "cost_usd": None} for q, s in ((0.5, 1.0), (0.4, 2.0), (0.6, 3.0))])
    assert [one["on_frontier"]["latency_s"] for one in made] == [True, False, True]


def test_slices_have_every_category_with_its_n():
    *_, result = judged(*table())
    found = report(result, GUARDED)["categories"]
    assert [one["category"] for one in found] == ["kind 0", "kind 1", "kind 2"]
    assert sum(one["n"] for one in found) == len(result.table)
    assert [one["model"] for one in found] == ["a", "b", "c"], "the model of each kind, by the training queries"
    assert Strategy.of_picks("x", "selector", np.asarray([1]), 3).share.tolist() == [[0, 1, 0]]
