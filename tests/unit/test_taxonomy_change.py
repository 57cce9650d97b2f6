"""A taxonomy change names every label it moves, keeps old routers' names working, and can be taken back."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.curation.state import State
from lab.curation.taxonomy_change import TaxonomyChange, add_domain, merge_domains, rename_domain, revert, split_domain
from lab.curation.taxonomy_preview import assign_by_nearest, preview
from lab.errors import InputError
from lab.taxonomy import Backends, Domain, Taxonomy


def domain(name, *aliases, v5=None, border="b"):
    return Domain(name, f"about {name}s", border, v5, aliases)


TAXONOMY = Taxonomy(
    4, "rule", (domain("kicad", "ki"), domain("power", "psu", v5="power", border="a board: kicad"), domain("spice", v5="spice"))
)
BACKENDS = Backends({"kicad": "gemma", "power": "apertus", "spice": "apertus-spice"}, {"kicad": "lora-kicad"})
LABELS = {
    "p1": State("power"), "p2": State("power", ("spice",)), "s1": State("spice", ("kicad", "power")), "k1": State("kicad", flagged=True),
    "n1": State(None), "x1": State("power", routable=False),
}  # fmt: skip


def applied(change, labels):
    assert all(labels[one.prompt_id] == one.before for one in change.migrations)
    return dict(labels) | {one.prompt_id: one.after for one in change.migrations}


def test_a_rename_moves_labels_and_alsos_and_leaves_the_old_name_as_alias():
    change = rename_domain(TAXONOMY, LABELS, BACKENDS, "power", "power-supply")
    assert change.after.version == 5
    assert change.after.canonical("power") == change.after.canonical("psu") == "power-supply"
    assert change.after.by_name["power-supply"].v5 == "power"
    after = applied(change, LABELS)
    assert after["p2"] == State("power-supply", ("spice",))
    assert after["s1"] == State("spice", ("kicad", "power-supply"))
    assert after["x1"] == State("power-supply", routable=False)
    assert {one.prompt_id for one in change.migrations} == {"p1", "p2", "s1", "x1"}
    assert change.migrations[0].reason == "taxonomy 5: Rename power to power-supply"
    assert change.backends_after.backend == {"kicad": "gemma", "power-supply": "apertus", "spice": "apertus-spice"}
    assert change.consequences == ()


def test_a_rename_to_an_own_alias_is_allowed_and_guidelines_that_say_the_old_name_are_named():
    change = rename_domain(TAXONOMY, LABELS, BACKENDS, "kicad", "ki")
    assert change.after.by_name["ki"].aliases == ("kicad",)
    assert "The guideline of power says 'kicad': read it again." in change.warnings


def test_a_merge_into_one_of_them_joins_aliases_and_says_who_answers_now():
    change = merge_domains(TAXONOMY, LABELS, BACKENDS, ["power", "spice"], "power")
    assert change.after.by_name["power"].aliases == ("psu", "spice")
    assert list(change.after.by_name) == ["kicad", "power"]
    after = applied(change, LABELS)
    assert after["p2"] == State("power")
    assert after["s1"] == State("power", ("kicad",))
    assert change.consequences == ("Prompts of spice go from apertus-spice to apertus.",)
    assert "Router v5 parts spice from power; from now on only power stands for power." in change.warnings


def test_a_merge_into_a_new_domain_takes_its_definition_and_the_first_backend():
    change = merge_domains(TAXONOMY, LABELS, BACKENDS, ["spice", "power"], domain("circuits"))
    assert change.after.canonical("psu") == change.after.canonical("spice") == "circuits"
    assert change.backends_after.backend == {"kicad": "gemma", "circuits": "apertus-spice"}
    assert change.consequences == ("Prompts of power go from apertus to apertus-spice.",)
    assert merge_domains(TAXONOMY, LABELS, BACKENDS, ["spice", "power"], domain("circuits"), "x").backends_after.backend["circuits"] == "x"


def test_a_split_follows_the_assignment_and_flags_the_rest():
    parts = [domain("buck"), domain("ldo")]
    change = split_domain(TAXONOMY, LABELS, BACKENDS, "power", parts, {"p1": "ldo", "s1": "ldo"}, heir="buck", rest="buck")
    after = applied(change, LABELS)
    assert after["p1"] == State("ldo")
    assert after["p2"] == State("buck", ("spice",), flagged=True)
    assert after["s1"] == State("spice", ("kicad", "ldo"))
    assert change.after.canonical("power") == change.after.canonical("psu") == "buck"
    assert [change.after.by_name[name].v5 for name in ("buck", "ldo")] == ["power", "power"]
    assert {name: change.backends_after.backend[name] for name in ("buck", "ldo")} == {"buck": "apertus", "ldo": "apertus"}
    assert "ldo has 1 prompts: under 20, no figure can judge it." in change.warnings
    with pytest.raises(InputError, match="2 prompts of power have no part"):
        split_domain(TAXONOMY, LABELS, BACKENDS, "power", parts, {"p1": "ldo"}, heir="buck")


def test_a_split_that_keeps_the_old_name_leaves_its_prompts_untouched():
    change = split_domain(
        TAXONOMY, LABELS, BACKENDS, "power", [domain("power"), domain("ldo")], {"p1": "ldo", "p2": "power", "x1": "power"}, "power"
    )
    assert [one.prompt_id for one in change.migrations] == ["p1"]
    assert change.after.by_name["power"].aliases == ("psu",)
    with pytest.raises(InputError, match="cannot take over the name power"):
        split_domain(TAXONOMY, LABELS, BACKENDS, "power", [domain("power"), domain("ldo")], {}, "ldo")


def test_a_new_domain_takes_its_cluster_and_says_that_no_backend_answers_it():
    change = add_domain(TAXONOMY, LABELS, BACKENDS, domain("audio"), ["n1", "p1"])
    assert applied(change, LABELS)["n1"] == State("audio")
    assert change.consequences == ("audio has no backend model: until it has one, every confusion with it counts as one that costs.",)
    assert add_domain(TAXONOMY, LABELS, BACKENDS, domain("audio"), ["n1"], "mistral").consequences == ("Prompts of audio go to mistral.",)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: add_domain(TAXONOMY, LABELS, BACKENDS, domain("Audio")), "cannot be the name"),
        (lambda: add_domain(TAXONOMY, LABELS, BACKENDS, domain("a--b")), "cannot be the name"),
        (lambda: add_domain(TAXONOMY, LABELS, BACKENDS, domain("é")), "cannot be the name"),
        (lambda: add_domain(TAXONOMY, LABELS, BACKENDS, domain("power")), "'power' is taken"),
        (lambda: add_domain(TAXONOMY, LABELS, BACKENDS, domain("psu")), "'psu' is taken: it is a name or alias of power and of psu"),
        (lambda: add_domain(TAXONOMY, LABELS, BACKENDS, domain("new", "ki")), "'ki' is taken"),
        (lambda: add_domain(TAXONOMY, LABELS, BACKENDS, Domain("new", " ", "b", None, ())), "no definition"),
        (lambda: add_domain(TAXONOMY, LABELS, BACKENDS, domain("new", border="")), "no border"),
        (lambda: add_domain(TAXONOMY, LABELS, BACKENDS, domain("new"), ["nobody"]), "nobody is not in the project"),
        (lambda: rename_domain(TAXONOMY, LABELS, BACKENDS, "psu", "x"), "alias of power"),
        (lambda: rename_domain(TAXONOMY, LABELS, BACKENDS, "power", "spice"), "'spice' is taken"),
        (lambda: merge_domains(TAXONOMY, LABELS, BACKENDS, ["power", "power"], "power"), "needs two"),
        (lambda: merge_domains(TAXONOMY, LABELS, BACKENDS, ["power", "spice"], "kicad"), "none of the merged"),
        (lambda: split_domain(TAXONOMY, LABELS, BACKENDS, "power", [domain("a")], {}, "a"), "two parts"),
        (lambda: split_domain(TAXONOMY, LABELS, BACKENDS, "power", [domain("a"), domain("c")], {"p1": "z"}, "a"), "'z' is no part"),
    ],
)
def test_a_change_that_cannot_be_is_refused_with_the_reason(make, match):
    with pytest.raises(InputError, match=match):
        make()


def changes(labels):
    parts = [domain("buck"), domain("ldo")]
    return [
        rename_domain(TAXONOMY, labels, BACKENDS, "power", "power-supply"),
        merge_domains(TAXONOMY, labels, BACKENDS, ["power", "spice"], "spice"),
        merge_domains(TAXONOMY, labels, BACKENDS, ["power", "spice"], domain("circuits")),
        split_domain(TAXONOMY, labels, BACKENDS, "power", parts, {"p1": "ldo"}, "buck", "buck"),
        add_domain(TAXONOMY, labels, BACKENDS, domain("audio"), sorted(labels)[:2]),
    ]


names = st.sampled_from(["kicad", "power", "spice"])
labellings = st.dictionaries(
    st.sampled_from([f"p{n}" for n in range(9)]),
    st.builds(State, st.none() | names, st.lists(names, max_size=3).map(tuple), st.booleans(), st.booleans()),
    min_size=2,
)


@given(labellings)
def test_taking_a_change_back_restores_every_label_and_taking_that_back_does_it_again(labels):
    for change in changes(labels):
        after = applied(change, labels)
        assert {name for state in after.values() for name in (state.domain, *state.also) if name} <= set(change.after.by_name)
        undone = revert(change, change.after, after)
        assert applied(undone, after) == labels
        assert (undone.after.version, undone.backends_after) == (6, BACKENDS)
        assert {name: (one.definition, one.border, one.v5) for name, one in undone.after.by_name.items()} == {
            name: (one.definition, one.border, one.v5) for name, one in TAXONOMY.by_name.items()
        }
        redone = revert(undone, undone.after, labels)
        assert applied(redone, labels) == after
        assert set(redone.after.by_name) == set(change.after.by_name)


def test_labels_given_since_follow_their_domain_back_and_guesses_are_flagged():
    _, _, merged, split, added = changes(LABELS)
    since = applied(merged, LABELS) | {"new": State("circuits"), "p1": State("kicad")}
    back = revert(merged, merged.after, since)
    assert applied(back, since) == LABELS | {"new": State("power", flagged=True), "p1": State("kicad")}
    assert back.after.canonical("circuits") == "power"
    assert "1 prompts were labelled circuits since" in back.warnings[0]
    since = applied(split, LABELS) | {"new": State("ldo")}
    assert applied(revert(split, split.after, since), since)["new"] == State("power")
    since = applied(added, LABELS) | {"new": State("audio", ("power",))}
    assert applied(revert(added, added.after, since), since)["new"] == State(None, ("power",), flagged=True)


def test_a_change_under_a_later_one_is_not_taken_back():
    first = rename_domain(TAXONOMY, LABELS, BACKENDS, "power", "supply")
    second = rename_domain(first.after, applied(first, LABELS), first.backends_after, "spice", "simulation")
    with pytest.raises(InputError, match="Revert the later changes first"):
        revert(first, second.after, LABELS)


def test_a_change_survives_json():
    for change in changes(LABELS):
        assert TaxonomyChange.from_json(json.loads(json.dumps(change.to_json()))) == change


def test_the_preview_counts_samples_and_sides_of_the_split():
    change = rename_domain(TAXONOMY, LABELS, BACKENDS, "power", "supply")
    seen = preview(change, LABELS, {"p1": "test", "p2": "train", "s1": "train"}, n_samples=1)
    assert seen.counts == {"power": (2, 0), "supply": (0, 2)}
    assert seen.per_split == {"test": 1, "train": 2, "": 1}
    assert all(len(kept) == 1 for kept in seen.samples.values())
    assert len(seen.diff.changes) == 4


def test_the_nearest_part_is_that_of_the_nearest_centre():
    vectors = np.array([[1, 0], [0, 1], [0.8, 0.6], [0.6, 0.8], [0.7071, 0.7071]], dtype=np.float32)
    got = assign_by_nearest(["a", "b", "c", "d", "e"], vectors, {"x": ["a"], "y": ["b", "e"]})
    assert got.part == {"a": "x", "b": "y", "c": "y", "d": "y", "e": "y"}
    assert got.margin["a"] == 1.0
    assert 0 < got.margin["c"] < got.margin["d"] < 1
    with pytest.raises(InputError, match="Every part needs"):
        assign_by_nearest(["a"], vectors[:1], {"x": ["a"], "y": ["gone"]})


def test_the_shipped_taxonomy_and_backends_survive_json(project):
    taxonomy = Taxonomy.load(project / "models" / "taxonomy.json")
    assert taxonomy.to_json() == json.loads((project / "models" / "taxonomy.json").read_text(encoding="utf-8"))
    assert Taxonomy.from_json(taxonomy.to_json(), "x") == taxonomy
    backends = Backends.load(project / "models" / "backends.yaml").to_json()
    assert "apertus-70b-math-8bit" in backends["backends"]
