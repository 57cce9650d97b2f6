"""A workbench on a corpus of three domains and a router trained on it in a second, with an encoder that has no weights."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from lab.home import PROJECT, Home
from lab.router.head import sigmoid
from lab.settings import Settings
from lab.workbench import Workbench

WORDS = {
    "sea": "boat sail wave harbour fish anchor tide coast deck mast",
    "sky": "kite cloud wing bird wind plane storm moon star fog",
    "ground": "root soil stone mole worm clay cave mine seed path",
}
FILLER = ("how", "why", "please", "the", "a", "my", "again", "when")
ROWS = 80


class Tiny(Workbench):
    """``encoder`` is the fake one, whatever is asked for."""

    def __init__(self, home: Home, settings: Settings, fake) -> None:
        super().__init__(home, settings)
        self.fake = fake

    def encoder(self, name: str, precision: str):
        return self.fake

    def fair_probabilities(self, router, listed, vectors, progress=None):
        """Without folds, which a process of its own would make with the real encoder."""
        logits = self.live_logits(router, [one.text for one in listed], vectors)
        calibrated = router.calibration.probabilities(logits)
        return sigmoid(logits) if calibrated is None else calibrated, np.ones(len(listed), dtype=bool)


def made(folder: Path, fake, **settings) -> Tiny:
    """A lab of its own in ``folder``."""
    shutil.copytree(_template(type(fake)), folder, dirs_exist_ok=True)
    return Tiny(Home(project=folder / "project", state=folder / "state"), Settings(default_router="tiny", **settings), fake)


@cache
def _template(encoder: type) -> Path:
    """Made once a run of the tests."""
    folder = Path(tempfile.mkdtemp(prefix="router-lab-tiny-"))
    atexit.register(shutil.rmtree, folder, True)
    home = Home(project=folder / "project", state=folder / "state")
    _project(home)
    _router(home, encoder())
    return folder


def _project(home: Home) -> None:
    (home.project / "models").mkdir(parents=True)
    domains = [{"name": name, "definition": f"about the {name}", "border": "the others", "v5": None, "aliases": [f"old-{name}"]} for name in WORDS]
    home.taxonomy.write_text(json.dumps({"version": 1, "rule": "what it is about", "domains": domains}))
    home.backends.write_text("version: 1\nbackends:\n  wet: [sea]\n  dry: [sky, ground]\n")
    shutil.copy(PROJECT / "models" / "recipes.yaml", home.project / "models")
    home.corpus.mkdir()
    random = np.random.default_rng(3)
    for domain, words in WORDS.items():
        texts = {" ".join([*random.choice(words.split(), 3, replace=False), *random.choice(FILLER, 2)]) for _ in range(ROWS)}
        lines = [json.dumps({"prompt": text, "domain": domain, "lang": "en", "license": "CC0-1.0"}) for text in sorted(texts)]
        (home.corpus / f"{domain}.jsonl").write_text("\n".join(lines) + "\n")


def _router(home: Home, fake) -> None:
    from lab.corpus.read import read_corpus
    from lab.corpus.split import by_hash, write_frozen
    from lab.router.build import build_router
    from lab.router.dataset import build_dataset
    from lab.router.recipe import Recipe
    from lab.taxonomy import Taxonomy
    from lab.text.vectors import VectorCache

    rows = read_corpus(home.corpus).rows
    write_frozen(home.corpus / "split.json", rows, [by_hash(row.id) for row in rows])
    frozen = {row.id: by_hash(row.id) for row in rows}
    taxonomy = Taxonomy.load(home.taxonomy)
    recipe = Recipe(name="tiny", loss="joint", epochs=30, hidden=16, learning_rate=0.01)
    build_router(build_dataset(rows, taxonomy, frozen), fake, VectorCache(home.vectors), recipe, taxonomy, home.routers / "tiny")
