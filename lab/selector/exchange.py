"""Model files of the router into folders of the lab."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lab.errors import ArtefactError
from lab.files import sha256_file
from lab.selector.choose import Chosen
from lab.selector.contract import Params
from lab.selector.conventions import Conventions
from lab.selector.deployed import Deployed, winner
from lab.selector.read_file import read_file
from lab.selector.store import FileSelector, SelectorSet, write_set
from lab.selector.table import Cells
from lab.selector.utility import Utility


class _Imported(FileSelector, Params):
    """A file on its way into a folder."""

    def __init__(self, file: Deployed) -> None:
        FileSelector.__init__(self, file)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return winner(self.file, x)


def import_file(path: Path, target: Path, name: str, conventions: Conventions, encoder: str = "") -> SelectorSet:
    """Write ``target``. The encoder is the one named, else what the lab wrote into the file, else the only known one of its width."""
    file, ours = read_file(path)
    categories = len(conventions.one_hot)
    dim = file.width - categories
    if dim < 1:
        raise ArtefactError(
            f"{path} reads {file.width} numbers a query, of which {categories} are the category.", "It is no selector of this router."
        )
    said = ours.get("encoder") if isinstance(ours.get("encoder"), dict) else {}
    chosen = conventions.encoder(encoder) if encoder else str(said.get("name") or conventions.encoder_of(dim, str(path)))
    known = next((one for one in conventions.encoders.values() if one["name"] == chosen), None)
    if known and known["dim"] != dim and (encoder or said.get("dim") != dim):
        raise ArtefactError(
            f"{path} reads embeddings of {dim} numbers, but {chosen} gives {known['dim']}.", "Name the encoder that it was trained on."
        )
    empty = np.zeros((0, len(file.models)))
    one = Chosen(file.algorithm, "imported", _Imported(file))
    provenance = {"imported_from": path.name, "sha256": sha256_file(path), "router_lab": ours}
    card = f"# {name}\n\nImported from `{path.name}` (sha256 {provenance['sha256']}): {file.algorithm}, models {', '.join(file.models)}.\n"
    return write_set(
        target, [one], models=file.models, one_hot=conventions.one_hot, encoder={"name": chosen, "dim": dim}, utility=Utility(),
        vectors=np.zeros((0, dim), dtype=np.float32), places=np.zeros(0, dtype=np.uint8), ids=np.zeros(0, dtype=np.uint64),
        cells=Cells(empty, empty, empty), default=file.algorithm, extra={"provenance": provenance}, card=card,
    )  # fmt: skip
