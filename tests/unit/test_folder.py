"""The router folder: what is written, what is read, what is refused (lab.router.folder, spec router.md §1)."""

import json
import os
import shutil

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from lab.errors import ArtefactError
from lab.files import write_bytes
from lab.router.folder import read_router, write_router
from lab.router.head import Head, sigmoid
from lab.router.router import Router

DOMAINS = ["alpha", "beta", "gamma"]
SHIPPED = ["lab-47", "v5-32", "v9-47"]


def head_of(dim=6, hidden=4, domains=3, seed=0) -> Head:
    random = np.random.default_rng(seed)
    return Head(*(random.normal(size=shape).astype(np.float32) for shape in ((hidden, dim), (hidden,), (domains, hidden), (domains,))))


def tensors_of(head: Head, prefix="") -> dict[str, torch.Tensor]:
    return {
        prefix + key: torch.from_numpy(value)
        for key, value in zip(("0.weight", "0.bias", "3.weight", "3.bias"), (head.w0, head.b0, head.w3, head.b3), strict=True)
    }


def same(a: Head, b: Head) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("w0", "b0", "w3", "b3"))


def contents(folder) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


@pytest.fixture
def folder(tmp_path):
    """A good router folder."""
    write_router(tmp_path / "router", head_of(), DOMAINS, {"embedding_model": "some/encoder", "seed": 42}, {"bound_to": {}})
    return tmp_path / "router"


# what is written and read


def test_a_router_reads_back_as_it_was_written(folder):
    back = read_router(folder)
    assert same(back.head, head_of())
    assert back.domains == DOMAINS
    assert (back.head.dim, back.head.hidden, back.head.domains, back.head.parameters) == (6, 4, 3, 6 * 4 + 4 + 3 * 4 + 3)
    assert back.meta["embedding_model"] == "some/encoder"


