"""Behavioural suites: perturbations, their data and the report (lab.evaluation.perturb, behaviour)."""

import json
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.corpus.duplicates import near_pairs
from lab.errors import InputError
from lab.evaluation.behaviour import Suites, behaviour_report, cases, read_suites, reserved_ids, texts_of
from lab.evaluation.intervals import wilson
from lab.evaluation.perturb import GREETING, PERTURBATIONS, no_accents, no_punctuation, padding, typos
from lab.home import Home
from lab.text.language import detect
from lab.text.prepare import CUT_OVER, prepare, text_id

# perturbations

prompts = st.text(alphabet="abcdé Aà?!.,'\"«»…+-1\n字", min_size=1, max_size=80).filter(lambda text: text.strip())


@pytest.mark.parametrize("suite", PERTURBATIONS)
@given(text=prompts, lang=st.sampled_from(["fr", "en", "de"]))
def test_a_perturbation_is_deterministic_and_never_empty(suite, text, lang):
    change, _ = PERTURBATIONS[suite]
    after = change(text, lang)
    assert after == change(text, lang)
    assert prepare(after)


def test_perturbations_by_example():
    def after(suite, text, lang="fr"):
        return PERTURBATIONS[suite][0](text, lang)

    assert after("lower-case", "Été à Paris") == "été à paris"
    assert after("upper-case", "été") == "ÉTÉ"
    assert after("no-accents", "Ça va à l'été…") == "Ca va a l'ete…"
    assert after("no-punctuation", "Pourquoi « x.y » échoue, en C++ ?") == "Pourquoi x.y échoue en C++"
    assert after("no-punctuation", "analyse .tran de 3.5 V.") == "analyse .tran de 3.5 V"
    assert after("more-punctuation", "Comment faire ?") == "Comment faire ??!"
    assert after("greeting", "x", "fr") == "Bonjour, x"
    assert after("greeting", "x", "en") == "Hi, x"
    assert after("politeness", "x?", "en") == "x? Thanks in advance for your help."


def test_punctuation_alone_is_left_as_it_is():
    assert no_punctuation("?!", "fr") == "?!"
    assert no_accents("abc", "fr") == "abc"


