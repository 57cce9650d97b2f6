"""The router's decisions: both layouts, every rule, faults with their lines, unknown keys kept."""

import pytest
import yaml

from lab.errors import InputError
from lab.selector.conventions import Conventions
from lab.selector.decisions.by_category import decisions_by_category
from lab.selector.decisions.config import Rule, parse_config, read_config
from lab.selector.decisions.engine import choose, judge_rule


@pytest.fixture(scope="module")
def conventions(project):
    return Conventions.load(project / "models" / "selectors")


FLAT = """\
# routes of the desk
default_model: small
unknown_key: {kept: true}
model_selection:
  ml:
    enabled: true
    models_path: ml
    knn: {pretrained_path: ml/knn_model.json}
decisions:
  - name: math_decision
    priority: 100
    rules:
      operator: AND
      conditions:
        - {type: domain, name: math}
    algorithm: {type: knn, knn: {k: 5}}
    modelRefs: [{model: a, use_reasoning: false}, {model: b}]
  - name: general
    priority: 50
    rules: {type: domain, name: other}
    modelRefs:
      - model: c
"""


def config(text, conventions):
    return parse_config(text, "c.yaml", conventions)


def chosen(text, conventions, category="math", probability=0.8):
    made = config(text, conventions)
    return choose(made, category, probability)


def test_a_flat_configuration_is_read_and_evaluated(conventions):
    made = config(FLAT, conventions)
    assert (made.layout, made.default_model, made.models_path, made.pretrained) == ("flat", "small", "ml", {"knn": "ml/knn_model.json"})
    choice = choose(made, "math", 0.8)
    assert (choice.decision.name, choice.decision.models, choice.confidence) == ("math_decision", ("a", "b"), 0.8)
    assert choose(made, "law", 0.9).decision is None
    assert choose(made, "other", 0.9).decision.algorithm == "static"
    assert choice.to_json()["decisions"][0]["tree"]["conditions"][0] == {
        "type": "domain", "name": "math", "line": 15, "matched": True, "confidence": 0.8
    }  # fmt: skip


def test_the_later_layout_says_the_same(conventions):
    flat = yaml.safe_load(FLAT)
    nested = {
        "version": "v0.3", "routing": {"decisions": flat["decisions"], "signals": {"domains": [{"name": "math"}]}}, "extra": [1],
        "global": {"router": {"model_selection": flat["model_selection"]}}, "providers": {"defaults": {"default_model": "small"}},
    }  # fmt: skip
    made = config(yaml.safe_dump(nested), conventions)
    assert (made.layout, made.default_model, made.models_path) == ("nested", "small", "ml")
    assert choose(made, "math", 0.8).decision.name == "math_decision"


def test_a_table_of_one_model_per_category_is_a_configuration_that_decides_so(conventions):
    table = {"math": "small", "law": "large", "engineering": "large", "physics": "other: *x*", "no such": "large"}
    text = decisions_by_category(table, "small", conventions)
    made = parse_config(text, "c.yaml", conventions)
    assert made.default_model == "small" and not made.warnings and "no such" not in text
    for category in ("math", "law", "engineering", "physics", "history"):
        decision = choose(made, category, 0.7).decision
        assert (decision.models[0] if decision else made.default_model) == table.get(category, "small")
    with pytest.raises(InputError, match="Every category goes to small"):
        decisions_by_category({"math": "small"}, "small", conventions)


def leaf(name):
    return Rule(1, type="domain", name=name, categories=(name,))


def test_rules_by_hand():
    yes, no, unknown = leaf("math"), leaf("law"), Rule(1, type="keyword", name="x")

    def of(operator, *below):
        found = judge_rule(Rule(1, operator, below), "math", 0.6)
        return found.matched, found.confidence

    assert of("AND", yes, Rule(1, "NOT", (no,))) == (True, 0.8)  # mean of 0.6 and 1.0
    assert of("AND", yes, no) == (False, 0.0)
    assert of("OR", no, yes) == (True, 0.6)
    assert of("NOT", yes) == (False, 0.0) and of("NOT", no) == (True, 1.0)
    assert of("AND") == (True, 0.0) and of("OR") == (False, 0.0)
    assert judge_rule(None, "math", 0.6).matched is True and judge_rule(None, "math", 0.6).confidence == 0.0
    assert of("NOT", unknown) == (None, 0.0) and of("AND", yes, unknown) == (None, 0.0) and of("OR", yes, unknown) == (True, 0.6)


