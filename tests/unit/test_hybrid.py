"""The lexical part of a hybrid router: its n-grams, its training, its file, and what changes for those who ask a router."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import ArtefactError, InputError
from lab.evaluation.out_of_fold import compute
from lab.router.calibrate import Calibration
from lab.router.fit import choose_weight, fit, fit_scores
from lab.router.folder import OURS, read_router, write_router
from lab.router.head import sigmoid
from lab.router.lexical_file import LEXICAL
from lab.router.ngrams import count_ngrams, folded
from lab.router.recipe import Recipe
from lab.router.router import Router
from lab.router.train import TrainingSet, train_head
from lab.router.train_lexical import train_lexical

WORDS = (("resistor", "capacitor", "solder"), ("python", "function", "import"), ("verb", "translate", "phrase"))
RECIPE = Recipe("hybrid", "joint", epochs=2, hidden=4, lexical_weight=12.0)


def problem(seed: int = 0, n: int = 60) -> TrainingSet:
    """Three domains told apart by their words alone: the vectors are noise."""
    random = np.random.default_rng(seed)
    primary = np.arange(n) % 3
    texts = [f"please {' '.join(random.choice(WORDS[one], 2))} number {n}" for n, one in enumerate(primary)]
    vectors = random.normal(size=(n, 5)).astype(np.float32)
    return TrainingSet(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), primary, np.zeros((n, 3), np.uint8), texts)


def saved(path, meta=None):
    data = problem()
    trained = fit(data, problem(1), RECIPE)
    return trained, write_router(path, trained.head, ["a", "b", "c"], meta or {OURS: {}}, lexical=trained.lexical)


def keys(text: str) -> set[int]:
    return set(count_ngrams([text]).key.tolist())


def test_case_and_accents_do_not_matter_and_marks_stand_apart():
    assert folded("  Élève,\n C++ ÇA? ") == "eleve , c++ ca ?"
    assert keys("Où est la CLÉ") == keys("ou est la cle")
    assert keys("c") != keys("c++") != keys("c#")


def test_counts_by_hand():
    counts = count_ngrams(["to to be"])
    words, characters = (counts.count[counts.block == block] for block in (0, 1))
    assert sorted(words) == [1, 1, 1, 2]  # be, to to, to be, to
    assert sorted(characters) == [1, 1, 1, 2, 2, 2]  # " be", "be ", " be "; " to", "to ", " to "


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40).filter(str.strip), min_size=1, max_size=5))
def test_a_text_has_the_same_ngrams_alone_and_in_a_batch(texts):
    batch = count_ngrams(texts)
    for n, text in enumerate(texts):
        alone = count_ngrams([text])
        assert np.array_equal(batch.key[batch.row == n], alone.key)
        assert np.array_equal(batch.count[batch.row == n], alone.count)


def test_the_lexical_part_learns_what_the_vectors_do_not_say_and_twice_the_same():
    data, other = problem(), problem(1)
    first, again = fit(data, None, RECIPE), fit(data, None, RECIPE)
    assert (first.logits(other.vectors, other.texts).argmax(1) == other.primary).mean() == 1.0
    assert (first.head.logits(other.vectors).argmax(1) == other.primary).mean() < 0.7
    assert first.lexical.weights.tobytes() == again.lexical.weights.tobytes()


def test_the_head_is_the_one_that_is_trained_without_a_lexical_part():
    alone = train_head(problem(), None, replace(RECIPE, lexical_weight=0.0)).head
    assert np.array_equal(fit(problem(), None, RECIPE).head.w0, alone.w0)


def test_a_row_is_no_negative_example_of_a_domain_it_is_also_of():
    data = problem()
    also = data.also.copy()
    also[data.primary == 0, 1] = 1
    scores = [train_lexical(data.texts, data.primary, one, 0.5, (1, 1), 1.0).scores(["resistor capacitor"])[0, 1] for one in (data.also, also)]
    assert scores[1] > scores[0] + 0.1


def test_the_machines_of_all_domains_are_those_that_liblinear_finds_one_by_one():
    from scipy.sparse import csr_matrix
    from sklearn.svm import LinearSVC

    from lab.router.coordinate_descent import fit_machines

    random = np.random.default_rng(0)
    dense = random.random((150, 60), dtype=np.float32) * (random.random((150, 60)) < 0.2)
    x, wanted = csr_matrix(dense), np.where(random.integers(0, 4, 150)[:, None] == np.arange(4), 1, -1).astype(np.int8)
    wanted[(random.random(wanted.shape) < 0.1) & (wanted < 0)] = 0
    (weights, bias), again = fit_machines(x, wanted, 0.5), fit_machines(x, wanted, 0.5)
    assert weights.tobytes() == again[0].tobytes() and bias.tobytes() == again[1].tobytes()
    for domain in range(4):
        one = LinearSVC(C=0.5, tol=1e-8, max_iter=10_000).fit(x, wanted[:, domain] > 0, sample_weight=(wanted[:, domain] != 0).astype(float))
        assert np.abs(x @ weights[:, domain] + bias[domain] - one.decision_function(x)).max() < 0.01


def test_one_prompt_scores_as_in_a_batch_and_an_unknown_one_has_the_bias():
    lexical = fit(problem(), None, RECIPE).lexical
    texts = problem(2, n=600).texts
    one_by_one = np.concatenate([lexical.scores([text]) for text in texts[::60]])
    assert np.allclose(lexical.scores(texts)[::60], one_by_one, atol=1e-5)
    assert np.allclose(lexical.scores(["жщ"]), lexical.bias)


def test_the_lexical_weight_follows_whichever_part_is_right():
    right, wrong, primary = np.eye(3)[[0, 1, 2]], np.eye(3)[[1, 2, 0]], np.arange(3)
    assert choose_weight(wrong, right / 10, primary, 8.0) == 16.0
    assert choose_weight(right, wrong, primary, 8.0) < 1.0
    assert choose_weight(right, right, primary, 8.0) == 8.0


def test_the_lexical_weight_asks_every_row_not_only_those_near_a_border():
    """Two parts of independent noise: the best weight is the ratio of what each knows, and it does not hang on a handful of top-1 answers."""
    random, primary = np.random.default_rng(1), np.arange(1500) % 5
    truth = np.eye(5)[primary]
    logits, scores = truth * 2 + random.normal(size=truth.shape), truth / 2 + random.normal(size=truth.shape) / 4
    chosen = {choose_weight(logits[rows], scores[rows], primary[rows], 16.0) for rows in np.array_split(random.permutation(1500), 3)}
    assert chosen == {4.0}, "log odds: 2 for a unit of the logits, 8 for one of the scores"


def test_raw_scores_are_fitted_and_no_order_changes():
    random = np.random.default_rng(0)
    z = random.normal(size=(400, 3)) * 3
    target = (random.random((400, 3)) < sigmoid(0.5 * z - 1)).astype(np.float32)
    slope, shift = fit_scores(z, target)
    assert abs(slope - 0.5) < 0.15 and abs(shift + 1) < 0.25


def test_a_hybrid_folder_reads_back_the_same_and_its_hash_covers_both_files(tmp_path):
    trained, folder = saved(tmp_path / "r")
    router, data = Router.load(folder.path), problem(3)
    assert np.array_equal(router.logits(data.vectors, data.texts), trained.logits(data.vectors, data.texts))
    assert router.family == "hybrid" and router.parameters > router.head.parameters
    changed = replace(trained.lexical, bias=trained.lexical.bias + 1)
    assert write_router(tmp_path / "s", trained.head, folder.domains, {OURS: {}}, lexical=changed).weights_sha256 != folder.weights_sha256
    assert write_router(tmp_path / "t", trained.head, folder.domains, {OURS: {}}).weights_sha256 != folder.weights_sha256


def test_a_hybrid_asked_without_the_prompts_says_so(tmp_path):
    _, folder = saved(tmp_path / "r")
    with pytest.raises(InputError, match="has a lexical part"):
        Router.load(folder.path).logits(problem().vectors)
    with pytest.raises(InputError, match="without their texts"):
        fit(replace(problem(), texts=None), None, RECIPE)


@pytest.mark.parametrize("harm", ["missing", "other", "truncated", "unnamed"])
def test_a_lexical_file_that_does_not_fit_is_refused(tmp_path, harm):
    trained, folder = saved(tmp_path / "r")
    path = folder.path / LEXICAL
    if harm == "missing":
        path.unlink()
    elif harm == "other":
        other = write_router(tmp_path / "s", trained.head, folder.domains, {OURS: {}}, lexical=replace(trained.lexical, bias=trained.lexical.bias + 1))
        path.write_bytes((other.path / LEXICAL).read_bytes())
    elif harm == "truncated":
        path.write_bytes(path.read_bytes()[:100])
    else:
        data = path.read_bytes()
        write_router(folder.path, trained.head, folder.domains, {OURS: {}})
        path.write_bytes(data)
    with pytest.raises(ArtefactError, match=LEXICAL):
        read_router(folder.path)


def test_the_plain_files_of_a_hybrid_are_a_router_of_their_own(tmp_path):
    """What a gateway that does not know of lexical.safetensors sees."""
    import json

    trained, folder = saved(tmp_path / "r")
    (folder.path / LEXICAL).unlink()
    meta = json.loads((folder.path / "meta.json").read_text())
    del meta[OURS]
    (folder.path / "meta.json").write_text(json.dumps(meta))
    plain = Router.load(folder.path)
    assert plain.family == "head" and np.array_equal(plain.head.w3, trained.head.w3)


def test_folds_of_a_hybrid_never_see_the_row_they_score():
    """Labels by chance: scored by parts that saw them, nearly all would be right."""
    random = np.random.default_rng(0)
    data = problem(n=100)
    primary, texts = random.integers(0, 3, 100), [f"{one}{n} unique{n}" for n, one in enumerate(data.texts)]
    fitted = fit(TrainingSet(data.vectors, primary, data.also[:100], texts), None, RECIPE)
    seen = fitted.logits(data.vectors, texts)
    out = compute(data.vectors, primary, data.also, np.arange(100) % 5, np.zeros(100, bool), RECIPE, seen, workers=1, texts=texts)
    assert (seen.argmax(1) == primary).mean() > 0.9
    assert (out.argmax(1) == primary).mean() < 0.55


@settings(max_examples=60, deadline=None)
@given(st.floats(0.05, 3), st.floats(-0.3, 0.3), st.floats(-3, 3))
def test_the_top_calibration_gives_probabilities_and_never_falls_with_the_top(slope, curve, shift):
    logits = np.zeros((50, 3))
    logits[:, 0] = np.concatenate([np.linspace(0.1, 12, 40), np.linspace(13, 400, 10)])  # up to where the others are 0 in floats
    p = Calibration("top", (1.0, slope, curve), (shift,)).probabilities(logits.astype(np.float32))
    assert np.allclose(p.sum(1), 1, atol=1e-4) and (p >= 0).all()
    assert (np.diff(p[:, 0]) >= -1e-6).all()
