"""Encoders that were adapted to a corpus: kept by the hash of their weights, so that a router that names one can mean no other."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import ArtefactError, EncoderError
from lab.files import folder_aside, make_folder, read_json, sha256_file

RECORD = "adapted.json"
WEIGHTS = "model.safetensors"
NAME = re.compile(r"adapted-[0-9a-f]{16}")


@dataclass(frozen=True)
class Learnt:
    """What the labels taught an encoder. ``fold``: the fold that was left out, None if it learnt the whole train side. ``base``: the encoder it was."""

    fold: int | None
    base: str
    rows: int


def learnt(folder: Path) -> Learnt | None:
    """None for an encoder that has read no label: as it came, or centred only."""
    if not (folder / RECORD).is_file():
        return None
    record: dict[str, Any] = read_json(folder / RECORD)
    if record["plan"]["layers"] == 0:
        return None
    return Learnt(record.get("fold"), str(record.get("base", "")), int(record.get("rows", 0)))


def keep(made: Path, store: Path) -> str:
    """Copy the adapted encoder ``made`` into ``store`` under the name that its weights give it; that name. What is there already stays."""
    name = name_of(made)
    if not (store / name).is_dir():
        make_folder(store)
        with folder_aside(store / name) as aside:
            shutil.copytree(made, aside, dirs_exist_ok=True)
    return name


def name_of(folder: Path) -> str:
    if not (folder / WEIGHTS).is_file() or not (folder / RECORD).is_file():
        raise ArtefactError(f"{folder} is no adapted encoder: expected {WEIGHTS} and {RECORD}.", "Make one: python -m lab encoders adapt, or a deep retrain.")
    return f"adapted-{sha256_file(folder / WEIGHTS)[:16]}"


def kept(name: str, store: Path) -> Path | None:
    """The folder of an adapted encoder by its name; None for a name of another kind. EncoderError if it is not there."""
    if not NAME.fullmatch(name) or os.path.isdir(name):
        return None
    if not (store / name).is_dir():
        raise EncoderError(f"The adapted encoder {name} is not in {store}.", "Copy its folder there from where it was made (an exported router carries it), or retrain.")
    return store / name
