"""A deep retrain: the encoder learns the labels too, is kept under the name of its weights, goes out with the router and comes in again."""

import json
import os
import shutil
from pathlib import Path

import pytest

from lab.errors import ArtefactError, EncoderError, InputError
from lab.home import Home
from lab.release import promotions
from lab.release.jobs import add
from lab.text.adapted import NAME, name_of
from lab.text.encoder import MINILM
from lab.text.open_encoder import export_folder
from lab.workbench import Workbench
from tests.ship import small

pytestmark = pytest.mark.real
PROMPT = "how do I flash my stm32 over swd"


@pytest.fixture(scope="module")
def lab(tmp_path_factory, project):
    bench = small.make(tmp_path_factory.mktemp("deep"), Path(os.environ.get("ROUTER_LAB_HOME") or project / ".router-lab").resolve())
    bench.home.encoders.unlink()  # what is exported here is not for others
    bench.home.encoders.mkdir()
    return bench


@pytest.fixture(scope="module")
def version(lab):
    job = add(lab.database, lab.actor("Anna"), "retrain", {"recipe": "hybrid", "changes": {"epochs": 3}, "adapt": {"layers": 1, "epochs": 1}})
    assert lab.run_job(job.id, "here") == "done", lab.job(job.id).error
    points = [value for _, _, value in lab.job_log(job.id, "point")]
    assert [one.get("stage", "") for one in points] == ["encoder", "", "", ""] and points[0]["valid_top1"] > 0.1
    return lab.version(lab.job(job.id).result["name"])


def test_the_encoder_is_kept_by_its_weights_and_the_router_names_it(lab, version):
    name = version.router.encoder_name
    assert NAME.fullmatch(name) and name_of(lab.home.adapted / name) == name
    learnt = lab.learnt(name)
    assert learnt.base == MINILM and learnt.fold is None
    assert version.router.ours["encoder_id"].startswith(name) and lab.encoder(name, "fp32").id == version.router.ours["encoder_id"]
    assert lab.verify_version(version.id) == []
    assert export_folder(lab.encoder_source(name), lab.home.encoders).is_dir()


def test_nothing_claims_to_be_out_of_fold(lab, version):
    assert "out_of_fold.npz" not in version.files
    assert lab.out_of_fold(version.router).kind == "direct"
    with pytest.raises(InputError, match="learnt these prompts"):
        lab.compute_out_of_fold(version.router, False, lambda done, of: None)


def test_it_serves_and_goes_out_and_comes_in_with_its_encoder(lab, version, tmp_path):
    if lab.champion().id != version.id:  # a second try of this test
        promotions.add(lab.database, lab.actor("Anna"), version.id, lab.champion().id, "promote", {}, "a test")
    lab.mirror()
    name, answer = version.router.encoder_name, lab.route(PROMPT)
    assert answer.router_sha256 == version.router.sha256 and (lab.home.serving / name / "model.safetensors").is_file()
    assert lab._impartial(None).name == "lab-47", "labels are not judged by an encoder that has learnt them"
    out = lab.export_version(version.id, tmp_path / "out")
    assert name in json.loads((out / "source.json").read_text())["plain_gateway"]
    state = tmp_path / "state"
    state.mkdir()
    there = Workbench(Home(project=lab.home.project, state=state), lab.settings)
    came = there.import_version(there.actor("Ben"), out, "theirs")
    again = there.route(PROMPT, came.router)
    assert again.encoder_id == answer.encoder_id and again.decision == answer.decision
    (out / name).rename(out / "adapted-0123456789abcdef")
    with pytest.raises(ArtefactError, match="does not hold the weights"):
        there.import_version(there.actor("Ben"), out, "other")


def test_without_its_encoder_it_is_not_promoted_and_says_where_to_find_it(lab, version, tmp_path):
    folder = lab.home.adapted / version.router.encoder_name
    shutil.move(folder, tmp_path / "away")
    try:
        after = Workbench(lab.home, lab.settings)
        with pytest.raises(EncoderError, match=folder.name):
            after.route(PROMPT, version.router)
        with pytest.raises(EncoderError, match=folder.name):
            after.promote(after.actor("Anna"), version.id, after.champion().id)
    finally:
        shutil.move(tmp_path / "away", folder)


def test_other_weights_under_its_name_are_refused(lab, version):
    from types import SimpleNamespace

    from lab.text.open_encoder import as_named

    name = version.router.encoder_name
    encoder = lab.encoder(name, "fp32")
    assert as_named(name, encoder) is encoder
    with pytest.raises(EncoderError, match="other weights"):
        as_named(name, SimpleNamespace(id=encoder.id.replace("@", "@0", 1)))


@pytest.mark.parametrize("adapt", [{"layers": 99}, {"epochs": 0}])
def test_what_cannot_be_trained_is_refused_before_a_job_is_made(lab, adapt):
    with pytest.raises(InputError, match="Use a number"):
        lab.start_retrain(lab.actor("Anna"), anyway=True, adapt=adapt)
    assert not lab.open_jobs()
