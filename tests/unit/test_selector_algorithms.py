"""One contract over every algorithm and form; what each is better at than the source's form; bad input."""

import numpy as np
import pytest

from lab.errors import EncoderError, InputError
from lab.selector.choose import COMPATIBLE, FORMS, GUARDED, LAB, each, train
from lab.selector.features import features
from lab.selector.guarded import paired
from lab.selector.kmeans import cluster_sums
from lab.selector.knn import KnnSelector, nearest, nearest_by_weight
from lab.selector.mlp import MlpSelector, check_device
from lab.selector.shortlist import WORTH_IT
from lab.selector.svm import solve
from lab.selector.table import Cells
from lab.selector.utility import Utility

CATEGORIES, DIM = 5, 12
ALL = each(tuple(LAB), FORMS)


def world(n=500, seed=0, gaps=0.0, models=3, spread=0.9):
    """Model m answers queries of kind m better than the others; model 0 is the best single one."""
    random = np.random.default_rng(seed)
    kind = random.integers(0, models, n)
    vectors = 2.0 * np.eye(DIM)[kind] + spread * random.normal(size=(n, DIM))
    x = features(vectors, random.integers(0, CATEGORIES, n), CATEGORIES)
    chance = 0.25 + 0.5 * np.eye(models)[kind] + 0.1 * (np.arange(models) == 0)
    quality = (random.random((n, models)) < chance).astype(float)
    quality[random.random(quality.shape) < gaps] = np.nan
    return x, Cells.of_quality(quality)


def fit(algorithm, form, x, y, **fixed):
    small = {"epochs": 25, "hidden": (32,), "learning_rate": 0.005} if algorithm == "mlp" else {}
    return train(algorithm, form, x, y, Utility(), CATEGORIES, fixed=small | fixed).selector


@pytest.mark.parametrize("algorithm,form", ALL)
def test_every_selector_keeps_the_contract(algorithm, form):
    from sklearn.base import clone

    x, y = world(150)
    selector = fit(algorithm, form, x, y)
    assert selector.get_params() == clone(selector).get_params()
    assert selector.set_params().fit(x, y) is selector
    picks = selector.predict(x)
    assert picks.shape == (150,) and picks.dtype.kind == "i" and set(picks) <= {0, 1, 2}
    assert selector.scores(x).shape == (150, 3)
    with pytest.raises(InputError, match="has no parameter nonsense"):
        selector.set_params(nonsense=1)
    with pytest.raises(EncoderError, match=r"17 numbers.*given 20"):
        selector.predict(np.zeros((1, 20), dtype=np.float32))


@pytest.mark.parametrize("algorithm,form", ALL)
def test_the_same_seed_gives_the_same_picks(algorithm, form):
    x, y = world(120)
    assert np.array_equal(fit(algorithm, form, x, y).scores(x), fit(algorithm, form, x, y).scores(x))


@pytest.mark.parametrize("algorithm", list(COMPATIBLE))
def test_each_lab_form_is_at_least_as_good_as_its_compatible_form_and_as_random(algorithm):
    x, y = world(1200)
    test, truth = x[800:], y.quality[800:]
    quality = {form: truth[np.arange(400), fit(algorithm, form, x[:800], y[:800]).predict(test)].mean() for form in FORMS}
    assert quality["lab"] >= quality["compatible"] - 0.005
    assert quality["lab"] > truth.mean() + 0.1


@pytest.mark.parametrize("algorithm", list(LAB))
def test_a_lab_form_finds_the_specialists(algorithm):
    x, y = world(1200)
    truth = y.quality[800:]
    picked = truth[np.arange(400), fit(algorithm, "lab", x[:800], y[:800]).predict(x[800:])].mean()
    assert picked > truth[:, 0].mean() + 0.1


@pytest.mark.parametrize("algorithm,form", ALL)
def test_gaps_are_no_answers_and_no_failures(algorithm, form):
    x, y = world(300, gaps=0.3)
    selector = fit(algorithm, form, x, y)
    assert np.isfinite(selector.scores(x).max(1)).all()