@given(st.lists(st.from_regex(r"[a-z]{1,9}", fullmatch=True), min_size=1, max_size=30))
def test_a_typo_touches_few_words_and_never_a_first_letter(words):
    text = " ".join(words)
    after = typos(text, "en").split(" ")
    changed = [(a, b) for a, b in zip(words, after, strict=True) if a != b]
    assert len(changed) <= -(-len(words) // 8)
    for before, now in changed:
        assert now and now[0] == before[0] and abs(len(before) - len(now)) <= 1


def test_every_long_word_gets_its_typo():
    for n in range(30):
        assert typos(f"comment{'x' * n} faire", "fr") != f"comment{'x' * n} faire"
    assert typos("a b c", "en") == "a b c"


def test_long_prompts_are_cut_by_the_gateway_at_the_place_their_suite_says():
    text = "How do I flash my STM32 over SWD?"
    before, after, middle = (prepare(PERTURBATIONS[f"long-{where}"][0](text, "en")) for where in ("before", "after", "middle"))
    assert before.endswith(text) and " ... " in before
    assert after.startswith(text) and " ... " in after
    assert text not in middle


def test_padding_has_the_length_asked_and_is_in_the_language():
    for lang in GREETING:
        assert CUT_OVER <= len(padding(lang, CUT_OVER)) < CUT_OVER + 120
        assert detect(padding(lang, 300)) == lang


# the data


@pytest.fixture(scope="module")
def suites(bench):
    return read_suites(bench.home.behaviour)


def test_each_domain_has_two_base_prompts_and_twins_are_in_two_languages(suites, bench):
    assert Counter(one.domain for one in suites.base) == dict.fromkeys(bench.taxonomy.by_name, 2)
    alone = {one.domain for one in suites.base if len(one.texts) == 1}
    french = {domain for domain in alone if "French" in bench.taxonomy.by_name[domain].definition}
    assert alone == french, "only a domain that is French by definition has no English twin"
    assert len(suites.multi) == 30
    assert {domain for one in suites.multi for domain in one.domains} <= set(bench.taxonomy.by_name)
    written = [(lang, text) for one in suites.base for lang, text in one.texts.items()]
    assert np.mean([detect(text) == lang for lang, text in written]) > 0.97


def test_no_prompt_of_the_suites_or_out_of_domain_is_or_resembles_a_training_prompt(suites, bench):
    """Near: character 5-gram Jaccard ≥ 0.8. Twins may share their code and names."""
    strangers = [json.loads(line)["prompt"] for line in bench.home.out_of_domain.read_text(encoding="utf-8").splitlines()]
    texts, corpus = texts_of(suites), [row.text for row in bench.corpus.rows]
    ids = reserved_ids(bench.home)
    assert len(ids) == len(texts) == len(set(texts))
    assert not ids & {row.id for row in bench.corpus.rows}
    twins = {frozenset(one.texts.values()) for one in suites.base}
    all_texts = corpus + texts + strangers
    near = [(all_texts[i], all_texts[j]) for i, j, _ in near_pairs(all_texts) if j >= len(corpus)]
    assert not [pair for pair in near if frozenset(pair) not in twins]


def test_the_provenance_is_of_this_file(suites, bench):
    told = json.loads(bench.home.behaviour.with_suffix(".PROVENANCE.json").read_text(encoding="utf-8"))
    assert (told["sha256"], told["base"], told["multi_topic"]) == (suites.sha256, len(suites.base), len(suites.multi))


def test_reserved_ids_are_those_of_the_prepared_texts(tmp_path):
    (tmp_path / "models").mkdir()
    home = Home(project=tmp_path, state=tmp_path)
    assert reserved_ids(home) == frozenset()
    lines = [{"id": "a", "domain": "d", "fr": " Salut ", "en": "Hello"}, {"id": "b", "prompt": "both", "domains": ["d", "e"], "lang": "en"}]
    home.behaviour.write_text("\n".join(map(json.dumps, lines)))
    assert reserved_ids(home) == {text_id("Salut"), text_id("Hello"), text_id("both")}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "b", "domain": "d"}', ":2: no prompt: expected fr or en"),
        ('{"id": "a", "domain": "d", "fr": "y"}', ":2: the id 'a' is taken"),
        ('{"domain": "d", "fr": "y"}', ":2: id and domain are needed"),
        ('{"id": "b", "domains": ["d", "d"], "prompt": "y", "lang": "fr"}', ":2: a prompt with two topics needs"),
        ('{"id": "b", "domain": "d", "fr": " "}', ":2: the prompt has only white space"),
        ("{", ":2: not JSON"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, message):
    path = tmp_path / "s.jsonl"
    path.write_text('{"id": "a", "domain": "d", "fr": "x"}\n' + line)
    with pytest.raises(InputError) as caught:
        read_suites(path)
    assert message in str(caught.value)


# the report


class Fake:
    """A router on texts: ``encode`` numbers them, ``logits`` asks ``answer`` for the order of the domains."""

    name, sha256 = "fake", "0" * 64

    def __init__(self, domains, answer):
        self.domains, self._answer, self._texts = domains, answer, []

    def encode(self, texts):
        self._texts += texts
        return np.arange(len(self._texts) - len(texts), len(self._texts), dtype=float)[:, None]

    def logits(self, vectors, texts=None):
        out = np.zeros((len(vectors), len(self.domains)))
        for row, place in enumerate(vectors[:, 0].astype(int)):
            for rank, domain in enumerate(self._answer(self._texts[place])):
                out[row, self.domains.index(domain)] = 10 - rank
        return out


def report(bench, suites, domains, answer):
    router = Fake(domains, answer)
    return behaviour_report(router, suites, router.encode, SimpleNamespace(id="e", precision="p"), bench.taxonomy, bench.backends.costs)


def test_a_router_that_always_answers_the_same_never_flips(bench, suites):
    found = report(bench, suites, sorted(bench.taxonomy.by_name), lambda text: ["docker"])
    assert {row["flip_rate"] for row in found["suites"].values()} == {0.0}
    assert {row["cost_flip_rate"] for row in found["suites"].values()} == {0.0}
    assert found["suites"]["typos"]["interval"] == list(wilson(0, found["suites"]["typos"]["n"]))
    assert found["suites"]["greeting"]["accuracy_before"] == pytest.approx(4 / found["suites"]["greeting"]["n"])
    assert found["left_out"] == {}
    assert found["bound_to"] == {
        "router": "fake",
        "router_sha256": "0" * 64,
        "suites_sha256": suites.sha256,
        "encoder_id": "e",
        "precision": "p",
    }


