"""Training: the hand-written gradient and AdamW against torch's own, repeatability, recipes, and a whole build with a tiny encoder."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from lab.corpus.rows import Row
from lab.errors import InputError, SettingsError
from lab.router.build import build_router
from lab.router.dataset import build_dataset
from lab.router.folder import read_router
from lab.router.head import Head
from lab.router.recipe import Recipe, read_recipes
from lab.router.router import Router
from lab.router.train import TrainingSet, _Run, one_thread, train_head
from lab.text.vectors import VectorCache

N, DIM, CLASSES = 40, 12, 5


def problem(seed=0, n=N, dim=DIM, classes=CLASSES, noise=0.6) -> TrainingSet:
    """Unit vectors around one centre a class, classes of unequal size, a quarter with an also-label."""
    random = np.random.default_rng(seed)
    primary = np.minimum(random.geometric(0.4, n) - 1, classes - 1)
    vectors = np.random.default_rng(99).normal(size=(classes, dim))[primary] + noise * random.normal(size=(n, dim))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    also = (random.random((n, classes)) < 0.06).astype(np.uint8)
    also[np.arange(n), primary] = 0
    return TrainingSet(vectors, primary, also)


def recipe(**changes) -> Recipe:
    """Full batch, nothing random: what can be followed by hand."""
    return Recipe(
        **(
            {
                "name": "t",
                "loss": "bce",
                "batch_size": N,
                "epochs": 5,
                "hidden": 8,
                "dropout": 0.0,
                "learning_rate": 0.01,
                "weight_decay": 0.1,
            }
            | changes
        )
    )


def arrays(head: Head) -> list[np.ndarray]:
    return [head.w0, head.b0, head.w3, head.b3]


def bits(head: Head) -> bytes:
    return b"".join(one.tobytes() for one in arrays(head))


# against torch


def targets(data: TrainingSet, also_weight: float) -> torch.Tensor:
    out = torch.from_numpy(data.also.astype(np.float32)) * also_weight
    out[torch.arange(len(out)), torch.from_numpy(data.primary)] = 1.0
    return out


def torch_loss(z, data, one: Recipe):
    """The losses as models/recipes.yaml words them, by torch's own functions."""
    if one.loss == "ce" and one.class_weights:
        count = np.bincount(data.primary, minlength=CLASSES)
        weight = torch.tensor(np.minimum(len(data.primary) / (CLASSES * np.maximum(count, 1)), 10), dtype=torch.float32)
        return functional.cross_entropy(z, torch.from_numpy(data.primary), weight=weight, label_smoothing=0.0)
    if one.loss == "ce":
        t = targets(data, one.also_weight)
        return functional.cross_entropy(z, t / t.sum(1, keepdim=True), label_smoothing=one.label_smoothing)
    t = targets(data, one.also_weight) * (1 - one.label_smoothing) + one.label_smoothing / CLASSES
    if one.loss == "bce":
        return functional.binary_cross_entropy_with_logits(z, t)
    return functional.binary_cross_entropy_with_logits(z, t, reduction="sum") / len(z) + one.ce_weight * functional.cross_entropy(
        z, t / t.sum(1, keepdim=True)
    )


def torch_training(start: Head, data: TrainingSet, one: Recipe) -> tuple[list[np.ndarray], list[float]]:
    """The textbook loop: nn.Sequential, autograd, torch.optim.AdamW."""
    net = torch.nn.Sequential(torch.nn.Linear(DIM, one.hidden), torch.nn.GELU(), torch.nn.Linear(one.hidden, CLASSES))
    with torch.no_grad():
        for parameter, value in zip(net.parameters(), arrays(start), strict=True):
            parameter.copy_(torch.from_numpy(value))
    optimiser = torch.optim.AdamW(net.parameters(), lr=one.learning_rate, weight_decay=one.weight_decay)
    losses, x = [], torch.from_numpy(data.vectors)
    for _ in range(one.epochs):
        optimiser.zero_grad()
        loss = torch_loss(net(x), data, one)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return [parameter.detach().numpy() for parameter in net.parameters()], losses


