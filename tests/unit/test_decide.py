"""From a prompt's scores to an answer: the gateway's selections, abstaining, backends, and the whole way of a prompt."""

import numpy as np
import pytest

from lab.errors import EncoderError, InputError, SettingsError
from lab.router.folder import RouterFolder
from lab.router.head import Head, selections
from lab.router.router import Router
from lab.taxonomy import Backends, Taxonomy

DOMAINS = ["a", "b", "c", "d", "e", "f"]


def router(thresholds=None, calibration=None, dim=6) -> Router:
    """A head that passes its input through (GELU is the identity far above 0): logits = vector − 20, so a vector is its logits."""
    identity = np.eye(6, dim, dtype=np.float32)
    head = Head(identity, np.full(6, 20, np.float32), np.eye(6, dtype=np.float32), np.full(6, -20, np.float32))
    ours = {"calibration": calibration} | ({} if thresholds is None else {"abstain": {"thresholds": thresholds}})
    return Router(RouterFolder(None, head, DOMAINS, {"router_lab": ours}, "0" * 64), "toy")


def logits(*scores) -> np.ndarray:
    """The vector whose sigmoid scores are these."""
    p = np.asarray(scores, dtype=np.float64)
    return np.log(p / (1 - p)).astype(np.float32)


# the gateway's rule


@pytest.mark.parametrize(
    ("scores", "wanted"),
    [
        ([0.1, 0.9, 0.2, 0.6, 0.3, 0.4], [("b", 0.9), ("d", 0.6)]),
        ([0.5, 0.4999, 0.1, 0.1, 0.1, 0.1], [("a", 0.5)]),
        ([0.1] * 6, []),
        ([0.6, 0.7, 0.8, 0.9, 0.95, 0.55], [("e", 0.95), ("d", 0.9), ("c", 0.8), ("b", 0.7)]),
        ([0.8, 0.8, 0.9, 0.8, 0.8, 0.8], [("c", 0.9), ("a", 0.8), ("b", 0.8), ("d", 0.8)]),
    ],
    ids=["two", "0.50 is in", "none", "at most four", "ties in class order"],
)
def test_selections_are_the_gateways(scores, wanted):
    assert selections(np.array(scores), DOMAINS) == wanted


def test_a_router_selects_on_its_sigmoid_scores_not_on_its_probabilities():
    one = router(calibration={"kind": "temperature", "a": [1.0], "b": []})
    scored = one.score(logits(0.9, 0.8, 0.7, 0.2, 0.1, 0.1))
    assert [domain for domain, _ in one.selections(scored)] == ["a", "b", "c"]
    assert scored.scores == pytest.approx([0.9, 0.8, 0.7, 0.2, 0.1, 0.1], abs=1e-5)
    assert scored.probabilities.sum() == pytest.approx(1, abs=1e-6)


# abstaining

ROWS = [
    {"target": 0.9, "threshold": 0.75, "precision": 0.91, "accepted": 300, "n": 500},
    {"target": 0.98, "threshold": None, "precision": None, "accepted": 0, "n": 500},
]
WARM = {"kind": "platt", "a": [1.0] * 6, "b": [0.0] * 6}


def test_without_calibration_the_gateways_half_decides_and_says_that_nothing_is_calibrated():
    taken = router().decide(router().score(logits(0.1, 0.5, 0.3, 0.1, 0.1, 0.1)))
    assert (taken.domain, taken.abstained, taken.threshold) == ("b", False, 0.5)
    assert "raw score 0.50 reaches the gateway's 0.50" in taken.reason
    left = router().decide(router().score(logits(0.1, 0.45, 0.3, 0.1, 0.1, 0.1)))
    assert (left.domain, left.abstained, left.threshold) == (None, True, 0.5)
    assert "raw score 0.45 of b is under the gateway's 0.50" in left.reason
    assert "no calibration" in taken.reason
    assert "no calibration" in left.reason


