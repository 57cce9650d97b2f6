"""An independent reader of the router's files, written from its formulas alone, picks what the trained selector picks."""

import json
import math

import numpy as np
import pytest

from lab.errors import ArtefactError
from lab.selector.choose import COMPATIBLE, LAB, train
from lab.selector.deployed import KMeansFile, KnnFile, Layer, MlpFile, SvmFile, winner
from lab.selector.features import features
from lab.selector.read_file import parse_file, read_file
from lab.selector.table import Cells
from lab.selector.utility import Utility
from lab.selector.write_file import dump

CATEGORIES, DIM, MODELS = 14, 24, ["alpha", "beta", "gamma", "delta"]


def strict(constant):
    raise AssertionError(f"the token {constant} is not JSON")


def load(data: bytes) -> dict:
    return json.loads(data.decode(), parse_constant=strict)


def read_and_pick(file: dict, queries: np.ndarray) -> list[str]:
    """The deployed router's arithmetic in float64, one query at a time."""
    file = arrays(file)
    return [{"knn": knn, "kmeans": kmeans, "svm": svm, "mlp": mlp}[file["algorithm"]](file, x) for x in queries.astype(np.float64)]


def arrays(value):
    """Lists of numbers as arrays, once for all queries."""
    if isinstance(value, dict):
        return {key: arrays(one) for key, one in value.items()}
    if not isinstance(value, list) or not value or isinstance(value[0], str):
        return value
    return [arrays(one) for one in value] if isinstance(value[0], dict) else np.asarray(value)


def knn(file, x):
    rows = np.asarray(file["embeddings"])
    order = np.argsort(np.sqrt(((rows - x) ** 2).sum(1)), kind="stable")[: file["k"]]
    latencies = file["latencies"]
    low, high = int(latencies.min()), int(latencies.max())
    votes: dict[str, float] = {}
    for row in order:
        vote = 0.9 * max(file["qualities"][row], 0.01) + 0.1 * (1 - (latencies[row] - low) / max(high - low, 1))
        votes[file["labels"][row]] = votes.get(file["labels"][row], 0.0) + vote
    return max(votes, key=votes.get)


def kmeans(file, x):
    return file["cluster_models"][int(((np.asarray(file["centroids"]) - x) ** 2).sum(1).argmin())]


def svm(file, x):
    x = x / np.linalg.norm(x)
    best, name = -math.inf, ""
    if file["kernel_type"] == "Linear":
        for one in file["linear_classifiers"]:
            value = float(np.dot(one["weights"], x)) - one["rho"]
            best, name = (value, one["model_name"]) if value > best else (best, name)
        return name
    for one in file["rbf_classifiers"]:
        distance = ((np.asarray(one["support_vectors"]) - x) ** 2).sum(1)
        value = float(np.dot(one["alpha"], np.exp(-one["gamma"] * distance))) - one["rho"]
        best, name = (value, one["model_name"]) if value > best else (best, name)
    return name


def mlp(file, x):
    x = x.astype(np.float32)
    for one in file["layers"]:
        if one["type"] == "linear":
            x = np.asarray(one["weight"], dtype=np.float32) @ x + np.asarray(one["bias"], dtype=np.float32)
        elif one["type"] == "relu":
            x = np.maximum(x, 0)
        elif one["type"] == "batch_norm":
            scale = np.sqrt(np.asarray(one["running_var"]) + one["eps"])
            x = ((x - one["running_mean"]) / scale * one["weight"] + one["bias"]).astype(np.float32)
    return file["model_names"][len(x) - 1 - int(x[::-1].argmax())]


@pytest.fixture(scope="module")
def world():
    """Queries of four kinds, each answered best by another model; one cell in twelve is missing; latency and cost known."""
    random = np.random.default_rng(5)
    centres = random.normal(size=(4, DIM))
    kind = random.integers(0, 4, 2600)
    vectors = centres[kind] + 1.2 * random.normal(size=(2600, DIM))
    place = np.where(random.random(2600) < 0.7, kind, random.integers(0, CATEGORIES, 2600))
    x = features(vectors, place, CATEGORIES)
    chance = 0.3 + 0.4 * np.eye(4)[kind] + 0.1 * np.arange(4)
    quality = (random.random((2600, 4)) < chance).astype(float)
    quality[random.random(quality.shape) < 1 / 12] = np.nan
    latency_s = np.where(np.isnan(quality), np.nan, random.gamma(2, 1, quality.shape) * [1.0, 2.0, 4.0, 8.0])
    return x, Cells(quality, latency_s, latency_s / 500)


def trained(world, algorithm, form, **fixed):
    x, cells = world
    utility = Utility(0.7).for_cells(cells)
    if algorithm == "mlp":
        fixed = {"epochs": 4} | ({"hidden": (64, 32)} if form == "compatible" else {}) | fixed
    return train(algorithm, form, x[:600], cells[:600], utility, CATEGORIES, fixed=fixed).selector