def test_the_files_are_those_of_the_source_system(folder):
    assert set(contents(folder)) == {"router.safetensors", "meta.json", "label_map.json", "metrics.json"}
    with safe_open(folder / "router.safetensors", "np") as file:
        found = {key: (file.get_slice(key).get_dtype(), file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    assert found == {"0.weight": ("F32", [4, 6]), "0.bias": ("F32", [4]), "3.weight": ("F32", [3, 4]), "3.bias": ("F32", [3])}
    assert json.loads((folder / "label_map.json").read_text()) == {"alpha": 0, "beta": 1, "gamma": 2}
    meta = json.loads((folder / "meta.json").read_text())
    assert {key: meta[key] for key in ("embedding_dim", "hidden_dim", "num_domains", "domains", "label_map")} == {
        "embedding_dim": 6, "hidden_dim": 4, "num_domains": 3, "domains": DOMAINS, "label_map": {"alpha": 0, "beta": 1, "gamma": 2},
    }  # fmt: skip


def test_the_files_can_be_read_by_another_user(folder):
    assert folder.stat().st_mode & 0o055 == 0o055
    assert all(file.stat().st_mode & 0o044 == 0o044 for file in folder.iterdir())


@pytest.mark.parametrize("name", SHIPPED)
def test_a_plain_torch_reader_gives_the_same_scores(project, name):
    """What a gateway does with the file, without anything of ours: the whole router, or its head where n-grams stand beside it."""
    path = project / "models" / "routers" / name
    meta = json.loads((path / "meta.json").read_text(encoding="utf-8"))
    dim, hidden, size = meta["embedding_dim"], meta["hidden_dim"], meta["num_domains"]
    net = torch.nn.Sequential(torch.nn.Linear(dim, hidden), torch.nn.GELU(), torch.nn.Dropout(0.1), torch.nn.Linear(hidden, size)).eval()
    net.load_state_dict(load_file(path / "router.safetensors"), strict=True)
    vectors = np.random.default_rng(1).normal(size=(200, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with torch.inference_mode():
        wanted = torch.sigmoid(net(torch.from_numpy(vectors))).numpy()
    router = Router.load(path)
    assert np.abs(sigmoid(router.head.logits(vectors)) - wanted).max() < 1e-6
    if router.lexical is None:
        assert np.abs(np.stack([router.score(vector).scores for vector in vectors[:20]]) - wanted[:20]).max() < 1e-6
    assert wanted.std() > 0.01


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_routers_carry_the_keys_that_the_source_system_reads(project, name):
    path = project / "models" / "routers" / name
    meta, label_map = (json.loads((path / file).read_text(encoding="utf-8")) for file in ("meta.json", "label_map.json"))
    assert {
        "embedding_model",
        "embedding_dim",
        "hidden_dim",
        "num_domains",
        "domains",
        "label_map",
        "epochs",
        "batch_size",
        "lr",
        "seed",
    } <= set(meta)
    assert meta["domains"] == sorted(meta["domains"])
    assert label_map == meta["label_map"] == {domain: place for place, domain in enumerate(meta["domains"])}


@pytest.mark.parametrize(("domains", "parameters"), [(32, 106_784), (34, 107_298), (47, 110_639)])
def test_parameters_of_the_known_sizes(domains, parameters):
    assert head_of(384, 256, domains).parameters == parameters


@pytest.mark.parametrize("name", SHIPPED)
def test_parameters_of_the_shipped_routers(bench, name):
    head = bench.router(name).head
    assert head.parameters == {32: 106_784, 47: 110_639}[head.domains]


@pytest.mark.parametrize(("dim", "hidden", "domains"), [(768, 512, 31), (384, 512, 34), (384, 512, 35), (2, 1, 2)])
def test_heads_of_another_width_load(tmp_path, dim, hidden, domains):
    head = head_of(dim, hidden, domains)
    write_router(tmp_path / "r", head, [f"d{n:02}" for n in range(domains)], {})
    back = read_router(tmp_path / "r").head
    assert same(back, head)
    assert back.logits(np.ones((5, dim), np.float32)).shape == (5, domains)


def test_the_prefix_net_is_accepted(folder):
    save_file(tensors_of(head_of(), "net."), folder / "router.safetensors")
    assert same(read_router(folder).head, head_of())


def test_meta_without_our_key_or_optional_keys_loads(folder):
    (folder / "meta.json").write_text("{}")
    router = Router.load(folder)
    assert router.domains == DOMAINS
    assert router.calibration.kind == "none"
    assert router.encoder_name == "sentence-transformers/all-MiniLM-L6-v2"


def test_unknown_meta_keys_are_kept_through_reading_and_writing(folder, tmp_path):
    extra = {"parent_checkpoint": "v8", "per_label_f1": {"alpha": 0.5}, "a new key": [1, {"é": None}]}
    write_router(folder, head_of(), DOMAINS, extra)
    back = read_router(folder)
    assert {key: back.meta[key] for key in extra} == extra
    write_router(tmp_path / "copy", back.head, back.domains, back.meta)
    assert read_router(tmp_path / "copy").meta == back.meta


def test_the_same_head_and_meta_give_the_same_bytes(folder, tmp_path):
    write_router(tmp_path / "again", head_of(), DOMAINS, {"embedding_model": "some/encoder", "seed": 42}, {"bound_to": {}})
    assert contents(tmp_path / "again") == contents(folder)


# what is refused


def meta(**changes):
    def change(folder):
        path = folder / "meta.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def text(name, value):
    return lambda folder: (folder / name).write_text(value)


def tensors(**changes):
    """Tensors replaced (dots written as __) or, when None, taken away."""

    def change(folder):
        found = tensors_of(head_of()) | {key.lstrip("_").replace("__", "."): value for key, value in changes.items()}
        save_file({key: value.contiguous() for key, value in found.items() if value is not None}, folder / "router.safetensors")

    return change


def cut(size):
    return lambda folder: (folder / "router.safetensors").write_bytes((folder / "router.safetensors").read_bytes()[:size])


def poisoned(value):
    weights = torch.from_numpy(head_of().w3.copy())
    weights[1, 2] = value
    return tensors(_3__weight=weights)


def cast(dtype):
    return tensors(_0__weight=torch.from_numpy(head_of().w0).to(dtype))


FAULTS = {
    "no weights": (lambda f: (f / "router.safetensors").unlink(), "router.safetensors", "missing"),
    "no meta": (lambda f: (f / "meta.json").unlink(), "meta.json", "missing"),
    "no label map": (lambda f: (f / "label_map.json").unlink(), "label_map.json", "missing"),
    "weights truncated": (cut(-40), "router.safetensors", "truncated"),
    "weights truncated in the header": (cut(20), "router.safetensors", "truncated"),
    "weights empty": (cut(0), "router.safetensors", "truncated"),
    "weights are no safetensors": (
        lambda f: (f / "router.safetensors").write_bytes(b"\x80\x04K\x01." * 40),
        "router.safetensors",
        "not a readable safetensors file",
    ),
    "NaN": (poisoned(float("nan")), "router.safetensors", "tensor 3.weight has 1 values that are NaN or infinite"),
    "infinite": (poisoned(float("-inf")), "router.safetensors", "NaN or infinite"),
    "float16": (cast(torch.float16), "router.safetensors", "0.weight is float16, expected float32"),
    "float64": (cast(torch.float64), "router.safetensors", "0.weight is float64, expected float32"),
    "bfloat16": (cast(torch.bfloat16), "router.safetensors", "float32"),
    "float8": (cast(torch.float8_e4m3fn), "router.safetensors", "float32"),
    "integers": (cast(torch.int32), "router.safetensors", "0.weight is int32, expected float32"),
    "a tensor too few": (
        tensors(_3__bias=None),
        "router.safetensors",
        "expected the tensors 0.weight, 0.bias, 3.weight, 3.bias, found 0.bias, 0.weight, 3.weight",
    ),
    "a tensor too many": (tensors(_6__weight=torch.zeros(2, 2)), "router.safetensors", "Only a two-layer head"),
    "layers do not meet": (tensors(_3__weight=torch.zeros(3, 5)), "router.safetensors", "3.weight [3, 5]"),
    "bias of another length": (tensors(_0__bias=torch.zeros(5)), "router.safetensors", "0.bias [5]"),
    "transposed": (tensors(_0__weight=torch.zeros(6, 4)), "router.safetensors", "Expected [H, D], [H], [N, H], [N]"),
    "bias is a matrix": (tensors(_3__bias=torch.zeros(3, 1)), "router.safetensors", "3.bias [3, 1]"),
    "embedding_dim": (meta(embedding_dim=384), "meta.json", "embedding_dim is 384, but router.safetensors has 6"),
    "hidden_dim": (meta(hidden_dim=256), "meta.json", "hidden_dim is 256, but router.safetensors has 4"),
    "num_domains": (meta(num_domains=47), "meta.json", "num_domains is 47, but router.safetensors has 3"),
    "domains in another order": (meta(domains=["beta", "alpha", "gamma"]), "label_map.json", "position 0: 'beta' and 'alpha'"),
    "domains missing one": (meta(domains=["alpha", "beta"]), "meta.json", "2 and 3 names"),
    "domains no list": (meta(domains="alpha"), "meta.json", "name different domains"),
    "label_map in meta differs": (meta(label_map={"alpha": 0}), "label_map.json", "label_map in meta.json is not label_map.json"),
    "label map with a gap": (text("label_map.json", '{"alpha": 0, "beta": 1, "gamma": 3}'), "label_map.json", "not 0 to 2, each once"),
    "label map with a twin": (text("label_map.json", '{"alpha": 0, "beta": 1, "gamma": 1}'), "label_map.json", "not 0 to 2, each once"),
    "label map of texts": (text("label_map.json", '{"alpha": "0", "beta": "1", "gamma": "2"}'), "label_map.json", "not 0 to 2"),
    "label map of a list": (text("label_map.json", '["alpha"]'), "label_map.json", "expected an object, found list"),
    "fewer names than scores": (
        lambda f: (text("label_map.json", '{"alpha": 0, "beta": 1}')(f), text("meta.json", "{}")(f)),
        "meta.json",
        "2 domains are named, but router.safetensors scores 3",
    ),
    "meta is no object": (text("meta.json", "[]"), "meta.json", "expected an object, found list"),
    "meta is broken": (text("meta.json", '{"seed": 42,\n "x": }'), "meta.json", "is not JSON: Expecting value at line 2, column 7"),
    "meta is not UTF-8": (lambda f: (f / "meta.json").write_bytes(b'{"a": "\xe9"}'), "meta.json", "is not UTF-8 (byte 7)"),
    "meta is nested without end": (text("meta.json", "[" * 100_000), "meta.json", ""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_folder_is_refused_naming_the_file_what_was_found_and_the_folder(folder, fault):
    damage, file, said = FAULTS[fault]
    read_router(folder)
    damage(folder)
    with pytest.raises(ArtefactError) as caught:
        read_router(folder)
    message = str(caught.value)
    assert file in message
    assert str(folder) in message
    assert said in message
    assert caught.value.fix


def test_what_is_not_a_folder_is_refused(tmp_path, folder):
    for path in (tmp_path / "absent", folder / "meta.json"):
        with pytest.raises(ArtefactError, match="is not a folder") as caught:
            read_router(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "ours",
    [
        ["a list"],
        {"calibration": "temperature"},
        {"calibration": {"kind": "isotonic", "a": [], "b": []}},
        {"calibration": {"kind": "temperature", "a": [1.0, 2.0], "b": []}},
        {"calibration": {"kind": "platt", "a": [1.0], "b": [0.0]}},
        {"calibration": {"kind": "temperature", "a": ["warm"], "b": []}},
        {"calibration": {"kind": "temperature", "a": None, "b": []}},
        {"calibration": {"kind": "temperature", "a": [0.0], "b": []}},
        {"calibration": {"kind": "temperature", "a": [-1.0], "b": []}},
        {"calibration": {"kind": "temperature", "a": [1.0], "b": []}, "abstain": []},
        {"calibration": {"kind": "temperature", "a": [1.0], "b": []}, "abstain": {"thresholds": [{}]}},
    ],
    ids=[
        "not an object",
        "calibration is a text",
        "unknown kind",
        "two temperatures",
        "platt of another size",
        "temperature is a text",
        "temperature is null",
        "temperature zero",
        "temperature below zero",
        "abstain is a list",
        "threshold without target",
    ],
)
def test_damage_under_our_own_key_is_refused_too(folder, ours):
    meta(router_lab=ours)(folder)
    with pytest.raises(ArtefactError):
        router = Router.load(folder)
        router.decide(router.score(np.ones(6, np.float32)))


def test_metrics_made_from_other_weights_are_refused(folder):
    write_router(folder, head_of(), DOMAINS, {}, {"bound_to": {"router_sha256": read_router(folder).weights_sha256}, "top1": 0.5})
    assert Router.load(folder).metrics["top1"] == 0.5
    save_file(tensors_of(head_of(seed=1)), folder / "router.safetensors")
    with pytest.raises(ArtefactError, match="was made from weights"):
        _ = Router.load(folder).metrics


def test_metrics_may_be_absent(folder):
    (folder / "metrics.json").unlink()
    assert Router.load(folder).metrics is None


@pytest.mark.parametrize("value", ["[]", '{"bound_to": "x"}', "{}"])
def test_metrics_of_another_form_are_refused(folder, value):
    (folder / "metrics.json").write_text(value)
    with pytest.raises(ArtefactError, match=r"metrics\.json"):
        _ = Router.load(folder).metrics


def test_a_changed_meta_is_read_again_by_the_workbench(bench, folder):
    assert bench.router(folder).encoder_name == "some/encoder"
    assert bench.router(folder) is bench.router(folder)
    meta(embedding_model="another/encoder")(folder)
    assert bench.router(folder).encoder_name == "another/encoder"


# a write is whole or absent

BAD_WRITES = {
    "weights with NaN": lambda path: write_router(
        path, Head(head_of().w0 * np.float32("nan"), head_of().b0, head_of().w3, head_of().b3), DOMAINS, {"new": True}
    ),
    "names that do not fit the head": lambda path: write_router(path, head_of(), ["alpha", "beta"], {"new": True}),
    "meta that contradicts the head": lambda path: write_router(path, head_of(), DOMAINS, {"embedding_dim": 384}),
    "meta that is no JSON": lambda path: write_router(path, head_of(), DOMAINS, {"new": {1, 2}}),
    "metrics with NaN": lambda path: write_router(path, head_of(), DOMAINS, {"new": True}, {"top1": float("nan")}),
}


@pytest.mark.parametrize("bad", BAD_WRITES)
def test_a_failed_write_leaves_the_old_folder_untouched_and_nothing_else(folder, tmp_path, bad):
    before = contents(folder)
    with pytest.raises((ArtefactError, TypeError, ValueError)):
        BAD_WRITES[bad](folder)
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["router"]


@pytest.mark.parametrize("bad", BAD_WRITES)
def test_a_failed_first_write_leaves_nothing(tmp_path, bad):
    with pytest.raises((ArtefactError, TypeError, ValueError)):
        BAD_WRITES[bad](tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named_with_the_reason(folder):
    for target in (folder / "meta.json" / "r", folder / "meta.json" / "deeper" / "r"):
        with pytest.raises(ArtefactError, match=r"meta\.json.*r cannot be written: "):
            write_router(target, head_of(), DOMAINS, {})
    with pytest.raises(ArtefactError, match="cannot be written: "):
        write_bytes(folder, b"")
    assert set(contents(folder)) == {"router.safetensors", "meta.json", "label_map.json", "metrics.json"}


def test_a_rename_that_fails_brings_the_old_folder_back(folder, tmp_path, monkeypatch):
    before, rename = contents(folder), os.replace

    def full_disk(source, target):
        if os.fspath(target) == os.fspath(folder) and ".old-" not in os.fspath(source):
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises((OSError, ArtefactError)):
        write_router(folder, head_of(seed=5), DOMAINS, {})
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["router"]


def test_a_write_replaces_the_folder_whole(folder):
    (folder / "left-behind.txt").write_text("old")
    write_router(folder, head_of(seed=5), DOMAINS, {})
    assert set(contents(folder)) == {"router.safetensors", "meta.json", "label_map.json"}
    assert same(read_router(folder).head, head_of(seed=5))


def test_a_copied_folder_is_the_same_router(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    assert read_router(tmp_path / "copy").weights_sha256 == read_router(folder).weights_sha256