LOSSES = {
    "bce": {"loss": "bce"},
    "bce without also": {"loss": "bce", "also_weight": 0.0},
    "bce smoothed": {"loss": "bce", "label_smoothing": 0.1},
    "ce": {"loss": "ce", "also_weight": 0.0},
    "ce with also": {"loss": "ce", "also_weight": 1.0},
    "ce smoothed": {"loss": "ce", "also_weight": 0.5, "label_smoothing": 0.1},
    "ce with class weights": {"loss": "ce", "also_weight": 0.0, "class_weights": True},
    "joint": {"loss": "joint", "also_weight": 0.5, "ce_weight": 10.0},
    "joint smoothed": {"loss": "joint", "ce_weight": 1.0, "label_smoothing": 0.1},
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_few_steps_are_those_of_autograd_and_torchs_adamw(name):
    one, data = recipe(**LOSSES[name]), problem()
    with one_thread(), torch.inference_mode():
        start = _Run(torch, data, None, one).head()
        trained = _Run(torch, data, None, one).fit(None)
    wanted, losses = torch_training(start, data, one)
    assert max(np.abs(a - b).max() for a, b in zip(arrays(start), wanted, strict=True)) > 0.02, "nothing was learnt, so nothing is compared"
    for got, want in zip(arrays(trained.head), wanted, strict=True):
        assert np.abs(got - want).max() < 1e-5
    assert [epoch.train_loss for epoch in trained.history] == pytest.approx(losses, abs=1e-5)


@pytest.mark.parametrize(
    "changes",
    [{"dropout": 0.5}, {"mixup_alpha": 1.0}, {"dropout": 0.3, "mixup_alpha": 0.4, "loss": "ce", "class_weights": True, "also_weight": 0.0}],
    ids=["dropout", "mixup", "both, weighted"],
)
def test_the_gradient_under_dropout_and_mixup_is_autograds(changes):
    one, data = recipe(loss="joint", ce_weight=3.0) if "loss" not in changes else recipe(), problem()
    one = replace(one, **changes)
    run = _Run(torch, data, None, one)
    rows = torch.arange(N)
    start, state = [view.clone() for view in run.views], run.random.get_state()
    loss = run._step(rows, 1, 10)
    run.random.set_state(state)  # the same chance again
    x, target = run.x, run.target
    weight = run.weight
    if one.mixup_alpha:
        x, target, weight = run._mixup(x, target, weight)
        assert torch.linalg.vector_norm(x, dim=1).numpy() == pytest.approx(1, abs=1e-5)
    kept = (torch.rand((N, one.hidden), generator=run.random) >= one.dropout) / (1 - one.dropout) if one.dropout else 1
    w0, b0, w3, b3 = (one_.requires_grad_() for one_ in start)
    z = functional.linear(functional.gelu(functional.linear(x, w0, b0)) * kept, w3, b3)
    if one.loss == "ce":
        wanted = (weight[:, 0] * functional.cross_entropy(z, target, reduction="none")).sum() / weight.sum()
    else:
        wanted = functional.binary_cross_entropy_with_logits(z, target, reduction="sum") / N + one.ce_weight * functional.cross_entropy(
            z, target / target.sum(1, keepdim=True)
        )
    wanted.backward()
    assert loss == pytest.approx(wanted.item(), abs=1e-5)
    for got, parameter in zip(run.gradients, (w0, b0, w3, b3), strict=True):
        assert (got - parameter.grad).abs().max() < 1e-5


def test_every_row_is_used_once_an_epoch_whatever_the_batch_size():
    """With a rate of nearly nothing, the mean loss of an epoch in batches is that of the whole."""
    whole, batched = (
        train_head(problem(), None, recipe(batch_size=size, epochs=1, learning_rate=1e-7)).history[0].train_loss for size in (N, 7)
    )
    assert batched == pytest.approx(whole, abs=1e-5)


def test_the_one_cycle_rate_warms_up_over_a_tenth_peaks_and_ends_near_zero():
    run = _Run(torch, problem(), None, recipe(schedule="one-cycle", learning_rate=0.01))
    rates = [run._rate(step, 200) for step in range(1, 201)]
    assert max(rates) == rates[19] == pytest.approx(0.01)
    assert rates[:20] == sorted(rates[:20])
    assert rates[19:] == sorted(rates[19:], reverse=True)
    assert 0.01 / 25 < rates[0] < 0.01 / 20
    assert rates[-1] == pytest.approx(0.01 / 250_000)
    constant = _Run(torch, problem(), None, recipe(learning_rate=0.01))
    assert {constant._rate(step, 200) for step in (1, 100, 200)} == {0.01}


# repeatability


FULL = {"loss": "joint", "batch_size": 16, "dropout": 0.1, "mixup_alpha": 1.0, "schedule": "one-cycle"}


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    first, again, other = (train_head(problem(), problem(1), recipe(**FULL, seed=seed)) for seed in (7, 7, 8))
    assert bits(first.head) == bits(again.head)
    assert first.history == again.history
    assert bits(first.head) != bits(other.head)


def test_training_neither_reads_nor_moves_the_global_generators():
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    wanted = bits(train_head(problem(), None, recipe(**FULL)).head)
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    assert bits(train_head(problem(), None, recipe(**FULL)).head) == wanted
    assert (before[0] == torch.get_rng_state()).all()
    assert before[1] == np.random.get_state()[1].tolist()  # noqa: NPY002


def test_the_number_of_threads_of_the_process_does_not_change_the_bits_and_is_given_back():
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(bits(train_head(problem(), None, recipe(**FULL)).head))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]