FORMS = [(name, "lab") for name, kind in LAB.items() if kind.exportable] + [(name, "compatible") for name in COMPATIBLE]


@pytest.mark.parametrize("algorithm,form", FORMS)
def test_an_independent_reader_picks_the_same_model_on_2000_queries(world, algorithm, form):
    selector = trained(world, algorithm, form)
    queries = world[0][600:]
    file = load(dump(selector.deployed(MODELS)))
    ours = [MODELS[place] for place in selector.predict(queries)]
    agree = np.mean([a == b for a, b in zip(ours, read_and_pick(file, queries), strict=True)])
    assert len(queries) == 2000
    assert agree >= 0.999, f"{algorithm} {form}: {agree:.2%}"


@pytest.mark.parametrize("algorithm,form", FORMS)
def test_a_written_file_reads_back_to_the_same_picks(world, tmp_path, algorithm, form):
    selector = trained(world, algorithm, form)
    path = tmp_path / "file.json"
    path.write_bytes(dump(selector.deployed(MODELS), {"encoder": {"name": "x"}}))
    back, ours = read_file(path)
    queries = world[0][600:1100]
    picked = [back.models[place] for place in winner(back, queries)]
    assert np.mean([MODELS[a] == b for a, b in zip(selector.predict(queries), picked, strict=True)]) >= 0.999
    assert ours == {"encoder": {"name": "x"}}


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("algorithm", ["knn", "kmeans", "svm", "mlp"])
def test_the_files_unscaled_one_hot_gives_the_picks_of_the_scaled_one(world, algorithm, weight):
    selector = trained(world, algorithm, "lab", category_weight=weight)
    queries = world[0][600:1400]
    assert np.mean(winner(selector.deployed(MODELS), queries) == selector.predict(queries)) >= 0.999


def test_the_linear_kernel_is_exact_in_its_file(world):
    selector = trained(world, "svm", "lab", kernel="linear", category_weight=0.5)
    file = load(dump(selector.deployed(MODELS)))
    assert file["kernel_type"] == "Linear"
    assert "rbf_classifiers" in file and file["rbf_classifiers"] == []
    queries = world[0][600:1100]
    assert read_and_pick(file, queries) == [MODELS[place] for place in selector.predict(queries)]


def test_knn_files_hold_complete_groups_of_equal_latency_and_count_k_in_rows(world):
    selector = trained(world, "knn", "lab", k=20)
    file = load(dump(selector.deployed(MODELS)))
    assert file["k"] == 20 * len(MODELS)
    assert file["labels"][:8] == MODELS * 2
    assert len(set(file["latencies"])) == 1 and all(type(one) is int for one in file["latencies"])
    assert all(0.01 <= one <= 1 for one in file["qualities"])
    assert file["embeddings"][0] == file["embeddings"][3] != file["embeddings"][4]


def test_another_weight_of_quality_needs_no_new_training(world):
    for algorithm in ("knn", "kmeans", "svm", "mlp"):
        selector = trained(world, algorithm, "lab")
        fast = selector.utility.at(0.0)
        queries = world[0][600:900]
        assert (selector.scores(queries, fast).argmax(1) == winner(selector.deployed(MODELS, fast), queries)).mean() >= 0.999
        assert (selector.scores(queries, fast).argmax(1) == 0).all(), f"{algorithm}: alpha is the fastest everywhere"


# cases that can be worked out by hand


def one_knn(**changes):
    value = {
        "algorithm": "knn", "trained": True, "k": 3, "embeddings": [[0, 0], [0, 1], [1, 0], [9, 9]], "labels": ["model-a", "model-b", "model-b", "model-a"],
        "qualities": [0.7, 0.45, 0.5, 1.0], "latencies": [0, 1000, 1000, 0],
    }  # fmt: skip
    return value | changes


def test_knn_votes_by_hand():
    file, _ = parse_file(one_knn(), "f")
    scores = file.scores(np.zeros((1, 2), dtype=np.float32))[0]
    assert dict(zip(file.models, scores.round(6).tolist(), strict=True)) == {"model-a": 0.73, "model-b": 0.855}
    assert file.models[winner(file, np.zeros((1, 2)))[0]] == "model-b" == knn(arrays(one_knn()), np.zeros(2))


def test_only_candidates_win_and_are_masked_before_the_largest_is_taken():
    file, _ = parse_file(one_knn(), "f")
    assert winner(file, np.zeros((1, 2)), np.asarray([True, False]))[0] == 0


def test_kmeans_by_hand_and_its_old_form():
    new = {"algorithm": "kmeans", "trained": True, "num_clusters": 2, "centroids": [[0, 0], [4, 0]], "cluster_models": ["b", "a"]}
    old = new | {"cluster_models": {"0": "b", "1": "a"}}
    for value in (new, old):
        file, _ = parse_file(value, "f")
        assert [file.models[place] for place in winner(file, np.asarray([[1, 0], [3, 0]]))] == ["b", "a"]
    assert load(dump(parse_file(old, "f")[0]))["cluster_models"] == ["b", "a"]


