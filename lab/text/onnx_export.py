"""Export an encoder to ONNX, quantise it, and refuse an export that disagrees with the reference.

Three precisions, measured in benchmarks/README.md:

``fp32``       the reference in ONNX Runtime: what heads are trained on.
``int8``       8-bit weights in blocks of 32 with activations quantised per block (MatMulNBits).
``int8-fast``  dynamic quantisation, one activation scale for a whole prompt: the fastest, and less faithful. It serves the routers whose
               answers it was measured not to change. A BERT with mean pooling is written anew for it, for one prompt without padding:
               no mask, no batch, query, key and value in one product; half the nodes of the traced graph.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from lab.errors import ArtefactError, EncoderError
from lab.files import folder_aside, read_json, sha256_file, write_json
from lab.text.encoder import Source
from lab.text.onnx_single import export_single, trace

FORMAT = 2
FILES = {"fp32": "encoder-fp32.onnx", "int8": "encoder-int8.onnx", "int8-fast": "encoder-int8-fast.onnx"}
MIN_MEAN_COSINE = {"fp32": 0.999999, "int8": 0.999, "int8-fast": 0.985}
"""On PROBES, which are odder than traffic: blocks reach 0.9996, dynamic 0.9906 (0.9913 on the test side). Less means a broken export."""

LARGE_TABLE = 64_000_000
"""Bytes of float32 from which on a vocabulary's table is kept in 4 bits by ``int8`` (a multilingual one is most of the model); all-MiniLM-L6-v2 has 47 MB."""

PROBES = (
    "Bonjour", "hello", "how do I flash my stm32 over swd", "Comment dimensionner un convertisseur buck 12 V vers 5 V, 3 A ?",
    "ngspice: timestep too small at t=1.2u", "SELECT name FROM users WHERE id = 3 -- why is this slow?", "def f(x):\n    return x ** 2",
    "Traduis ce paragraphe : the pull-up resistor keeps the line high.", "docker compose volumes not mounted on mac", "tl;dr",
    "Wie berechne ich den Leiterquerschnitt nach Norm?", "¿Cuál es la capital de Mongolia?", "Riassumi questo verbale in cinque punti.",
    "écris un e-mail bilingue à un fournisseur pour repousser une livraison de deux semaines, ton cordial",
    "Les modules MQTT de l'ESP32 perdent la connexion toutes les dix minutes, la box est à trois mètres et le RSSI reste à -48 dBm. "
    "J'ai déjà changé l'alimentation, le keepalive et le broker. Que regarder ensuite ? " * 2,
    "Prove that the sum of two odd integers is even, then generalise to n odd integers and state when the sum is odd.",
)  # fmt: skip


def manifest_of(folder: Path) -> dict | None:
    """The manifest of a complete export, or None if there is none, or a damaged one."""
    path = folder / "manifest.json"
    if not path.is_file():
        return None
    try:
        manifest = read_json(path)
        known = {"name", "id", "dim", "max_tokens", "refused"} <= set(manifest) and {"size_bytes", "mtime_ns"} <= set(manifest["weights"])
        files = ["tokenizer.json", *(entry["file"] for entry in manifest["precisions"].values())]
        whole = known and manifest["format"] == FORMAT and all((folder / name).is_file() for name in files)
    except (ArtefactError, KeyError, TypeError, AttributeError):
        return None
    return manifest if whole else None