CHANGES = {
    "loss": "ce", "also_weight": 0.2, "ce_weight": 4.0, "label_smoothing": 0.2, "class_weights": True, "learning_rate": 0.02, "schedule": "constant", "weight_decay": 0.5,
    "batch_size": 8, "epochs": 6, "hidden": 9, "dropout": 0.4, "mixup_alpha": 0.3, "seed": 43,
}  # fmt: skip


@pytest.mark.parametrize("key", CHANGES)
def test_every_parameter_of_a_recipe_changes_the_answer(key):
    one = recipe(**FULL)
    assert bits(train_head(problem(), None, one).head) != bits(train_head(problem(), None, replace(one, **{key: CHANGES[key]})).head)


# which epoch is kept


def test_best_validation_top1_keeps_the_first_best_epoch():
    train, valid = problem(0, noise=1.2), problem(1, noise=1.2)
    one = recipe(learning_rate=0.15, epochs=25, batch_size=8, keep="best-validation-top1")
    trained = train_head(train, valid, one)
    seen = [epoch.valid_top1 for epoch in trained.history]
    assert seen[-1] < max(seen), "the last epoch is the best here, so nothing is tested"
    assert trained.kept_epoch == seen.index(max(seen)) + 1
    assert (trained.head.logits(valid.vectors).argmax(1) == valid.primary).mean() == max(seen)
    until = train_head(train, valid, replace(one, epochs=trained.kept_epoch, keep="last"))
    assert bits(trained.head) == bits(until.head)


def test_last_keeps_the_last_epoch_and_says_so():
    trained = train_head(problem(), problem(1), recipe(epochs=4))
    assert trained.kept_epoch == 4
    assert [epoch.epoch for epoch in trained.history] == [1, 2, 3, 4]
    assert (trained.head.logits(problem(1).vectors).argmax(1) == problem(1).primary).mean() == trained.history[-1].valid_top1


def test_best_validation_without_validation_rows_is_refused():
    with pytest.raises(InputError, match="there are no validation rows"):
        train_head(problem(), None, recipe(keep="best-validation-top1"))


def test_progress_is_told_each_epoch_and_may_cancel():
    seen = []

    def cancel(epoch):
        seen.append(epoch.epoch)
        if epoch.epoch == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train_head(problem(), None, recipe(epochs=9), cancel)
    assert seen == [1, 2, 3]


def test_training_learns_what_can_be_learnt():
    trained = train_head(problem(0, n=200, noise=0.2), problem(1, noise=0.2), recipe(epochs=40, batch_size=32))
    assert trained.history[-1].valid_top1 > 0.9
    assert trained.history[-1].train_loss < trained.history[0].train_loss / 3


@pytest.mark.parametrize(("vectors", "primary", "also"), [(0, 0, 0), (3, 2, 3), (3, 3, 2)])
def test_sets_that_do_not_fit_are_refused(vectors, primary, also):
    with pytest.raises(InputError, match="Nothing to train on"):
        TrainingSet(np.zeros((vectors, 4), np.float32), np.zeros(primary, np.int64), np.zeros((also, 2), np.uint8))