@pytest.mark.parametrize("algorithm", list(LAB))
def test_where_nothing_is_learnable_the_best_single_model_is_kept_mostly(algorithm):
    random = np.random.default_rng(3)
    x, _ = world(600)
    y = Cells.of_quality((random.random((600, 3)) < [0.6, 0.4, 0.3]).astype(float))
    assert (fit(algorithm, "lab", x, y).predict(world(300, seed=9)[0]) == 0).mean() > (0.95 if algorithm == GUARDED else 0.8)


@pytest.mark.parametrize("algorithm,form", ALL)
def test_one_model_one_query_and_outcomes_that_say_nothing_are_refused(algorithm, form):
    x, y = world(60)
    with pytest.raises(InputError, match="one model only"):
        fit(algorithm, form, x, y.of([0]))
    with pytest.raises(InputError, match="1 query"):
        fit(algorithm, form, x[:1], y[:1])
    with pytest.raises(InputError, match="Every outcome is 0"):
        fit(algorithm, form, x, Cells.of_quality(np.zeros((60, 3))))
    timed = Cells(np.zeros((60, 3)), np.tile([1.0, 2.0, 3.0], (60, 1)), np.full((60, 3), np.nan))
    with pytest.raises(InputError, match="Every outcome is 0"):
        fit(algorithm, form, x, timed)  # the time they took is no reason to prefer one
    with pytest.raises(InputError, match="no query did two models differ"):
        fit(algorithm, form, x, Cells.of_quality(np.ones((60, 3))))
    with pytest.raises(InputError, match="rows of features"):
        fit(algorithm, form, x[:50], y)


def test_an_algorithm_or_form_that_does_not_exist_is_refused():
    x, y = world(60)
    for name, form in (("tree", "lab"), (GUARDED, "compatible"), ("knn", "old")):
        with pytest.raises(InputError, match="There is no"):
            train(name, form, x, y, Utility(), CATEGORIES)


def test_parameters_a_person_sets_are_used():
    x, y = world(200)
    assert fit("knn", "lab", x, y, k=7).k == 7
    assert fit("knn", "compatible", x, y, k=7).k == 7
    assert len(fit("kmeans", "lab", x, y, clusters=4).centroids_) == 4
    assert fit("svm", "lab", x, y, gamma=0.7).gamma == 0.7
    assert fit("mlp", "lab", x, y, hidden=(16, 8)).weight1_.shape == (8, 16)


@pytest.mark.parametrize("wrong", [{"hidden": ()}, {"dropout": 1.0}, {"epochs": 0}, {"learning_rate": 0.0}])
def test_a_network_that_cannot_be_trained_is_refused(wrong):
    x, y = world(60)
    with pytest.raises(InputError):
        fit("mlp", "lab", x, y, **wrong)


def test_a_device_that_is_not_there_is_named():
    import torch

    with pytest.raises(InputError, match="device is 'tpu'"):
        check_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="no cuda device"):
            MlpSelector(device="cuda").fit(*world(60))


def test_the_network_starts_as_the_best_single_model_and_keeps_the_best_epoch():
    x, y = world(300)
    model = MlpSelector(hidden=(8,), epochs=1, learning_rate=1e-9, categories=CATEGORIES).fit(x, y)
    assert (model.predict(x) == 0).all()