@pytest.mark.parametrize(("top", "answer"), [(0.80, "c"), (0.74, None)])
def test_a_calibrated_router_holds_its_probability_against_the_fitted_threshold(top, answer):
    one = router(ROWS, WARM)
    decision = one.decide(one.score(logits(0.1, 0.2, top, 0.1, 0.1, 0.1)), 0.9)
    assert (decision.domain, decision.abstained, decision.threshold) == (answer, answer is None, 0.75)
    assert (
        f"probability {top:.2f} of c {'reaches' if answer else 'is under'} the threshold 0.75 that kept 91% precision on 300 of 500 validation prompts"
        in decision.reason
    )


def test_a_probability_equal_to_the_threshold_is_accepted():
    one = router([ROWS[0] | {"threshold": 0.5}], WARM)
    assert one.decide(one.score(np.array([-1, 0, -1, -1, -1, -1], np.float32))).domain == "b"


def test_a_target_that_no_threshold_kept_abstains_even_when_sure():
    one = router(ROWS, WARM)
    decision = one.decide(one.score(logits(0.1, 0.2, 0.9999, 0.1, 0.1, 0.1)), 0.98)
    assert (decision.domain, decision.abstained, decision.threshold) == (None, True, 1.0)
    assert decision.reason == "no threshold of this router kept 98% precision on its validation rows"


def test_a_target_that_was_never_fitted_abstains_and_says_so():
    one = router(ROWS, WARM)
    decision = one.decide(one.score(logits(0.1, 0.2, 0.9999, 0.1, 0.1, 0.1)), 0.7)
    assert decision.abstained
    assert decision.reason == "no threshold was fitted for 70% precision"


def test_the_claimed_probability_is_that_of_the_top_domain_or_its_raw_score():
    rows = np.stack([logits(0.2, 0.9, 0.1, 0.1, 0.1, 0.1), logits(0.1, 0.1, 0.1, 0.1, 0.1, 0.3)])
    assert router().claimed(rows) == pytest.approx([0.9, 0.3], abs=1e-5)
    cold = router(calibration={"kind": "temperature", "a": [1e6], "b": []})
    assert cold.claimed(rows) == pytest.approx([1 / 6, 1 / 6], abs=1e-4)


def test_vectors_of_another_width_are_refused_with_both_numbers():
    with pytest.raises(EncoderError, match="reads vectors of 6 numbers") as caught:
        router().score(np.zeros(768, np.float32))
    assert "gives 768" in str(caught.value)
    assert "embedding_model" in str(caught.value)


# domains and backends


def test_the_taxonomy_knows_the_aliases_of_the_wild_and_leaves_other_labels_alone(bench):
    wild = {
        "electronics": "electronics-hw", "electronique": "electronics-hw", "hardware": "electronics-hw", "hw": "electronics-hw", "elec": "electronics-hw",
        "translation": "traduction-tech", "traduction": "traduction-tech", "fr": "chat-fr", "francais": "chat-fr", "french": "chat-fr", "multilingual": "redaction-multilingue",
        "ts": "typescript", "js": "typescript", "javascript": "typescript", "c++": "cpp", "py": "python", "bash": "shell", "sh": "shell", "ml": "ml-training", "embedded-c": "embedded",
        "docker": "docker", "made-up": "made-up",
    }  # fmt: skip
    assert {label: bench.taxonomy.canonical(label) for label in wild} == wild


def test_every_domain_has_a_backend_and_no_alias_names_two_domains(bench):
    names = set(bench.taxonomy.by_name)
    assert set(bench.backends.backend) == names
    assert set(bench.backends.specialist) <= names
    aliases = [alias for domain in bench.taxonomy.domains for alias in domain.aliases]
    assert len(aliases) == len(set(aliases))
    assert not set(aliases) & names
    assert set(bench.router("lab-47").domains) == names
    assert set(bench.router("v5-32").domains) == set(bench.taxonomy.v5_labels().values())


