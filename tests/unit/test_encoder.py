"""Encoders: one contract for all, exports faithful to the reference, names and ids, the vector cache (lab.text)."""

import json
import os
import shutil
import sqlite3

import numpy as np
import pytest

from lab.errors import EncoderError, LabError
from lab.text import encoder as encoder_module
from lab.text.encoder import MINILM, encoder_id, find_source
from lab.text.onnx_encoder import OnnxEncoder
from lab.text.open_encoder import current_manifest, export_folder, open_encoder
from lab.text.vectors import VectorCache


@pytest.fixture(scope="module")
def sample(bench):
    """60 prompts from all over the corpus."""
    return [row.text for row in bench.corpus.rows[:: len(bench.corpus.rows) // 60]][:60]


@pytest.fixture(scope="module")
def minilm(bench):
    return lambda precision: bench.encoder(MINILM, precision)


# one contract for every implementation

EVERY = ["fake", *(pytest.param(precision, marks=pytest.mark.real) for precision in ("int8", "int8-fast", "fp32", "torch"))]


@pytest.fixture
def any_encoder(request, fake_encoder):
    return fake_encoder if request.param == "fake" else request.getfixturevalue("minilm")(request.param)


@pytest.mark.parametrize("any_encoder", EVERY, indirect=True)
def test_vectors_are_float32_of_unit_length_one_a_text(any_encoder):
    found = any_encoder.encode(["Bonjour", "How do I flash an STM32?", "x" * 5_000])
    assert found.dtype == np.float32
    assert found.shape == (3, any_encoder.dim)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)
    assert np.isfinite(found).all()
    assert any_encoder.encode([]).shape == (0, any_encoder.dim)
    assert any_encoder.id
    assert any_encoder.name
    assert any_encoder.precision


@pytest.mark.parametrize("any_encoder", EVERY, indirect=True)
def test_an_encoder_prepares_its_texts_itself(any_encoder):
    long = "start " * 60 + "middle " * 100 + "finish " * 60
    texts = ["  café noir\r\n", "cafe\u0301 noir", "café noir"]
    found = any_encoder.encode([*texts, long, long.replace("middle", "center")])
    assert np.abs(found[:3] - found[2]).max() < 1e-5
    assert np.abs(found[3] - found[4]).max() < 1e-5
    with pytest.raises(LabError):
        any_encoder.encode(["good", "  "])


@pytest.mark.parametrize("any_encoder", EVERY, indirect=True)
@pytest.mark.parametrize("n", [1, 5])
def test_progress_ends_with_all_done(any_encoder, n):
    seen = []
    any_encoder.encode([f"prompt number {k}" for k in range(n)], lambda done, of: seen.append((done, of)))
    assert seen[-1:] == [(n, n)]
    assert seen == sorted(seen)


@pytest.mark.parametrize("any_encoder", EVERY, indirect=True)
def test_order_of_the_texts_is_kept(any_encoder):
    texts = [
        "a much longer prompt about docker volumes and networks, with many more words than the others",
        "short",
        "a prompt of medium length about spice",
        "x",
    ]
    found, other = any_encoder.encode(texts), any_encoder.encode(texts[::-1])[::-1]
    assert np.abs(found - other).max() < 1e-5
    assert ((found @ other.T).argmax(1) == np.arange(4)).all()


# faithful to the reference


@pytest.mark.real
@pytest.mark.parametrize("precision", ["int8", "int8-fast"])
def test_a_prompt_has_the_same_vector_alone_and_in_a_batch(minilm, sample, precision):
    together = minilm(precision).encode(sample)
    alone = np.concatenate([minilm(precision).encode([text]) for text in sample])
    assert np.abs(together - alone).max() < 1e-5


@pytest.mark.real
def test_fp32_is_the_torch_reference(minilm, sample):
    cosine = (minilm("fp32").encode(sample) * minilm("torch").encode(sample)).sum(1)
    assert cosine.min() >= 0.99999


@pytest.mark.real
@pytest.mark.parametrize(("precision", "mean", "least"), [("int8", 0.999, 0.997), ("int8-fast", 0.985, 0.95)])
def test_quantised_vectors_stay_near_the_reference(minilm, sample, precision, mean, least):
    cosine = (minilm(precision).encode(sample) * minilm("fp32").encode(sample)).sum(1)
    assert cosine.mean() >= mean
    assert cosine.min() >= least


@pytest.mark.real
def test_int8_is_not_fp32_under_another_name(minilm, sample):
    assert np.abs(minilm("int8").encode(sample[:5]) - minilm("fp32").encode(sample[:5])).max() > 1e-4


@pytest.mark.real
def test_the_reference_is_sentence_transformers_own_encode(minilm, sample):
    model = minilm("torch")._model
    wanted = model.encode(sample[:10], normalize_embeddings=True, show_progress_bar=False)
    assert model.max_seq_length == 128
    assert np.abs(minilm("torch").encode(sample[:10]) - wanted).max() < 1e-5


@pytest.mark.real
def test_every_precision_has_the_same_encoder_id(minilm):
    assert len({minilm(precision).id for precision in ("int8", "int8-fast", "fp32", "torch")}) == 1
    assert minilm("int8").id == find_source(MINILM).id()


# names and ids


def test_the_encoder_id_changes_with_weights_pooling_length_and_preparation(monkeypatch):
    first = encoder_id("org/all-MiniLM-L6-v2", "a" * 64, "mean", 128)
    assert first == "all-MiniLM-L6-v2@aaaaaaaaaaaaaaaa+mean+prep1+128"
    others = {
        encoder_id("org/all-MiniLM-L6-v2", *rest) for rest in (("b" * 64, "mean", 128), ("a" * 64, "cls", 128), ("a" * 64, "mean", 256))
    }
    monkeypatch.setattr(encoder_module, "PREPARATION", "2")
    others.add(encoder_id("org/all-MiniLM-L6-v2", "a" * 64, "mean", 128))
    assert len(others | {first}) == 5
    assert encoder_id("/models/all-MiniLM-L6-v2/", "a" * 64, "mean", 128).startswith("all-MiniLM-L6-v2@")


@pytest.mark.parametrize("name", ["nobody/nothing-here", "/no/such/folder", "a/b/c/d", "two words"])
def test_an_unknown_encoder_says_what_was_tried(name):
    with pytest.raises(EncoderError) as caught:
        find_source(name)
    for part in (f"'{name}'", "neither a folder", "packaged model", "hub", MINILM):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_precision_lists_the_known_ones(tmp_path):
    with pytest.raises(EncoderError, match=r"Precision 'int4' is unknown\. Use one of: int8, int8-fast, fp32, torch"):
        open_encoder(MINILM, tmp_path, "int4")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def model_folder(tmp_path):
    """What find_source reads of a sentence-transformers folder."""

    def make(weights="model.safetensors", config=None, pooling=None, own_length=None):
        folder = tmp_path / "model"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"hidden_size": 384, "max_position_embeddings": 512} if config is None else config))
        if weights:
            (folder / weights).write_bytes(b"weights")
        if pooling is not None:
            (folder / "1_Pooling").mkdir()
            (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
        if own_length is not None:
            (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": own_length}))
        return folder

    return make


@pytest.mark.parametrize(
    ("pooling", "name"),
    [
        (None, "mean"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}, "cls_token"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, "max-mean"),
        ({"pooling_mode": "cls"}, "cls"),
    ],
)
def test_pooling_is_read_from_the_model(model_folder, pooling, name):
    assert find_source(str(model_folder(pooling=pooling))).pooling == name


@pytest.mark.parametrize(("own", "tokens"), [(None, 128), (64, 64), (512, 128)])
def test_the_window_is_the_gateways_or_the_models_if_that_is_smaller(model_folder, own, tokens):
    assert find_source(str(model_folder(own_length=own))).max_tokens == tokens


def test_other_weights_in_a_folder_give_another_id(model_folder):
    folder = model_folder()
    before = find_source(str(folder)).id()
    (folder / "model.safetensors").write_bytes(b"other weights")
    assert find_source(str(folder)).id() != before


@pytest.mark.parametrize(("weights", "said"), [("pytorch_model.bin", "is a pickle and is never loaded"), (None, "found no weights")])
def test_a_model_without_safetensors_is_refused(model_folder, weights, said):
    with pytest.raises(EncoderError, match=said):
        find_source(str(model_folder(weights=weights)))


def test_a_folder_without_config_is_refused(tmp_path):
    with pytest.raises(EncoderError, match=r"has no config\.json"):
        find_source(str(tmp_path))


@pytest.mark.real
def test_an_export_is_made_once_and_used_again(bench):
    said = []
    first = bench.encoder(MINILM, "int8")
    again = open_encoder(MINILM, bench.home.encoders, "int8", said.append)
    assert said == []
    assert (again.id, again.dim, again.precision) == (first.id, 384, "int8")
    assert (again.encode(["hello"]) == first.encode(["hello"])).all()


@pytest.mark.real
def test_an_export_of_other_weights_is_not_used(bench, tmp_path):
    source = find_source(MINILM)
    folder = tmp_path / "export"
    shutil.copytree(export_folder(source, bench.home.encoders), folder, copy_function=os.symlink)
    assert current_manifest(source, folder)["id"] == source.id()
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").unlink()
    for change in ({"id": "other@0", "weights": manifest["weights"] | {"mtime_ns": 1}}, {"format": 0}):
        (folder / "manifest.json").write_text(json.dumps(manifest | change))
        assert current_manifest(source, folder) is None
    (folder / "manifest.json").write_text(json.dumps(manifest | {"weights": manifest["weights"] | {"mtime_ns": 1}}))
    assert current_manifest(source, folder), "touched weights with the same hash are the same weights"
    (folder / "encoder-int8.onnx").unlink()
    assert current_manifest(source, folder) is None


@pytest.mark.real
def test_a_precision_that_failed_its_check_is_refused_with_the_reason(bench):
    source = find_source(MINILM)
    folder = export_folder(source, bench.home.encoders)
    manifest = current_manifest(source, folder)
    manifest["precisions"].pop("int8-fast")
    with pytest.raises(EncoderError, match=r"no usable int8-fast export: mean cosine 0\.9 on 16 probes"):
        OnnxEncoder(folder, manifest | {"refused": {"int8-fast": "mean cosine 0.9 on 16 probes"}}, "int8-fast")


@pytest.mark.real
def test_a_damaged_export_is_an_encoder_error_not_a_traceback(bench, tmp_path):
    source = find_source(MINILM)
    folder = tmp_path / "export"
    shutil.copytree(export_folder(source, bench.home.encoders), folder, ignore=shutil.ignore_patterns("*.onnx"))
    for name in ("encoder-fp32.onnx", "encoder-int8.onnx", "encoder-int8-fast.onnx"):
        (folder / name).write_bytes(b"\x08\x09truncated")
    with pytest.raises(EncoderError, match="encoder-int8"):
        OnnxEncoder(folder, current_manifest(source, folder), "int8").encode(["hello"])


@pytest.mark.real
@pytest.mark.parametrize("value", ["[]", "{}", "3", "{broken", '{"format": 1, "precisions": {"fp32": {}}}'])
def test_a_manifest_of_another_form_is_no_manifest(bench, tmp_path, value):
    (tmp_path / "manifest.json").write_text(value)
    assert current_manifest(find_source(MINILM), tmp_path) is None


@pytest.mark.real
def test_a_damaged_tokenizer_is_an_encoder_error_too(bench, tmp_path):
    source = find_source(MINILM)
    folder = tmp_path / "export"
    shutil.copytree(export_folder(source, bench.home.encoders), folder, ignore=shutil.ignore_patterns("*.onnx"))
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "tokenizer.json").write_text('{"version": "1.0",')
    with pytest.raises(EncoderError, match=r"tokenizer\.json cannot be loaded.*Delete it, then: python -m lab prepare"):
        OnnxEncoder(folder, manifest, "int8")