def two(first, second, head=""):
    rule = "rules: {type: domain, name: math}"
    return (
        f"{head}decisions:\n- {{name: b, modelRefs: [{{model: x}}], {first}, {rule}}}\n- {{name: a, modelRefs: [{{model: y}}], {second}}}\n"
    )


def test_priority_then_confidence_then_name(conventions):
    assert chosen(two("priority: 2", "priority: 1"), conventions).decision.name == "b"
    assert chosen(two("priority: 1", "priority: 1"), conventions).decision.name == "b", "0.8 before an empty rule's 0"
    both = two("priority: 1", "priority: 1, rules: {type: domain, name: math}")
    assert chosen(both, conventions).decision.name == "a"


def test_the_strategy_confidence_swaps_the_first_two(conventions):
    text = two("priority: 1", "priority: 9", "strategy: confidence\n")
    assert chosen(text, conventions).decision.name == "b"
    assert chosen(two("priority: 1", "priority: 9"), conventions).decision.name == "a"


def test_a_tier_comes_before_everything_once_one_is_given(conventions):
    assert chosen(two("priority: 1, tier: 1", "priority: 9, tier: 2"), conventions).decision.name == "b"
    assert chosen(two("priority: 1, tier: 1", "priority: 9"), conventions).decision.name == "a", "tier 0 is before tier 1"


def test_domains_a_configuration_defines_itself_match_their_categories(conventions):
    text = "categories:\n- {name: numbers, mmlu_categories: [math, physics]}\n" + FLAT.replace("name: math}", "name: numbers}")
    assert chosen(text, conventions, "physics").decision.name == "math_decision"


@pytest.mark.parametrize(
    "old,new,line,what",
    [
        ("operator: AND", "operator: XOR", 13, "operator is 'XOR'"),
        ("operator: AND", "operator: NOT\n      x: 1", 12, None),
        ("name: math}", "name: maths}", 15, "there is no domain 'maths'. Did you mean 'math'?"),
        ("type: knn, knn", "type: tree, knn", 16, "algorithm type is 'tree'"),
        ("modelRefs: [{model: a, use_reasoning: false}, {model: b}]", "modelRefs: []", 17, "modelRefs is missing, empty"),
        ("{model: b}]", "{name: b}]", 17, "a modelRef has no model"),
        ("priority: 100", "priority: high", 11, "priority is 'high'"),
        ("  - name: general", "  - name: math_decision", 18, "there are two decisions 'math_decision'"),
        ("    rules: {type: domain, name: other}", "    rules: [domain]", 20, "a rule is list"),
        ("default_model: small", "strategy: best", 2, "strategy is 'best'"),
        ("priority: 50", "priority: 50\n    priority: 60", 20, "the key priority stands twice"),
    ],
)
def test_a_fault_is_named_with_its_line(conventions, old, new, line, what):
    if what is None:  # NOT over one condition is good
        config(FLAT.replace(old, new), conventions)
        return
    with pytest.raises(InputError) as error:
        config(FLAT.replace(old, new), conventions)
    assert f"line {line}: {what}" in str(error.value)


def test_every_fault_is_listed_at_once(conventions):
    text = FLAT.replace("operator: AND", "operator: XOR").replace("priority: 50", "priority: x")
    with pytest.raises(InputError, match=r"line 13: operator.*line 19: priority"):
        config(text, conventions)


@pytest.mark.parametrize("text", ["", "[1]", "a: [", "decisions: 3", "decisions: []", "a: !!python/object/apply:os.system [x]", "a: \t b"])
def test_what_is_no_configuration_is_refused(conventions, text):
    with pytest.raises(InputError):
        config(text, conventions)


def test_not_needs_exactly_one_condition(conventions):
    text = FLAT.replace("operator: AND", "operator: NOT").replace(
        "        - {type: domain, name: math}", "        - {type: domain, name: math}\n" * 2
    )
    with pytest.raises(InputError, match="NOT needs exactly one condition, found 2"):
        config(text, conventions)


def test_a_rule_that_cannot_be_evaluated_here_is_said_and_does_not_match(conventions):
    made = config(FLAT.replace("{type: domain, name: math}", "{type: keyword, name: urgent}"), conventions)
    assert "line 15: rules of type 'keyword' are not evaluated here" in made.warnings[0]
    assert choose(made, "math", 0.9).decision is None


def test_a_file_that_is_missing_is_said(conventions, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_config(tmp_path / "c.yaml", conventions)