@pytest.fixture
def two(tmp_path):
    path = tmp_path / "s.jsonl"
    lines = [
        {"id": "1", "domain": "docker", "fr": "Un conteneur", "en": "A container"},
        {"id": "2", "domain": "python", "fr": "Un script", "en": "A script"},
        {"id": "3", "domain": "spice", "fr": "Une simulation", "en": "A simulation"},
        {"id": "m", "prompt": "script in a container", "domains": ["docker", "python"], "lang": "en"},
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    return read_suites(path)


def test_flips_costs_and_accuracy_by_hand(bench, two):
    """Greeted, container goes to python: a flip inside one backend. Upper case goes to spice: a flip to another backend."""

    def answer(text):
        if text.isupper():
            return ["spice"]
        return ["python"] if "cript" in text or text.startswith(("Bonjour", "Hi")) else ["docker"]

    found = report(bench, two, ["docker", "python", "spice"], answer)["suites"]
    greeting, upper, twins = found["greeting"], found["upper-case"], found["twins"]
    assert (greeting["n"], greeting["flip_rate"], greeting["cost_flip_rate"]) == (6, 4 / 6, 0.0)
    assert (greeting["accuracy_before"], greeting["accuracy_after"]) == (4 / 6, 2 / 6)
    assert (upper["flip_rate"], upper["cost_flip_rate"]) == (1.0, 1.0)
    assert {lang: (row["n"], row["flip_rate"]) for lang, row in greeting["per_language"].items()} == {"fr": (3, 2 / 3), "en": (3, 2 / 3)}
    assert twins["per_language"] == {}
    assert (twins["n"], twins["flip_rate"]) == (3, 0.0)
    assert greeting["examples"][0] == {
        "id": "1/en", "domain": "docker", "before": "A container", "after": "Hi, A container", "answered_before": "docker", "answered_after": "python", "other_backend": False
    }  # fmt: skip
    assert found["no-accents"]["n"] == 0 and found["no-accents"]["flip_rate"] is None


def test_both_topics_in_the_top_two(bench, two):
    good = report(bench, two, ["docker", "python", "spice"], lambda text: ["python", "docker"])["multi_topic"]
    half = report(bench, two, ["docker", "python", "spice"], lambda text: ["python", "spice"])["multi_topic"]
    assert (good["n"], good["both_in_top2"], good["recall_at_3"], good["examples"]) == (1, 1.0, 1.0, [])
    assert (half["both_in_top2"], half["both_in_top3"]) == (0.0, 1.0)
    assert half["examples"] == [
        {"id": "m", "prompt": "script in a container", "domains": ["docker", "python"], "top3": ["python", "spice", "docker"]}
    ]


def test_domains_that_the_router_lacks_are_left_out_and_counted_and_aliases_count_as_theirs(bench, two, suites):
    found = report(bench, two, ["docker", "python"], lambda text: ["docker"])
    assert (found["base_prompts"], found["left_out"], found["suites"]["greeting"]["n"]) == (2, {"spice": 1}, 4)
    v5 = report(bench, suites, ["docker", "electronics"], lambda text: ["electronics"])
    assert v5["base_prompts"] == 4
    assert v5["suites"]["greeting"]["accuracy_before"] == 0.5
    with pytest.raises(InputError, match="has no domain of the behavioural suites"):
        report(bench, two, ["somewhere", "else"], lambda text: ["else"])


def test_a_prompt_that_a_change_leaves_as_it_is_makes_no_case(two):
    assert not [case for case in cases(two.base) if case.before == case.after]
    assert isinstance(two, Suites)


@pytest.mark.real
def test_the_shipped_default_router_is_steady_under_casing_and_accents(bench):
    """all-MiniLM-L6-v2 reads lower case without accents, so these cannot flip."""
    found = bench.behaviour("lab-47")
    for suite in ("lower-case", "upper-case", "no-accents"):
        assert found["suites"][suite]["flip_rate"] == pytest.approx(0, abs=0.02), suite
    assert found["suites"]["greeting"]["flip_rate"] < 0.1
    assert found["suites"]["typos"]["flip_rate"] < 0.2
