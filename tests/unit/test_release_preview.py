"""The preview: flips that come from the labels and from nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from lab.corpus.rows import Row
from lab.errors import InputError
from lab.release.preview import EPOCHS, changes, preview, shadow_recipe
from lab.release.preview_lexical import concerned, lexical_change
from lab.router.recipe import Recipe
from lab.router.train import train_head
from lab.router.train_lexical import train_lexical
from tests.unit.release_case import RECIPE, dataset, rows, vectors


@pytest.fixture(scope="module")
def old():
    data = dataset(rows(120))
    return data, vectors(data)


@pytest.fixture(scope="module")
def champion(old):
    data, x = old
    head = train_head(data.training_set(x, "train"), None, RECIPE).head
    return lambda vectors, texts: head.logits(vectors) if len(texts) == len(vectors) else pytest.fail("a prompt for each vector")


def relabelled(data, change):
    return replace(data, rows=[change(row, side) for row, side in zip(data.rows, data.splits, strict=True)])


def test_without_a_changed_label_nothing_flips(old, champion):
    found, _ = preview(champion, old[0].domains, old, old, RECIPE)
    assert (found.flips, found.fixed, found.broken, found.neutral, found.changes) == (
        (),
        0,
        0,
        0,
        {"relabelled": 0, "added": 0, "removed": 0},
    )
    assert found.top1_before == found.top1_after and found.n == len(old[0].side("valid"))
    assert "No training label changed" in found.sentence


def test_a_border_that_moves_flips_the_held_out_prompts_on_it(old, champion):
    data, x = old
    moved = relabelled(data, lambda row, side: replace(row, domain="beta") if "oak" in row.text else row)
    after = (moved, x)
    found, baseline = preview(champion, data.domains, old, after, RECIPE)
    assert found.changes["relabelled"] == sum("oak" in data.rows[n].text for n in data.side("train"))
    assert found.fixed >= 3 and found.fixed > 3 * found.broken
    assert {flip.kind for flip in found.flips} <= {"fixed", "broken", "neutral"} and found.fixed == sum(
        flip.kind == "fixed" for flip in found.flips
    )
    assert all("oak" in flip.text and flip.after == "beta" for flip in found.flips if flip.kind == "fixed")
    assert sum(sum(row.values()) for row in found.per_domain.values()) == len(found.flips)
    assert {flip.text_id for flip in found.flips} <= {moved.rows[n].id for n in moved.side("valid")}
    again, same = preview(champion, data.domains, old, after, RECIPE, baseline)
    assert again == found and same is baseline


def test_the_scale_of_a_blended_champion_is_kept(old, champion):
    data, x = old
    moved = (relabelled(data, lambda row, side: replace(row, domain="beta") if "oak" in row.text else row), x)
    plain, _ = preview(champion, data.domains, old, moved, RECIPE)
    blended, _ = preview(lambda vectors, texts: 0.25 * champion(vectors, texts) - 3, data.domains, old, moved, RECIPE, scale=0.25)
    assert [(flip.text_id, flip.after) for flip in blended.flips] == [(flip.text_id, flip.after) for flip in plain.flips]


def test_the_lexical_part_moves_as_a_full_fit_of_it_does(old):
    data, _ = old
    train = [data.rows[n] for n in data.side("train")]
    held = [data.rows[n].text for n in data.side("valid")]
    texts, names = [row.text for row in train], data.domains
    moved = ["beta" if "oak" in row.text else row.domain for row in train]
    labels = [[(domain, ()) for domain in some] for some in ([row.domain for row in train], moved)]

    def fitted(some):
        primary = np.asarray([names.index(domain) for domain, _ in some])
        return train_lexical(texts, primary, np.zeros((len(train), len(names)), np.uint8), 0.5, (1, 1), 1.0)

    champion, truth = (fitted(some) for some in labels)
    found = lexical_change(champion, 0.5, names, texts, labels[0], labels[1], held)
    wanted = truth.scores(held) - champion.scores(held)
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.97 and 0.85 < (found * wanted).sum() / (wanted**2).sum() < 1.15
    assert np.abs(found[:, names.index("alpha")]).max() < 0.1 * np.abs(found).max(), "alpha's labels did not change"
    some = np.asarray([n for n, row in enumerate(train) if "oak" in row.text])
    fewer = concerned(some, np.eye(len(train), 40, dtype=np.float32))
    assert set(some) <= set(fewer) and list(fewer) == sorted(set(fewer))
    assert not lexical_change(champion, 0.5, names, texts[:9], labels[0][:9], labels[0][:9], held).any()


def test_added_and_removed_prompts_move_the_lexical_part(old):
    data, _ = old
    train = [data.rows[n] for n in data.side("train")]
    primary = np.asarray([data.domains.index(row.domain) for row in train])
    lexical = train_lexical([row.text for row in train], primary, np.zeros((len(train), 3), np.uint8), 0.5, (1, 1), 1.0)
    added = lexical_change(lexical, 0.5, data.domains, ["zinc zinc"], [None], [("alpha", ())], ["zinc"])
    assert added[0, 0] > 0 > added[0, 1]
    gone = [row.text for row in train if row.domain == "beta"]
    removed = lexical_change(lexical, 0.5, data.domains, gone, [("beta", ())] * len(gone), [None] * len(gone), ["zinc lead"])
    assert removed[0, 1] < 0


def test_a_baseline_of_other_labels_is_not_used(old, champion):
    data, x = old
    _, baseline = preview(champion, data.domains, old, old, RECIPE)
    other = relabelled(data, lambda row, side: replace(row, domain="gamma") if "iron" in row.text else row)
    _, fresh = preview(champion, data.domains, (other, x), old, RECIPE, baseline)
    assert fresh.key != baseline.key


def test_added_and_removed_rows_and_a_new_domain_are_previewed(old, champion):
    data, _ = old
    fruit = [
        Row(f"{a} {b} juice {n}", "delta", lang="en", split="valid" if n % 5 == 0 else "train")
        for n, (a, b) in enumerate([("kiwi", "lime"), ("lime", "mango")] * 40)
    ]
    kept = [row for row in rows(120) if "zinc" not in row.text]
    new = dataset([*kept, *fruit])
    found, _ = preview(champion, data.domains, old, (new, vectors(new)), RECIPE)
    gone = {row.id for row in rows(120) if "zinc" in row.text}
    assert found.changes == {"relabelled": 0, "added": 64, "removed": len(gone & {data.rows[n].id for n in data.side("train")})}
    assert changes(data, new) == found.changes
    assert found.per_domain["delta"]["fixed"] >= 12


def test_training_prompts_are_never_shown_as_held_out(old, champion):
    with pytest.raises(InputError, match="held-out"):
        preview(champion, old[0].domains, old, old, RECIPE, side="train")


def test_the_shadow_recipe_is_the_champions_but_short():
    recipe = Recipe("lab", "joint", epochs=60, mixup_alpha=1.0, keep="best-validation-top1", hidden=64)
    short = shadow_recipe(recipe, 15_040)
    assert (short.epochs, short.mixup_alpha, short.keep, short.hidden, short.loss) == (EPOCHS, 0.0, "last", 64, "joint")
    assert shadow_recipe(recipe, 1_000).epochs == 48 and shadow_recipe(recipe, 100).epochs == 60, "few prompts, as many steps"


def test_progress_is_told_and_may_cancel(old, champion):
    told = []

    def tell(stage, done, of):
        told.append((stage, done, of))
        if len(told) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        preview(champion, old[0].domains, old, old, RECIPE, progress=tell)
    assert told[0] == ("refit old labels", 1, 6)


def test_vectors_are_not_changed(old, champion):
    before = old[1].copy()
    preview(champion, old[0].domains, old, old, RECIPE)
    assert np.array_equal(before, old[1])
