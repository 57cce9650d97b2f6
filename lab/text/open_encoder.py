"""Open an encoder by name: export on first use, then load without torch."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from lab.errors import EncoderError
from lab.files import check_output
from lab.text.adapted import NAME
from lab.text.encoder import PRECISIONS, Encoder, Source, find_source
from lab.text.onnx_export import export, manifest_of


def export_folder(source: Source, encoders: Path) -> Path:
    place = hashlib.sha256(str(source.folder).encode()).hexdigest()[:8]
    return encoders / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', source.name.rstrip('/').split('/')[-1])}-{source.max_tokens}-{place}"


def current_manifest(source: Source, folder: Path) -> dict | None:
    """The manifest of ``folder`` if it was made from the weights that ``source`` has now (size and time, else the hash)."""
    manifest = manifest_of(folder)
    if manifest is None:
        return None
    stat, known = source.weights.stat(), manifest["weights"]
    if (stat.st_size, stat.st_mtime_ns) == (known["size_bytes"], known["mtime_ns"]) or source.id() == manifest["id"]:
        return manifest
    return None


def open_encoder(
    name: str, encoders: Path, precision: str = "int8", say: Callable[[str], None] = lambda line: None, store: Path | None = None
) -> Encoder:
    """An Encoder for ``name`` (packaged, folder, adapted and kept in ``store``, or hub id). The first call for a model exports and checks it (about 15 s).

    ``precision`` is one of PRECISIONS; ``say`` is told of slow steps. EncoderError if there is no such model or precision.
    """
    if precision not in PRECISIONS:
        raise EncoderError(f"Precision '{precision}' is unknown.", f"Use one of: {', '.join(PRECISIONS)}.")
    source = find_source(name, store)
    if precision == "torch":
        from lab.text.torch_encoder import TorchEncoder

        return TorchEncoder(source)
    folder = export_folder(source, encoders)
    manifest = current_manifest(source, folder)
    if manifest is None:
        check_output(folder, folder=True)
        say(f"Exporting {source.name} to ONNX and checking it against torch (once on this machine) …")
        manifest = export(source, folder)
    from lab.text.onnx_encoder import OnnxEncoder

    return OnnxEncoder(folder, manifest, precision)


def as_named(name: str, encoder: Encoder) -> Encoder:
    """The encoder; EncoderError for an adapted one whose weights are not those that its name states."""
    if NAME.fullmatch(name) and f"@{name.removeprefix('adapted-')}+" not in encoder.id:
        raise EncoderError(f"{name} holds other weights than its name states: it is {encoder.id}.", "Restore its folder from an exported router, or promote another version.")
    return encoder