# the cache


@pytest.fixture
def cache(tmp_path):
    return VectorCache(tmp_path / "deep" / "vectors.sqlite")


TEXTS = ["one two", "three", "four five six"]


def test_a_second_call_encodes_nothing_and_gives_the_same_bits(cache, fake_encoder, tmp_path):
    first = cache.encode(fake_encoder, TEXTS)
    assert fake_encoder.seen == TEXTS
    assert (first == fake_encoder.encode(TEXTS)).all()
    fake_encoder.seen.clear()
    assert (cache.encode(fake_encoder, TEXTS[::-1]) == first[::-1]).all()
    assert (VectorCache(tmp_path / "deep" / "vectors.sqlite").encode(fake_encoder, TEXTS) == first).all(), "another process"
    assert fake_encoder.seen == []


def test_only_what_is_missing_is_encoded(cache, fake_encoder):
    cache.encode(fake_encoder, TEXTS[:1])
    fake_encoder.seen.clear()
    cache.encode(fake_encoder, TEXTS)
    assert fake_encoder.seen == TEXTS[1:]


def test_a_text_given_twice_in_one_call_is_encoded_once(cache, fake_encoder):
    found = cache.encode(fake_encoder, ["a b", "c", "a b", " a b\r\n"])
    assert fake_encoder.seen == ["a b", "c"]
    assert (found[[0, 2, 3]] == found[0]).all()
    assert (found[1] != found[0]).any()


