"""The plain folder for a gateway: same scores in a reader of its own, never a mix, and foreign folders say what is unknown."""

import json
import os
import shutil
import threading

import numpy as np
import pytest

from lab.errors import ArtefactError
from lab.release.facts import facts_of
from lab.release.gateway import GATEWAY_FILES, export, gateway_bytes, import_folder, mirror, mirrored, read_mirror, reread
from lab.release.provider import Provider
from lab.release.records import check_records, records
from lab.release.versions import publish, verify
from lab.router.router import Router
from tests.unit.release_case import RECIPE, build, dataset, trained, vectors


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    root = tmp_path_factory.mktemp("gateway")
    return [publish(root / "versions", trained(root, seed), about={"origin": "trained"}) for seed in (42, 7)]


def test_an_exported_folder_gives_the_same_scores_in_plain_safetensors_and_torch(two, tmp_path):
    import torch
    from safetensors.torch import load_file

    folder = export(two[0], tmp_path / "out")
    tensors, meta = load_file(folder / "router.safetensors"), json.loads((folder / "meta.json").read_text())
    net = torch.nn.Sequential(
        torch.nn.Linear(meta["embedding_dim"], meta["hidden_dim"]), torch.nn.GELU(), torch.nn.Dropout(0.1), torch.nn.Linear(meta["hidden_dim"], meta["num_domains"])
    )  # fmt: skip
    net.load_state_dict(tensors)
    x = vectors(dataset())
    with torch.inference_mode():
        theirs = torch.sigmoid(net.eval()(torch.from_numpy(x))).numpy()
    router = two[0].router
    ours = np.stack([router.score(one).scores for one in x])
    assert np.abs(theirs - ours).max() < 1e-6
    assert json.loads((folder / "label_map.json").read_text()) == {domain: n for n, domain in enumerate(router.domains)}
    assert {path.name for path in folder.iterdir()} == {*GATEWAY_FILES, "source.json"}


def test_an_export_overwrites_an_export_and_nothing_else(two, tmp_path):
    assert export(two[1], export(two[0], tmp_path / "out")).is_dir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(ArtefactError, match="no exported router"):
        export(two[0], tmp_path / "mine")


def test_a_reader_never_sees_a_mix_while_the_champion_changes(two, tmp_path):
    path, stop, seen, wrong = tmp_path / "champion", threading.Event(), set(), []
    whole = {gateway_bytes(one)["router.safetensors"]: one.id for one in two}
    mirror(path, lambda: two[0])

    def read():
        while not stop.is_set():
            try:
                seen.add(whole[read_mirror(path)["router.safetensors"]])
            except (ArtefactError, OSError, KeyError) as error:
                wrong.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(16):
        mirror(path, lambda turn=turn: two[turn % 2])
    stop.set()
    reader.join()
    assert not wrong and seen <= {one.id for one in two}
    assert mirrored(path) == two[1].id
    assert len(os.listdir(tmp_path / ".champion-versions")) == 2  # the one shown, and the one a reader may still be in


def test_two_promotions_at_once_leave_the_mirror_at_the_last_row(two, tmp_path):
    rows = [two[0]]

    def promote(version):
        rows.append(version)
        mirror(tmp_path / "champion", lambda: rows[-1])

    threads = [threading.Thread(target=promote, args=(two[n % 2],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mirrored(tmp_path / "champion") == rows[-1].id


def test_a_damaged_version_does_not_touch_the_mirror(two, tmp_path):
    damaged = publish(tmp_path / "versions", trained(tmp_path, 7), about={"note": "to be damaged"})
    mirror(tmp_path / "champion", lambda: two[0])
    weights = damaged.path / "router.safetensors"
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    with pytest.raises(ArtefactError, match="damaged"):
        mirror(tmp_path / "champion", lambda: damaged)
    with pytest.raises(ArtefactError, match="champion keeps serving"):
        reread(tmp_path / "versions", damaged)
    assert mirrored(tmp_path / "champion") == two[0].id and read_mirror(tmp_path / "champion")


def test_a_mirror_is_mended_when_its_files_were_changed(two, tmp_path):
    mirror(tmp_path / "champion", lambda: two[0])
    (tmp_path / "champion" / "label_map.json").write_text("{}")
    with pytest.raises(ArtefactError, match=r"label_map\.json"):
        read_mirror(tmp_path / "champion")
    mirror(tmp_path / "champion", lambda: two[0])
    assert read_mirror(tmp_path / "champion")


def test_a_mirror_does_not_replace_a_folder_of_its_own(two, tmp_path):
    (tmp_path / "champion").mkdir()
    with pytest.raises(ArtefactError, match="not a mirror"):
        mirror(tmp_path / "champion", lambda: two[0])


def test_a_foreign_folder_says_what_is_unknown_about_it(two, tmp_path):
    foreign = tmp_path / "foreign"
    export(two[0], foreign)
    meta = json.loads((foreign / "meta.json").read_text())
    del meta["router_lab"]
    (foreign / "meta.json").write_text(json.dumps(meta | {"top1_acc": 0.91}))
    (foreign / "train.py").write_text("print()")
    (foreign / "metrics.json").write_text(json.dumps({"bound_to": {"router_sha256": "0" * 64}}))
    version = import_folder(tmp_path / "versions", foreign)
    said = " ".join(version.about["unknown"])
    for word in (
        "recipe",
        "corpus hash",
        "exact encoder",
        "calibration",
        "states top1_acc 0.91",
        "made from other weights",
        "no corpus snapshot",
    ):
        assert word in said
    assert version.about["files_left_out"] == ["metrics.json", "source.json", "train.py"]
    assert set(version.files) == {*GATEWAY_FILES, "version.json"} and version.snapshot is None


def test_a_version_of_this_lab_keeps_its_id_when_imported(two, tmp_path):
    copy = shutil.copytree(two[0].path, tmp_path / "copy")
    version = import_folder(tmp_path / "versions", copy)
    assert version.id == two[0].id and verify(version.path) == []


def test_weights_that_a_gateway_cannot_read_are_not_exported(tmp_path):
    from safetensors.numpy import save_file

    source = trained(tmp_path)
    save_file({"0.weight": np.zeros((2, 2), np.float32), "words": np.zeros(3, np.float32)}, source / "router.safetensors")
    version = publish(tmp_path / "versions", source, about={}, kind="other")
    with pytest.raises(ArtefactError, match="words"):
        export(version, tmp_path / "out")


def test_a_hybrid_router_is_exported_with_its_lexical_part_and_a_plain_gateway_still_reads_the_head(tmp_path):
    from safetensors.numpy import load_file

    source = build(tmp_path, recipe=RECIPE.with_changes(lexical_weight=1.0))
    version = publish(tmp_path / "versions", source, about={"origin": "trained"})
    folder = export(version, tmp_path / "out")
    assert set(load_file(folder / "router.safetensors")) == {"0.weight", "0.bias", "3.weight", "3.bias"}
    data = dataset()
    texts, x = [row.text for row in data.rows], vectors(data)
    assert np.array_equal(Router.load(folder).logits(x, texts), version.router.logits(x, texts))
    mirror(tmp_path / "champion", lambda: version)
    assert set(read_mirror(tmp_path / "champion")) == {*GATEWAY_FILES, "lexical.safetensors"}
    facts = facts_of(import_folder(tmp_path / "theirs", folder), 10)
    assert facts.lexical_parameters > 0 and facts.total_parameters == 10 + facts.head_parameters + facts.lexical_parameters
    assert check_records(facts, records(facts, Provider())) is None