@pytest.mark.parametrize(
    ("wanted", "given", "costs"),
    [
        ("stm32", "embedded", False),
        ("python", "rust", False),
        ("spice", "power", True),
        ("math", "math", False),
        ("x", "y", True),
        ("x", "x", False),
        ("math", "y", True),
    ],
)
def test_a_confusion_within_one_backend_costs_nothing(bench, wanted, given, costs):
    assert bench.backends.costs(wanted, given) is costs


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("backends: {m: [a], n: [a]}", "domain 'a' is given to m and to n"),
        ("models: {}", "backends"),
        ("[", "backends.yaml"),
        ("backends: [a]", "backends.yaml"),
        ("backends: {m: 3}", "backends.yaml"),
    ],
)
def test_a_backend_file_that_cannot_be_used_is_refused(tmp_path, text, said):
    (tmp_path / "backends.yaml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        Backends.load(tmp_path / "backends.yaml")
    assert said in str(caught.value)


def test_a_missing_backend_file_and_a_broken_taxonomy_are_named(tmp_path):
    with pytest.raises(SettingsError, match="is missing"):
        Backends.load(tmp_path / "backends.yaml")
    (tmp_path / "taxonomy.json").write_text('{"version": 1, "rule": "", "domains": [{"name": "a"}]}')
    with pytest.raises(SettingsError, match="'definition'"):
        Taxonomy.load(tmp_path / "taxonomy.json")


@pytest.mark.parametrize("value", ["docker", "[1]", "{docker: 1}"])
def test_backends_that_are_no_list_of_domains_are_refused(tmp_path, value):
    (tmp_path / "backends.yaml").write_text(f"backends: {{model: {value}}}")
    with pytest.raises(SettingsError, match="expected a list of domains"):
        Backends.load(tmp_path / "backends.yaml")


def test_aliases_that_are_a_text_are_not_read_letter_by_letter(tmp_path):
    domain = '{"name": "a", "definition": "", "border": "", "v5": null, "aliases": "abc"}'
    (tmp_path / "taxonomy.json").write_text(f'{{"version": 1, "rule": "", "domains": [{domain}]}}')
    with pytest.raises(SettingsError, match="the aliases of a are 'abc'"):
        Taxonomy.load(tmp_path / "taxonomy.json")


# the whole way, with the real encoder


@pytest.mark.real
@pytest.mark.parametrize("name", ["lab-47", "v5-32", "v9-47"])
def test_a_clear_prompt_reaches_its_domain_and_backend(bench, name):
    route = bench.route("How do I flash an STM32 over SWD with openocd?", name)
    assert route.domains[0][0] == "stm32"
    assert (route.decision.domain, route.backend, route.would_be_backend) == (
        "stm32",
        "apertus-70b-embedded-8bit",
        "apertus-70b-embedded-8bit",
    )
    assert route.router_sha256 == bench.router(name).sha256
    assert route.language == "en"
    assert route.selections[0][0] == "stm32"


@pytest.mark.real
def test_v5s_own_name_finds_the_backend_of_the_taxonomys(bench):
    route = bench.route("What value of pull-up resistor for an open-drain output?", "v5-32")
    assert "electronics" in bench.router("v5-32").domains
    assert route.domains[0][0] == "electronics"
    assert route.would_be_backend == "apertus-70b-electronics-hw-8bit"


@pytest.mark.real
def test_an_abstaining_route_names_no_backend_but_says_which_it_would_have_been(bench):
    route = bench.route("and the other one?", "lab-47", target=0.98)
    assert route.decision.abstained
    assert (route.decision.domain, route.backend, route.specialist) == (None, None, None)
    assert route.would_be_backend == bench.backends.backend[route.domains[0][0]]


@pytest.mark.real
def test_the_listed_domains_are_the_top_k_in_order(bench):
    whole = bench.route("docker compose volumes are not mounted", "lab-47", top_k=1_000).domains
    assert len(whole) == bench.router("lab-47").head.domains
    assert [score for _, score, _ in whole] == sorted((score for _, score, _ in whole), reverse=True)
    assert sum(probability for *_, probability in whole) == pytest.approx(1, abs=1e-4)
    assert bench.route("docker compose volumes are not mounted", "lab-47", top_k=3).domains == whole[:3]


@pytest.mark.real
def test_many_prompts_are_routed_like_each_alone(bench):
    texts = ["Bonjour", "How do I flash an STM32?", "SELECT name FROM users", "x" * 3_000, "Bonjour"]
    for text, route in zip(texts, bench.route_many(texts, "lab-47"), strict=True):
        alone = bench.route(text, "lab-47")
        assert [domain for domain, *_ in route.domains] == [domain for domain, *_ in alone.domains]
        assert [p for *_, p in route.domains] == pytest.approx([p for *_, p in alone.domains], abs=1e-4)
        assert route.decision.domain == alone.decision.domain
    assert bench.route_many([], "lab-47") == []


@pytest.mark.real
@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("word " * 300, True),
        ("word " * 200, False),
        ("a" * 1_000, False),
        ("a" * 1_001, True),
        ("a line\r\n" * 130, False),
        ("e\u0301" * 900, False),
    ],
    ids=["1 499", "999", "1 000", "1 001", "1 038 with CRLF, 909 prepared", "1 800 decomposed, 900 prepared"],
)
def test_a_route_says_whether_the_router_saw_the_whole_prompt(bench, text, cut):
    assert bench.route(text, "lab-47").cut is cut