def test_kmeans_with_a_mask_takes_the_nearest_cluster_of_a_candidate():
    file = KMeansFile(["a", "b", "c"], np.asarray([[0.0], [5.0], [9.0]]), np.asarray([0, 1, 2]))
    assert winner(file, np.asarray([[1.0]]), np.asarray([False, True, True]))[0] == 1


def test_svm_by_hand():
    linear = SvmFile(["a", "b"], "Linear", np.asarray([[1.0, 0], [0, 1.0]]), np.asarray([0.5, 0.0]), np.ones(2))
    assert linear.scores(np.asarray([[3.0, 4.0]])).round(6).tolist() == [[0.1, 0.8]]  # x̂ = (0.6, 0.8)
    rbf = SvmFile(["a", "b"], "Rbf", np.asarray([[2.0], [1.0]]), np.asarray([1.0, 0.0]), np.asarray([1.0, 1.0]), np.asarray([[1.0, 0.0]]))
    assert rbf.scores(np.asarray([[7.0, 0.0]])).tolist() == [[1.0, 1.0]]
    assert winner(rbf, np.asarray([[7.0, 0.0]]))[0] == 0, "the first listed on ties"


def test_mlp_by_hand_with_batch_norm_and_the_last_on_ties():
    norm = {"weight": [2.0, 1.0], "bias": [0.0, -1.0], "running_mean": [1.0, 0.0], "running_var": [3.0, 0.0]}
    layers = (
        Layer("linear", {"weight": np.eye(2, dtype="f"), "bias": np.zeros(2, "f")}),
        Layer("batch_norm", {key: np.asarray(value, "f") for key, value in norm.items()}, 1.0),
        Layer("relu", {}),
    )
    file = MlpFile(["a", "b"], layers)
    assert file.scores(np.asarray([[3.0, 5.0]])).tolist() == [[2.0, 4.0]]
    assert file.scores(np.asarray([[3.0, 0.0]])).tolist() == [[2.0, 0.0]]
    assert winner(file, np.asarray([[0.0, 0.0]]))[0] == 1
    assert read_and_pick(load(dump(file)), np.asarray([[0.0, 0.0]])) == ["b"]


@pytest.mark.parametrize(
    "value,expected",
    [
        ([], "expected an object"),
        ({"algorithm": "tree"}, "algorithm is 'tree'"),
        (one_knn(trained=False), "trained is False"),
        (one_knn(k=0), "k is 0"),
        (one_knn(k=2.5), "k is 2.5"),
        (one_knn(latencies=[0, 1.5, 2, 3]), "whole numbers of nanoseconds"),
        (one_knn(labels=["a"]), "have 4, 1, 4 and 4 rows"),
        (one_knn(embeddings=[[0, 0], [1]]), "rows of one length"),
        (one_knn(qualities=[0.1, 0.2, 0.3, float("nan")]), "NaN or infinite"),
        ({"algorithm": "kmeans", "trained": True, "num_clusters": 3, "centroids": [[1]], "cluster_models": ["a"]}, "num_clusters is 3"),
        ({"algorithm": "kmeans", "trained": True, "num_clusters": 1, "centroids": [[1]], "cluster_models": {"1": "a"}}, "no model for cluster 0"),
        ({"algorithm": "svm", "trained": True, "model_names": ["a"], "kernel_type": "Poly"}, "kernel_type is 'Poly'"),
        ({"algorithm": "svm", "trained": True, "model_names": ["a"], "kernel_type": "Rbf", "gamma": 1}, "rbf_classifiers is for no model"),
        ({"algorithm": "mlp", "trained": True, "model_names": ["a"], "layers": [{"type": "conv"}]}, "type is 'conv'"),
        (
            {"algorithm": "mlp", "trained": True, "model_names": ["a"], "layers": [{"type": "linear", "in_features": 1, "out_features": 2, "weight": [[1], [2]], "bias": [0, 0]}]},
            "end in 2 outputs, but 1 models",
        ),
    ],
)  # fmt: skip
def test_a_broken_file_is_refused_with_the_key_that_is_wrong(value, expected):
    with pytest.raises(ArtefactError, match=expected):
        parse_file(value, "f.json")


def test_an_infinite_number_is_never_written():
    file = KMeansFile(["a"], np.asarray([[np.inf]]), np.asarray([0]))
    with pytest.raises(ArtefactError, match="NaN or infinite"):
        dump(file)


def test_a_query_of_another_width_is_refused_with_both_numbers():
    from lab.errors import EncoderError

    file = KnnFile(["a"], np.zeros((1, 38), "f"), 1, np.zeros(1, int), np.zeros(1, int), np.ones(1), np.zeros(1, int))
    with pytest.raises(EncoderError, match=r"38 numbers.*given 1038"):
        file.scores(np.zeros((1, 1038)))