@pytest.mark.parametrize("other", [{"identity": "fake@1+words+prep1+128"}, {"precision": "int8"}], ids=["id", "precision"])
def test_another_encoder_or_precision_has_its_own_vectors(cache, fake_encoder, make_encoder, other):
    cache.encode(fake_encoder, TEXTS)
    second = make_encoder(**other)
    cache.encode(second, TEXTS)
    assert second.seen == TEXTS


def test_a_vector_of_another_length_is_computed_again(cache, fake_encoder, make_encoder):
    cache.encode(fake_encoder, TEXTS)
    wider = make_encoder(dim=64)
    assert cache.encode(wider, TEXTS).shape == (3, 64)
    assert wider.seen == TEXTS


def test_many_texts_are_saved_and_read_whole(cache, fake_encoder):
    texts = [f"prompt {n}" for n in range(4_500)]
    first = cache.encode(fake_encoder, texts)
    fake_encoder.seen.clear()
    assert (cache.encode(fake_encoder, texts) == first).all()
    assert (cache.encode(fake_encoder, texts[:700]) == first[:700]).all()
    assert fake_encoder.seen == []


def test_what_was_encoded_before_a_crash_is_kept(cache, fake_encoder):
    def crash(done, of):
        if done > 3_000:
            raise InterruptedError

    texts = [f"prompt {n}" for n in range(4_000)]
    with pytest.raises(InterruptedError):
        cache.encode(fake_encoder, texts, crash)
    fake_encoder.seen.clear()
    cache.encode(fake_encoder, texts)
    assert 0 < len(fake_encoder.seen) <= 4_000 - 2_048


def test_progress_counts_what_is_missing(cache, fake_encoder):
    cache.encode(fake_encoder, TEXTS[:1])
    seen = []
    cache.encode(fake_encoder, TEXTS, lambda done, of: seen.append((done, of)))
    assert seen == [(1, 2), (2, 2)]


def test_nothing_to_encode_is_an_empty_matrix(cache, fake_encoder):
    assert cache.encode(fake_encoder, []).shape == (0, fake_encoder.dim)


def test_a_file_that_is_no_cache_is_an_error_with_the_fix(tmp_path):
    path = tmp_path / "vectors.sqlite"
    path.write_bytes(b"this is not a database, it is a text of some length" * 40)
    with pytest.raises(LabError, match="Delete the file"):
        VectorCache(path)


def test_a_cache_holds_no_text_of_a_prompt(cache, fake_encoder, tmp_path):
    cache.encode(fake_encoder, ["my secret prompt"])
    rows = sqlite3.connect(tmp_path / "deep" / "vectors.sqlite").execute("SELECT encoder, text, length(vector) FROM vectors").fetchall()
    assert [(encoder, len(text), size) for encoder, text, size in rows] == [("fake@0+words+prep1+128/fake", 64, 4 * fake_encoder.dim)]
