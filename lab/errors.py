"""Errors a person can act on: what was wrong, where, and the fix."""

from __future__ import annotations


class LabError(Exception):
    """Base class. At an edge (page, CLI, worker) it becomes one sentence; anything else is a bug and shows its traceback."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what if not fix else f"{what} {fix}")
        self.what = what
        self.fix = fix


class InputError(LabError):
    """Text, a file or a parameter given by a person cannot be used."""


class ArtefactError(LabError):
    """A model folder is missing, damaged, or contradicts itself."""


class EncoderError(LabError):
    """An encoder cannot be found, exported, or does not fit a head."""


class SettingsError(LabError):
    """A configuration file or environment variable cannot be used."""


class AccessError(LabError):
    """The person's role does not allow it."""
