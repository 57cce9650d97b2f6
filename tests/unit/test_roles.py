"""Every write asks who it is, whatever a page has shown: each method of the workbench that takes an actor refuses one without the role."""

from __future__ import annotations

import inspect
from unittest.mock import MagicMock

import pytest

from lab.curation.state import Actor
from lab.errors import AccessError
from lab.home import PROJECT, Home
from lab.settings import Settings
from lab.workbench import Workbench

WRITES = sorted(
    name for name, method in inspect.getmembers(Workbench, inspect.isfunction)
    if not name.startswith("_") and name != "require" and "actor" in inspect.signature(method).parameters
)  # fmt: skip
SHIP = {
    "apply_taxonomy", "revert_taxonomy", "promote", "import_version", "cancel_job", "start_retrain", "start_gate", "push_version", "pull_version",
    "import_upload", "upload_selector", "benchmark_health", "start_benchmark", "resume_benchmark", "control_benchmark", "import_benchmark",
    "train_on_benchmark",
}  # fmt: skip
"""What needs a maintainer."""


@pytest.fixture
def lab(tmp_path):
    """``lab(**settings)``: a workbench whose state folder is empty; a refusal touches nothing in it."""

    def made(**settings) -> Workbench:
        return Workbench(Home(project=PROJECT, state=tmp_path), Settings(**settings))

    return made


def call(bench: Workbench, name: str, actor: Actor) -> None:
    """With arguments that mean nothing: the role is asked for before any of them is looked at."""
    needed = [one for one in inspect.signature(getattr(Workbench, name)).parameters.values() if one.default is one.empty and one.name not in ("self", "actor")]
    getattr(bench, name)(actor, *[MagicMock() for one in needed if one.kind is not one.KEYWORD_ONLY])


def test_the_list_of_writes_is_not_empty_and_names_the_known_ones():
    assert {"write", "take", "apply_batch", "revert_batch", "apply_import", "apply_traffic", "send_to_queue", "build_queue"} | SHIP <= set(WRITES)


@pytest.mark.parametrize("name", WRITES)
def test_a_viewer_is_refused(lab, name):
    with pytest.raises(AccessError, match="is a viewer here"):
        call(lab(roles={}), name, Actor("vera@example.org", verified=True, role="maintainer"))  # what the actor says of itself does not count


@pytest.mark.parametrize("name", sorted(SHIP))
def test_a_curator_does_not_ship(lab, name):
    with pytest.raises(AccessError, match="needs a maintainer"):
        call(lab(roles={"anna@example.org": "curator"}), name, Actor("anna@example.org", verified=True))


@pytest.mark.parametrize("name", WRITES)
def test_nobody_writes_in_a_read_only_demo(lab, name):
    with pytest.raises(AccessError, match="read-only demo"):
        call(lab(read_only=True, roles={"max@example.org": "maintainer"}), name, Actor("max@example.org", verified=True))