def test_knn_counts_queries_and_the_prior_pulls_to_the_mean():
    x = features(np.eye(3)[[0, 0, 1]], np.zeros(3, int), 1)
    y = Cells.of_quality(np.asarray([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    plain = KnnSelector(k=2, prior=0.0, categories=1).fit(x, y)
    assert plain.components(x[:1])[0, :, 0] == pytest.approx([1, 0])
    pulled = KnnSelector(k=2, prior=2.0, categories=1).fit(x, y)
    assert pulled.components(x[:1])[0, :, 0] == pytest.approx([5 / 6, 1 / 6])  # (2 + 2·2/3)/4


def test_neighbours_for_several_category_weights_are_those_of_one_at_a_time():
    from lab.selector.features import scaled

    x, _ = world(300)
    found = nearest_by_weight(x[:40], x[40:], 15, CATEGORIES, (0.0, 0.4, 1.0))
    for weight, rows in zip((0.0, 0.4, 1.0), found, strict=True):
        direct = nearest(scaled(x[:40], CATEGORIES, weight), scaled(x[40:], CATEGORIES, weight), 15)
        assert np.array_equal(np.sort(rows, axis=1), np.sort(direct, axis=1))


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_one_query_at_a_time_finds_exactly_the_neighbours_of_the_batch(weight):
    x, y = world(2400, spread=2.0)
    selector = KnnSelector(k=30, category_weight=weight, categories=CATEGORIES).fit(x[:2200], y[:2200])
    assert len(selector.x_) >= WORTH_IT
    alone = np.concatenate([selector.neighbours(x[row : row + 1]) for row in range(2200, 2400)])
    together = selector.neighbours(x[2200:])
    assert (np.sort(alone, axis=1) == np.sort(together, axis=1)).all(axis=1).mean() >= 0.99  # a tie at the border may fall either way
    found = selector._near(x[2300], 30)
    assert len(found) < 600 and set(together[100]) <= set(found.tolist())


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0, 8.0])
@pytest.mark.parametrize("k", [1, 30, 2200])
def test_one_query_finds_what_brute_force_finds_ties_by_row(weight, k):
    random = np.random.default_rng(k)
    vectors = random.integers(-3, 4, (2300, DIM)) / 8  # sums are exact, and many are equal
    vectors[200:800] = vectors[random.integers(800, 900, 600)]
    vectors[2200] = 0
    x = np.concatenate([vectors, np.eye(CATEGORIES)[random.integers(0, CATEGORIES, 2300)]], axis=1).astype(np.float32)
    y = Cells.of_quality(random.integers(0, 2, (2200, 2)).astype(float))
    selector = KnnSelector(k=k, category_weight=weight, categories=CATEGORIES).fit(x[:2200], y)
    for row in range(2):
        selector.neighbours(x[row : row + 1])  # before a process is known to serve there is no shortlist
    scale = np.where(np.arange(DIM + CATEGORIES) < DIM, 1.0, weight**2)
    for row in range(2200, 2300):
        expected = np.argsort(-(x[:2200].astype(float) @ (x[row] * scale)), kind="stable")[:k]
        assert np.array_equal(selector.neighbours(x[row : row + 1])[0], expected)


def test_few_equal_differences_prove_little_and_a_gap_proves_nothing():
    overall = np.asarray([0.25], dtype=np.float32)
    few, many = np.ones((2, 1), dtype=np.float32), np.ones((100, 1), dtype=np.float32)
    assert paired(few, overall)[1][0] > 5 * paired(many, overall)[1][0] > 0
    mean, error = paired(np.full((5, 1), np.nan, dtype=np.float32), overall)
    assert (mean[0], error[0]) == (0.0, np.float32(1e9))


def test_sums_over_clusters_leave_gaps_out_and_keep_a_cluster_without_queries():
    parts = np.asarray([[[1.0], [np.nan]], [[3.0], [2.0]], [[5.0], [4.0]]])
    total, count = cluster_sums(parts, np.asarray([2, 0, 2]), 3)
    assert total[..., 0].tolist() == [[3, 2], [0, 0], [6, 4]] and count[..., 0].tolist() == [[1, 1], [0, 0], [2, 1]]


def test_ridge_with_gaps_is_ridge_on_the_rows_that_are_there():
    random = np.random.default_rng(0)
    inside, target = random.normal(size=(40, 6)), random.normal(size=(40, 2, 1))
    target[:10, 1] = np.nan
    alpha = solve(inside, target, None, [2.0])[0]
    for column, rows in ((0, slice(0, 40)), (1, slice(10, 40))):
        part = inside[rows]
        direct = np.linalg.solve(part.T @ part + 2 * np.eye(6), part.T @ target[rows, column, 0])
        assert np.allclose(alpha[:, column, 0], direct, atol=1e-5)
