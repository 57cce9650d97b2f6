"""Names of versions, the shipped default through an upgrade of the project, and a hybrid router all the way."""

import json
import os
import shutil
from pathlib import Path

import pytest

from lab.errors import InputError
from lab.release import jobs, promotions
from lab.workbench import Workbench
from tests.app import ship_lab
from tests.ship import small

pytestmark = pytest.mark.real


@pytest.fixture
def lab(tmp_path, project):
    return small.make(tmp_path, Path(os.environ.get("ROUTER_LAB_HOME") or project / ".router-lab").resolve())


def serve(lab, version) -> None:
    """Promoted without the gate: what is tested here is what follows."""
    promotions.add(lab.database, lab.actor("Anna"), version.id, lab.champion().id, "promote", {}, "a test")
    lab.mirror()


def test_a_shipped_router_that_is_promoted_is_what_serves(lab, project):
    shutil.copytree(lab.home.routers / "lab-47", lab.home.routers / "twin-47")
    serve(lab, lab.version("twin-47"))
    assert lab.serving_name() == "twin-47" == lab.router().name == lab.router_names()[0]


def test_an_upgrade_serves_the_new_default_until_somebody_has_promoted(lab, project):
    before = lab.champion()
    shutil.rmtree(lab.home.routers / "lab-47")
    shutil.copytree(project / "models" / "routers" / "v9-47", lab.home.routers / "lab-47", ignore=shutil.ignore_patterns("out_of_fold.npz"))
    after = Workbench(lab.home, lab.settings)
    assert after.champion().id != before.id and after.serving_name() == "lab-47"
    assert after.champion().files["router.safetensors"][0] == after.router("lab-47").sha256
    old = f"lab-47 {before.short}"
    assert after.version(old).id == before.id and old not in after.router_names() and after.router(old).sha256 == before.router.sha256
    serve(after, after.version(old))
    again = Workbench(lab.home, lab.settings)
    assert again.champion().id == before.id and again.serving_name() == old == again.router_names()[0]


def test_two_versions_of_one_name_are_told_apart(lab, tmp_path):
    anna = lab.actor("Anna")
    for number in (1, 2):
        folder = lab.export_version("lab-47", tmp_path / str(number))
        meta = json.loads((folder / "meta.json").read_text())
        (folder / "meta.json").write_text(json.dumps(meta | {"note": number}))
        lab.import_version(anna, folder, "theirs")
    names = [one.name for one in lab.version_list()]
    assert len(set(names)) == len(names) and sum(name.startswith("theirs ") for name in names) == 2
    with pytest.raises(InputError, match="2 versions are called 'theirs'"):
        lab.version("theirs")
    assert {lab.version(name).id for name in names if name.startswith("theirs")} <= {one.id for one in lab.version_list()}


def test_a_hybrid_is_retrained_previewed_recorded_and_exported(lab, tmp_path, monkeypatch):
    from lab.use_cases import retraining

    anna = lab.actor("Anna")
    monkeypatch.setattr(retraining, "Folds", small.NoFolds)
    job = jobs.add(lab.database, anna, "retrain", {"recipe": "hybrid", "changes": {"epochs": 3}})
    assert lab.run_job(job.id, "here") == "done", lab.job(job.id).error
    version = lab.version(lab.job(job.id).result["name"])
    assert version.router.family == "hybrid" and lab.verify_version(version.id) == []
    assert "instead of" in lab.plain_loss(version.id)
    exported = json.loads((lab.export_version(version.id, tmp_path / "out") / "source.json").read_text())
    assert exported["plain_gateway"] == lab.plain_loss(version.id) and "lexical.safetensors" in exported["files"]
    card = lab.version_records(version.id)["README.md"]
    assert "head alone (what a plain gateway gets)" in card and "a lexical part on n-grams" in card
    serve(lab, version)
    moved = ship_lab.relabel(lab, "spice", "electronics-hw", 8)
    found = lab.preview()
    assert found.changes["relabelled"] == len(moved) and found.flips and lab.preview() is found, "computed once for a batch"
    assert all("electronics-hw" in (one.before, one.after) or "spice" in (one.before, one.after) for one in found.flips if one.kind == "fixed")
