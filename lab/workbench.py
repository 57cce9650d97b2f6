"""The workbench: every use case in one object, for pages, CLI and workers. No algorithm and no SQL of its own."""

from __future__ import annotations

from lab.use_cases.benchmarking import Benchmarking
from lab.use_cases.mapping import Mapping
from lab.use_cases.opening import REFERENCE, CorpusIndex, Opening, Progress
from lab.use_cases.recording import Recording
from lab.use_cases.routing import Neighbour, Route, Routing
from lab.use_cases.selectors_page import SelectorsPage
from lab.use_cases.taxonomies import Taxonomies
from lab.use_cases.traffic import Traffic
from lab.use_cases.training import Training

__all__ = ["REFERENCE", "CorpusIndex", "Neighbour", "Opening", "Progress", "Route", "Workbench"]


class Workbench(Recording, Traffic, Taxonomies, Routing, Mapping, Training, SelectorsPage, Benchmarking):
    """Safe to share between threads: what it caches is immutable, and each cache is filled under a lock."""
