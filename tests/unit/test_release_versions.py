"""Versions: content-addressed, whole or absent, and no damage goes unseen."""

import errno
import os
import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import ArtefactError, InputError
from lab.files import sha256_file
from lab.release.snapshot import CORPUS, LABELS, read_snapshot, restore, take_snapshot
from lab.release.versions import ABOUT, MANIFEST, Broken, find_version, list_versions, publish, read_version, same_scores, verify
from tests.unit.release_case import build, dataset, trained, vectors


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    root = tmp_path_factory.mktemp("versions")
    return publish(root, trained(root.parent / "source"), about={"origin": "trained"}, extra=take_snapshot(dataset(), "r1").files())


def left(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.name != ".lock")


def test_a_version_is_called_by_the_hash_of_its_manifest_and_reads_back(version):
    assert version.id == sha256_file(version.path / MANIFEST) == version.path.name
    assert verify(version.path) == []
    assert version.router.metrics["bound_to"]["router_sha256"] == version.router.sha256
    assert version.about == {"format": 1, "kind": "router", "origin": "trained"}
    assert {CORPUS, LABELS, ABOUT, "router.safetensors", "meta.json", "label_map.json", "metrics.json"} == set(version.files)
    assert [one.id for one in list_versions(version.path.parent)] == [version.id]
    assert find_version(version.path.parent, version.id[:8]).id == version.id


def test_same_inputs_give_the_same_weights_and_the_same_version(tmp_path):
    first, second = build(tmp_path / "a"), build(tmp_path / "b")
    assert sha256_file(first / "router.safetensors") == sha256_file(second / "router.safetensors")
    root = tmp_path / "versions"
    assert publish(root, first, about={}).id == publish(root, second, about={}).id
    assert len(left(root)) == 1


@settings(max_examples=60)
@given(data=st.data())
def test_any_bit_flipped_in_any_file_is_seen(version, data):
    name = data.draw(st.sampled_from([*version.files, MANIFEST]))
    path = version.path / name
    good = path.read_bytes()
    place, bit = data.draw(st.integers(0, len(good) - 1)), data.draw(st.integers(0, 7))
    bad = bytearray(good)
    bad[place] ^= 1 << bit
    path.chmod(0o644)
    try:
        path.write_bytes(bad)
        problems = verify(version.path)
        assert problems and problems[0].file == name
    finally:
        path.write_bytes(good)
        path.chmod(0o444)
    assert verify(version.path) == []


def test_missing_added_and_linked_files_are_seen(version, tmp_path):
    copy = Path(shutil.copytree(version.path, tmp_path / version.id))
    (copy / "extra.txt").write_text("x")
    (copy / LABELS).unlink()
    (copy / ABOUT).rename(tmp_path / ABOUT)
    (copy / ABOUT).symlink_to(tmp_path / ABOUT)
    assert {(one.file, one.what) for one in verify(copy)} == {
        ("extra.txt", "does not belong to the version"), (LABELS, "is missing"), (ABOUT, "is no plain file")
    }  # fmt: skip
    with pytest.raises(ArtefactError, match="damaged"):
        read_version(copy)
    renamed = copy.rename(tmp_path / ("0" * 64))
    assert verify(renamed)[0].file == MANIFEST
    assert isinstance(list_versions(tmp_path)[0], Broken)


@pytest.mark.parametrize("at", range(1, 11))
def test_a_full_disk_while_publishing_leaves_nothing_behind(tmp_path, monkeypatch, at):
    source, root, real, calls = trained(tmp_path), tmp_path / "versions", os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) == at:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    snapshot = take_snapshot(dataset(), "r1").files()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(ArtefactError, match="No space left on device"):
            publish(root, source, about={}, extra=snapshot)
    if at < 10:  # the tenth is the folder's own, after the rename: the version is there and whole
        assert left(root) == []
    assert verify(publish(root, source, about={}, extra=snapshot).path) == []


def test_a_cancelled_publisher_leaves_nothing_behind(tmp_path):
    class Cancelled(Exception):
        pass

    def stop(stage, done, of):
        if (stage, done) == ("check", 1):
            raise Cancelled

    with pytest.raises(Cancelled):
        publish(tmp_path / "versions", trained(tmp_path), about={}, progress=stop)
    assert left(tmp_path / "versions") == []


def test_what_a_killed_publisher_left_is_swept_by_the_next(tmp_path):
    source, root = trained(tmp_path), tmp_path / "versions"
    child = os.fork()
    if child == 0:
        publish(root, source, about={}, progress=lambda stage, done, of: os.kill(os.getpid(), signal.SIGKILL) if done == 2 else None)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert len(left(root)) == 1 and list_versions(root) == []
    version = publish(root, source, about={})
    assert left(root) == [version.id]


def test_a_copy_that_scores_differently_is_not_registered(tmp_path):
    source, probe, seen = trained(tmp_path), vectors(dataset())[:5], []

    def scores(router):
        seen.append(router)
        return router.logits(probe) + (len(seen) > 1)

    with pytest.raises(ArtefactError, match="scores of the trained router"):
        publish(tmp_path / "versions", source, about={}, check=same_scores(source, scores))
    assert left(tmp_path / "versions") == []
    assert publish(tmp_path / "versions", source, about={}, check=same_scores(source, lambda router: router.logits(probe)))


def test_publishing_again_repairs_a_damaged_version(tmp_path):
    source, root = trained(tmp_path), tmp_path / "versions"
    version = publish(root, source, about={})
    (version.path / "meta.json").chmod(0o644)
    (version.path / "meta.json").write_text("{}")
    assert verify(version.path)
    assert publish(root, source, about={}).id == version.id
    assert verify(version.path) == []


def test_parts_that_contradict_each_other_are_not_published(tmp_path):
    source = trained(tmp_path)
    with pytest.raises(ArtefactError, match="corpus_sha256"):
        publish(tmp_path / "versions", source, about={}, extra=take_snapshot(dataset(dataset().rows[:-9]), "r2").files())
    shutil.copy(trained(tmp_path, 7) / "router.safetensors", source)
    with pytest.raises(ArtefactError, match="made from weights"):
        publish(tmp_path / "versions", source, about={})


def test_a_version_is_named_by_a_clear_prefix(version):
    for name in ("", "abc", "../..", "f" * 12, "."):
        with pytest.raises(InputError, match="no version"):
            find_version(version.path.parent, name)


def test_a_snapshot_gives_the_labels_back_and_notices_a_changed_one():
    data = dataset()
    snapshot = take_snapshot(data, "event 12")
    assert read_snapshot(snapshot.files()) == snapshot
    assert (snapshot.corpus_sha256, snapshot.split_sha256) == (data.corpus_sha256, data.split_sha256)
    texts = {row.id: row.text for row in data.rows[1:]}
    back = restore(snapshot, texts)
    assert back.missing == [data.rows[0].id]
    assert {(row.id, row.domain) for row in back.rows} == {(row.id, row.domain) for row in data.rows[1:]}
    files = snapshot.files()
    with pytest.raises(ArtefactError, match="corpus hash"):
        read_snapshot(files | {LABELS: files[LABELS].replace(b'"alpha"', b'"beta"', 1)})
    assert read_snapshot(take_snapshot(data, "r").files()).composition["split_rows"] == {
        side: data.splits.count(side) for side in ("train", "valid", "test")
    }
