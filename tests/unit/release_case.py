"""A small corpus, a router trained on it with the fake encoder, and versions of it: shared by the tests of lab.release."""

from __future__ import annotations

import shutil
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from lab.corpus.rows import Row
from lab.router.build import build_router
from lab.router.dataset import Dataset, build_dataset
from lab.router.recipe import Recipe
from lab.taxonomy import Taxonomy
from lab.text.vectors import VectorCache
from tests.conftest import PROJECT, FakeEncoder

WORDS = {"alpha": "apple pear plum fig", "beta": "iron zinc lead tin", "gamma": "oak elm ash yew"}
RECIPE = Recipe("small", "ce", epochs=6, learning_rate=0.01, hidden=16, batch_size=32)


def rows(per_domain: int = 80) -> list[Row]:
    random = np.random.default_rng(5)
    return [
        Row(f"{' '.join(random.choice(words.split(), 3))} number {n} of {domain[0]}{n}", domain, lang="en", source="made/up", licence="MIT")
        for domain, words in WORDS.items()
        for n in range(per_domain)
    ]


@lru_cache(maxsize=1)
def taxonomy() -> Taxonomy:
    return Taxonomy.load(PROJECT / "models" / "taxonomy.json")


def dataset(some: list[Row] | None = None) -> Dataset:
    return build_dataset(some or rows(), taxonomy())


def vectors(data: Dataset) -> np.ndarray:
    return FakeEncoder().encode([row.text for row in data.rows])


def build(folder: Path, data: Dataset | None = None, recipe: Recipe = RECIPE) -> Path:
    """A router folder at ``folder``/router."""
    build_router(data or dataset(), FakeEncoder(), VectorCache(folder / "vectors.sqlite"), recipe, taxonomy(), folder / "router")
    return folder / "router"


@lru_cache(maxsize=2)
def _built(seed: int) -> Path:
    return build(Path(mkdtemp(prefix="router-lab-test-")), recipe=RECIPE.with_changes(seed=seed))


def trained(folder: Path, seed: int = 42) -> Path:
    """A private copy of a router that is trained once for all tests."""
    return Path(shutil.copytree(_built(seed), folder / f"router-{seed}" / "router"))