def export(source: Source, folder: Path) -> dict:
    """Write fp32 and both int8 graphs with tokenizer and manifest into ``folder``; all or nothing.

    Input of the graphs: ``input_ids`` and ``attention_mask`` (b, s) int64; output ``embedding`` (b, d) float32 of unit length. One written
    for a single prompt has ``input_ids`` (1, s) alone.
    A precision whose mean cosine with the reference on PROBES falls below MIN_MEAN_COSINE is left out and its reason recorded.
    """
    from lab.text.torch_encoder import TorchEncoder

    reference = TorchEncoder(source)
    wanted = reference.encode(PROBES)
    tokenizer = source.folder / "tokenizer.json"
    if not tokenizer.is_file():
        raise EncoderError(f"{source.folder} has no tokenizer.json.", "Use a model with a fast tokenizer, or precision 'torch'.")
    with folder_aside(folder) as aside:
        (aside / "tokenizer.json").write_bytes(tokenizer.read_bytes())
        _export_fp32(reference._model, aside / FILES["fp32"])
        _quantise_blocks(aside / FILES["fp32"], aside / FILES["int8"])
        single = aside / "single.onnx"
        _quantise_dynamic(single if export_single(reference._model, single) else aside / FILES["fp32"], aside / FILES["int8-fast"])
        single.unlink(missing_ok=True)
        stat = source.weights.stat()
        manifest = {
            "format": FORMAT, "name": source.name, "id": reference.id, "dim": reference.dim, "max_tokens": source.max_tokens, "pooling": source.pooling,
            "weights": {"path": str(source.weights), "sha256": reference.id.split("@")[1].split("+")[0], "size_bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns},
            "exported_at_utc": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": {name: version(name) for name in ("torch", "onnx", "onnxruntime", "sentence-transformers", "transformers", "tokenizers")},
            "precisions": {}, "refused": {},
        }  # fmt: skip
        for precision, name in FILES.items():
            _check(precision, aside, name, manifest, wanted)
        if "fp32" not in manifest["precisions"]:
            raise EncoderError(
                f"The ONNX export of {source.name} disagrees with torch: {manifest['refused']['fp32']}.", "Use precision 'torch'."
            )
        write_json(aside / "manifest.json", manifest)
    return manifest


def _check(precision: str, folder: Path, name: str, manifest: dict, wanted: np.ndarray) -> None:
    from lab.text.onnx_encoder import OnnxEncoder

    path = folder / name
    entry = {"file": name, "sha256": sha256_file(path), "size_bytes": path.stat().st_size, "probes": len(PROBES)}
    got = OnnxEncoder(folder, manifest | {"precisions": {precision: entry}}, precision).encode(PROBES)
    cosine = (got * wanted).sum(axis=1)
    entry |= {"cosine_mean": round(float(cosine.mean()), 7), "cosine_min": round(float(cosine.min()), 7)}
    if np.isfinite(got).all() and cosine.mean() >= MIN_MEAN_COSINE[precision]:
        manifest["precisions"][precision] = entry
    else:
        path.unlink()
        manifest["refused"][precision] = (
            f"mean cosine {cosine.mean():.5f} on {len(PROBES)} probes, at least {MIN_MEAN_COSINE[precision]} was expected"
        )


def _export_fp32(model, path: Path) -> None:
    import torch

    class Pipeline(torch.nn.Module):
        """Every module of the sentence-transformers pipeline (transformer, pooling, dense, normalise), then unit length."""

        def __init__(self) -> None:
            super().__init__()
            self.parts = torch.nn.ModuleList(list(model))

        def forward(self, input_ids, attention_mask):
            features = {"input_ids": input_ids, "attention_mask": attention_mask}
            for part in self.parts:
                features = part(features)
            return torch.nn.functional.normalize(features["sentence_embedding"], p=2, dim=1)

    ids = torch.tensor([[1, 2, 3, 4, 5], [1, 2, 3, 0, 0]])  # any tokens do, of a small vocabulary too
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    axes = {"input_ids": {0: "batch", 1: "tokens"}, "attention_mask": {0: "batch", 1: "tokens"}, "embedding": {0: "batch"}}
    trace(Pipeline(), path, {"input_ids": ids, "attention_mask": mask}, axes)


def _quantise_blocks(source: Path, target: Path) -> None:
    import onnx.version_converter
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    logging.getLogger("onnxruntime.quantization.matmul_nbits_quantizer").setLevel(logging.ERROR)
    model = onnx.load(source)
    if max((len(one.raw_data) for one in model.graph.initializer), default=0) > LARGE_TABLE:
        tables = MatMulNBitsQuantizer(onnx.version_converter.convert_version(model, 21), bits=4, block_size=32, is_symmetric=True, op_types_to_quantize=("Gather",))
        tables.process()
        model = tables.model.model
    quantizer = MatMulNBitsQuantizer(model, bits=8, block_size=32, is_symmetric=False, accuracy_level=4, op_types_to_quantize=("MatMul",))
    quantizer.process()
    quantizer.model.save_model_to_file(str(target), False)


def _quantise_dynamic(source: Path, target: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().setLevel(logging.ERROR)  # it advises pre-processing through the root logger
    quantize_dynamic(source, target, per_channel=True, weight_type=QuantType.QInt8)