@pytest.mark.parametrize(("domains", "parameters"), [(32, 106_784), (47, 110_639)])
def test_a_head_trained_by_a_shipped_recipe_has_the_known_number_of_parameters(project, domains, parameters):
    random = np.random.default_rng(0)
    data = TrainingSet(random.normal(size=(domains, 384)).astype(np.float32), np.arange(domains), np.zeros((domains, domains), np.uint8))
    for one in read_recipes(project / "models" / "recipes.yaml").values():
        assert train_head(data, data, replace(one, epochs=1)).head.parameters == parameters


# recipes


def test_the_shipped_recipes(project):
    recipes = read_recipes(project / "models" / "recipes.yaml")
    assert set(recipes) == {"published", "upstream", "lab", "hybrid"}
    published, upstream = recipes["published"], recipes["upstream"]
    assert (
        published.loss,
        published.learning_rate,
        published.batch_size,
        published.epochs,
        published.dropout,
        published.seed,
        published.keep,
    ) == ("bce", 1e-3, 128, 30, 0.1, 42, "last")
    assert (upstream.loss, upstream.class_weights, upstream.weight_decay, upstream.keep) == ("ce", True, 1e-4, "best-validation-top1")
    assert all(one.description for one in recipes.values())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("loss", "focal"), ("schedule", "linear"), ("keep", "best"), ("also_weight", 1.5), ("also_weight", -0.1), ("ce_weight", -1), ("label_smoothing", 0.9),
        ("learning_rate", 0), ("learning_rate", "0.001"), ("learning_rate", float("nan")), ("weight_decay", float("inf")), ("batch_size", 0), ("epochs", 0), ("epochs", True),
        ("hidden", 0), ("dropout", 1.0), ("mixup_alpha", -1), ("seed", -1), ("seed", 2**32), ("epochs", None),
        ("epochs", 2.5), ("batch_size", 12.5), ("hidden", 3.5), ("seed", 1.5), ("class_weights", "no"),
    ],
)  # fmt: skip
def test_a_recipe_value_that_cannot_be_used_is_refused_by_name(key, value):
    with pytest.raises(SettingsError) as caught:
        Recipe(**({"name": "mine", "loss": "bce"} | {key: value}))
    assert f"Recipe mine: {key} is {value!r}." in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"loss": "bce", "class_weights": True}, "class_weights has no effect with loss bce"),
        ({"loss": "bce", "ce_weight": 2.0}, "ce_weight has no effect with loss bce"),
        ({"loss": "ce", "ce_weight": 2.0}, "ce_weight has no effect with loss ce"),
    ],
)
def test_a_recipe_value_without_effect_is_refused(given, said):
    with pytest.raises(SettingsError, match=said):
        Recipe(name="mine", **given)


def test_changes_that_are_none_change_nothing_and_others_are_checked():
    one = recipe()
    assert one.with_changes(epochs=None, seed=None) == one
    assert one.with_changes(epochs=3).epochs == 3
    with pytest.raises(SettingsError):
        one.with_changes(epochs=0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("recipes: {mine: {loss: bce, learning_rat: 1}}", "recipe mine has unknown keys learning_rat"),
        ("recipes: {mine: {loss: bce, epochs: many}}", "Recipe mine: epochs is 'many'"),
        ("recipe: {}", "recipes.yaml"),
        ("recipes: [mine]", "recipes.yaml"),
        ("recipes: {mine: 3}", "recipes.yaml"),
        ("recipes: {mine: {epochs: 3}}", "loss"),
        ("recipes: {mine: {loss: bce, name: other}}", "name"),
        ("recipes: {mine: {loss: [bce", "recipes.yaml"),
        ("", "recipes.yaml"),
    ],
    ids=["unknown key", "wrong type", "no recipes", "a list", "no body", "no loss", "name twice", "broken YAML", "empty"],
)
def test_a_recipe_file_that_cannot_be_used_is_refused(tmp_path, text, said):
    path = tmp_path / "recipes.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_recipes(path)
    assert said in str(caught.value)


def test_a_missing_recipe_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"recipes\.yaml is missing"):
        read_recipes(tmp_path / "recipes.yaml")


# from rows to a problem


def labelled(*pairs, **given):
    return [Row(text, domain, **given) for text, domain in pairs]


TRAIN = labelled(("one two", "docker"), ("three four", "spice"), split="train")


