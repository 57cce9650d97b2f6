"""Shared by every test: the project on the path, a quiet environment, a tiny encoder, the workbench on the shipped models."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import hypothesis
import numpy as np
import pytest

PROJECT = Path(__file__).resolve().parent.parent
if str(PROJECT) not in sys.path:
    sys.path.insert(0, str(PROJECT))

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may wait for a network
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
for _name in ("ROUTER_LAB_ENCODER", "ROUTER_LAB_PRECISION", "ROUTER_LAB_ROUTER"):  # the tests say what they want
    os.environ.pop(_name, None)

hypothesis.settings.register_profile("lab", deadline=None, derandomize=True, database=None, max_examples=80)
hypothesis.settings.load_profile("lab")


def pytest_collection_modifyitems(items):
    """Browser tests last: Playwright keeps an event loop open in this thread, beside which no other can run."""
    items.sort(key=lambda item: "e2e" in item.path.parts)


class FakeEncoder:
    """An Encoder without weights: the sum of one hash-seeded vector a word, at unit length. Texts with common words are near."""

    name = "fake"
    precision = "fake"

    def __init__(self, dim: int = 32, identity: str = "fake@0+words+prep1+128", precision: str = "fake") -> None:
        self.dim, self.id, self.precision = dim, identity, precision
        self.seen: list[str] = []
        """Every text that was encoded, in order: what a cache should have spared."""

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> np.ndarray:
        from lab.text.prepare import prepare

        out = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in enumerate(texts):
            self.seen.append(text)
            out[row] = sum(self._word(word) for word in re.findall(r"\S+", prepare(text).casefold()))
            out[row] /= np.linalg.norm(out[row])
            if progress:
                progress(row + 1, len(texts))
        return out

    def _word(self, word: str) -> np.ndarray:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
        return np.random.default_rng(seed).normal(size=self.dim)


@pytest.fixture
def make_encoder() -> type[FakeEncoder]:
    """The class, for tests that need two encoders or another dimension."""
    return FakeEncoder


@pytest.fixture
def fake_encoder() -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture(scope="session")
def project() -> Path:
    return PROJECT


@pytest.fixture(scope="session")
def bench():
    """The real thing: shipped routers and corpus, state under $ROUTER_LAB_HOME. Tests that encode with it are marked ``real``."""
    from lab.home import Home
    from lab.settings import Settings
    from lab.workbench import Workbench

    return Workbench(Home.from_environment(), Settings())


@pytest.fixture
def own_database(tmp_path, monkeypatch):
    """The app's workbench with a database of its own, the shipped corpus in it, and Anna at the screen: what a test writes is gone after it."""
    from lab.curation.intake import import_shipped
    from lab.database.connect import Database
    from pages.shared.frame import bench

    opened = Database(tmp_path / "lab.sqlite")
    import_shipped(opened, bench().corpus.rows, bench().frozen_split, bench().taxonomy)
    monkeypatch.setitem(bench().__dict__, "database", opened)
    yield opened
    opened.close()