@pytest.mark.real
@pytest.mark.parametrize("bad", ["", "  ", "a\0b", "x" * 200_000, "\ud800"])
def test_a_prompt_that_cannot_be_routed_is_refused(bench, bad):
    with pytest.raises(InputError):
        bench.route(bad, "lab-47")


def test_an_unknown_router_is_refused_naming_the_shipped_ones(bench):
    with pytest.raises(InputError, match=r"no router 'v6'.*lab-47, v5-32, v9-47"):
        bench.router("v6")


def test_the_default_router_comes_first(bench):
    assert bench.router_names() == ["lab-47", "v5-32", "v9-47"]
    assert bench.router() is bench.router("lab-47")
    assert bench.router(bench.home.routers / "v5-32").sha256 == bench.router("v5-32").sha256


@pytest.mark.real
def test_a_router_whose_encoder_gives_another_width_is_refused(bench, tmp_path):
    from lab.router.folder import write_router

    write_router(tmp_path / "wide", Head(*(np.zeros(shape, np.float32) for shape in ((4, 768), (4,), (2, 4), (2,)))), ["a", "b"], {})
    with pytest.raises(EncoderError, match=r"768 numbers.*gives 384"):
        bench.route("hello", tmp_path / "wide")


def test_the_guard_abstains_on_a_prompt_unlike_the_training_prompts(bench):
    strange = "Wells score 4.5, D-dimer pending, start LMWH before CTPA?"
    plain = bench.route(strange, "lab-47")
    assert plain.outside is None
    guarded = bench.route(strange, "lab-47", guard=True)
    known = bench.route("how do I flash my STM32 over SWD?", "lab-47", guard=True)
    assert guarded.outside["outside"] and guarded.decision.abstained
    assert not known.outside["outside"] and known.decision.domain == "stm32"


def test_the_guard_gives_its_own_reason(bench):
    class Strange:
        def judge(self, vector):
            return {"score": 1.0, "threshold": 0.5, "outside": True, "name": "nearest"}

    bench.ood_detector = lambda router: Strange()  # the instance, not the class: restored below
    try:
        route = bench.route("how do I flash my STM32 over SWD?", "lab-47", guard=True)
    finally:
        del bench.ood_detector
    assert route.decision.domain is None and route.backend is None
    assert "unlike the training prompts" in route.decision.reason


@pytest.mark.real
@pytest.mark.parametrize("text", ["!!!", "🙂 …", "— ?"])
def test_a_prompt_without_a_letter_or_digit_is_answered_by_no_domain(bench, text):
    one, (many,) = bench.route(text, "lab-47"), bench.route_many([text], "lab-47")
    assert one.decision.abstained and "no letter and no digit" in one.decision.reason and one.backend is None
    assert many.decision == one.decision
    assert not bench.route("¿ STM32 ?", "lab-47").decision.reason.startswith("the prompt has no letter")