def test_aliases_become_the_taxonomys_names_and_are_counted(bench):
    rows = [*TRAIN, Row("five six", "electronics", also=("bash", "docker"), split="train"), Row("seven", "made-up", split="train")]
    data = build_dataset(rows, bench.taxonomy)
    assert data.domains == ["docker", "electronics-hw", "made-up", "spice"]
    assert data.rows[2].also == ("shell", "docker")
    assert data.renamed == {"electronics → electronics-hw": 1, "bash → shell": 1}
    assert data.left_out == {}
    primary, also = data.labels(np.arange(4))
    assert primary.tolist() == [0, 3, 1, 2]
    assert also.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_v5_keeps_its_32_domains_under_its_own_names_and_counts_the_rest(bench):
    labels = bench.taxonomy.v5_labels()
    assert len(labels) == 32
    rows = [*TRAIN, Row("five six", "electronics-hw", also=("misra-c", "spice"), split="train"), Row("seven", "misra-c", split="train")]
    data = build_dataset(rows, bench.taxonomy, only=labels)
    assert data.domains == ["docker", "electronics", "spice"]
    assert [row.also for row in data.rows] == [(), (), ("spice",)]
    assert data.left_out == {"label outside the chosen domains": 1}
    assert data.renamed == {"electronics-hw → electronics": 1}


def test_train_and_test_without_valid_give_a_tenth_of_train_and_none_of_test(bench):
    rows = [
        Row(f"{'docker' if n % 2 else 'spice'} {n} {n * n}", "docker" if n % 2 else "spice", split="test" if n >= 400 else "train")
        for n in range(450)
    ]
    data = build_dataset(rows, bench.taxonomy)
    assert data.splits[400:] == ["test"] * 50
    assert 0.05 < data.splits[:400].count("valid") / 400 < 0.16
    assert set(data.splits[:400]) == {"train", "valid"}


def test_the_tenth_given_to_valid_takes_near_duplicates_together(bench):
    """Else calibration and the choice of the best epoch look at rows that were trained on."""
    families = [[Row(f"how do I {verb} the {noun} of my docker setup when nothing else on this old machine works any more {letter}", "docker", split="train") for letter in "abcdefgh"]
                for verb in ("inspect", "rebuild", "throttle", "snapshot") for noun in ("volume", "registry", "bridge", "healthcheck")]  # fmt: skip
    data = build_dataset([*TRAIN, *(row for family in families for row in family), Row("elsewhere", "spice", split="test")], bench.taxonomy)
    side = {row.id: side for row, side in zip(data.rows, data.splits, strict=True)}
    assert [{side[row.id] for row in family} for family in families if len({side[row.id] for row in family}) > 1] == []


def test_the_tenth_given_to_valid_never_takes_a_labels_last_training_row(bench):
    rows = [Row(f"{n} {n * n} {n**3}", f"label-{n}", split="train") for n in range(100)]
    assert set(build_dataset(rows, bench.taxonomy).splits) == {"train"}


def test_a_row_near_two_sides_is_left_out_and_counted(bench):
    base = "comment regler la boucle de courant du moteur quand la tension de la carte baisse et que le filtre laisse passer tout le bruit de fonction du pilote"
    left, right = (
        Row(f"abcdefghijklm nopqrstuvwxyz {base}", "docker", split="train"),
        Row(f"{base} zyxwvutsrqponm lkjihgfedcba", "docker", split="test"),
    )
    data = build_dataset([*TRAIN, left, right, Row("v", "docker", split="valid"), Row(base, "docker")], bench.taxonomy)
    assert data.left_out == {"near-duplicate of both sides of the split": 1}
    assert base not in {row.text for row in data.rows}
    assert len(data.rows) == len(data.splits) == 5


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "No labelled row is left"),
        (TRAIN[:1], "there is only one label"),
        ([*TRAIN, Row("five", "power", split="test")], "without one: power"),
    ],
    ids=["nothing", "one label", "label without training rows"],
)
def test_rows_that_cannot_train_a_router_are_refused(bench, rows, said):
    with pytest.raises(InputError, match=said):
        build_dataset(rows, bench.taxonomy)


# the whole build, with the tiny encoder

TOPICS = {
    "docker": "container image volume compose registry layer",
    "spice": "netlist transient convergence node diode model",
    "sql": "table join index query select column",
}


