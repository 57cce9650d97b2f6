"""The labelling desk: a component that keeps its own queue, so that a key costs no round trip."""

from pages.shared.desk.component import Desk, desk

__all__ = ["Desk", "desk"]