@pytest.fixture(scope="module")
def corpus():
    random = np.random.default_rng(5)
    rows = []
    for n in range(1_500):
        domain = list(TOPICS)[n % 3]
        words = [
            *random.choice(TOPICS[domain].split(), 3),
            *random.choice(["how", "why", "please", "the", "a", "my", "again", "fails"], 4),
            str(n),
        ]
        rows.append(Row(" ".join(random.permutation(words)), domain, also=("sql",) if n % 10 == 0 and domain != "sql" else ()))
    return rows


@pytest.fixture
def built(tmp_path, corpus, bench, fake_encoder):
    def build(name="router", **changes):
        one = Recipe(**({"name": "t", "loss": "joint", "epochs": 8, "hidden": 16, "learning_rate": 0.01} | changes))
        return build_router(
            build_dataset(corpus, bench.taxonomy),
            fake_encoder,
            VectorCache(tmp_path / "vectors.sqlite"),
            one,
            bench.taxonomy,
            tmp_path / name,
        )

    return build


def test_a_build_writes_a_router_whose_record_says_what_made_it(built, tmp_path, fake_encoder, corpus):
    folder, metrics = built()
    router = Router.load(tmp_path / "router")
    assert router.metrics == metrics
    assert router.domains == ["docker", "spice", "sql"]
    assert router.calibration.kind in ("temperature", "platt")
    assert metrics["top1"] > 0.9
    assert metrics["bound_to"]["router_sha256"] == folder.weights_sha256 == router.sha256
    ours, data = router.ours, metrics["bound_to"]
    assert ours["encoder_id"] == data["encoder_id"] == fake_encoder.id
    assert ours["corpus_sha256"] == data["corpus_sha256"]
    assert ours["split_sha256"] == data["split_sha256"]
    assert sum(ours["rows"].values()) == len(corpus)
    assert ours["rows"]["test"] == metrics["n"]
    assert metrics["rows_from_training"] == 0
    assert ours["recipe"]["epochs"] == folder.meta["epochs"] == 8
    assert len(ours["history"]) == 8
    assert [row["target"] for row in ours["abstain"]["thresholds"]] == [0.70, 0.75, 0.80, 0.85, 0.90, 0.95, 0.98]
    assert folder.meta["embedding_model"] == "fake"
    assert (folder.meta["top1_acc"], folder.meta["macro_f1"]) == (metrics["top1"], metrics["macro_f1"])
    assert set(ours["libraries"]) >= {"torch", "numpy"}


def test_two_builds_write_the_same_bytes_and_another_seed_other_weights(built, tmp_path, fake_encoder):
    built("a/router")  # of one name, which the report carries
    encoded = len(fake_encoder.seen)
    built("b/router")
    assert len(fake_encoder.seen) == encoded, "the second build takes its vectors from the cache"
    for file in ("router.safetensors", "meta.json", "label_map.json", "metrics.json"):
        assert (tmp_path / "a" / "router" / file).read_bytes() == (tmp_path / "b" / "router" / file).read_bytes()
    _, metrics = built("c", seed=43)
    assert metrics["bound_to"]["router"] == "c"
    assert read_router(tmp_path / "c").weights_sha256 != read_router(tmp_path / "a" / "router").weights_sha256


def test_a_build_without_test_rows_has_no_figures_and_invents_none(tmp_path, bench, fake_encoder, corpus):
    rows = [replace(row, split="train") for row in corpus[:60]]
    folder, metrics = build_router(
        build_dataset(rows, bench.taxonomy),
        fake_encoder,
        VectorCache(tmp_path / "v.sqlite"),
        recipe(epochs=2),
        bench.taxonomy,
        tmp_path / "r",
    )
    assert metrics is None
    assert not (tmp_path / "r" / "metrics.json").exists()
    assert not {"top1_acc", "macro_f1", "per_label_f1"} & set(folder.meta)
    assert Router.load(tmp_path / "r").calibration.kind == "none"
    assert json.loads((tmp_path / "r" / "meta.json").read_text())["router_lab"]["abstain"]["thresholds"] == []


def test_reserved_prompts_never_train(bench):
    from lab.corpus.rows import Row
    from lab.router.dataset import build_dataset

    rows = [Row(f"prompt {n} about {label} {'y' * n}", label) for n in range(40) for label in ("sql", "math")]
    dataset = build_dataset(rows, bench.taxonomy, reserved={rows[0].id})
    assert rows[0].id not in {row.id for row in dataset.rows}
    assert dataset.left_out == {"reserved for the behavioural suites": 1}
