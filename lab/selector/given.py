"""Trained selectors asked about queries they have not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lab.selector.choose import Chosen
from lab.selector.contract import LabSelector
from lab.selector.deployed import winner
from lab.selector.guarded import GuardedKnnSelector
from lab.selector.held_out import Part, best_by_category, best_single
from lab.selector.store import SelectorSet
from lab.selector.table import OutcomeTable
from lab.selector.utility import Utility


class Restricted:
    """A selector whose picks are columns of another table's models; its other models may not win."""

    def __init__(self, one: SelectorSet, key: str, models: Sequence[str]) -> None:
        self.selector = one.selector(key)
        own = one.models if isinstance(self.selector, LabSelector) else self.selector.file.models
        self.allowed = np.asarray([name in models for name in own])
        self.column = np.asarray([models.index(name) if name in models else -1 for name in own])

    def predict(self, x: np.ndarray) -> np.ndarray:
        if isinstance(self.selector, GuardedKnnSelector):
            scores = self.selector.scores(x, allowed=self.allowed)
        elif isinstance(self.selector, LabSelector):
            scores = self.selector.scores(x)
        else:
            return self.column[winner(self.selector.file, x, self.allowed)]
        return self.column[np.where(self.allowed, scores, -np.inf).argmax(1)]

    def get_params(self) -> dict:
        return {}


def part_of_sets(table: OutcomeTable, sets: Sequence[tuple[SelectorSet, str]], utility: Utility) -> tuple[list[Part], list[str]]:
    """One part that judges every query. Best single model and category table come from the first set's own training outcomes; a model file
    has none, and then they come from the judged queries, which favours them (said in the notes)."""
    chosen = [
        Chosen(f"{one.name}/{key}", "lab", Restricted(one, key, table.models))
        for one, given in sets
        for key in ([given] if given else one.keys)
    ]
    first, notes = sets[0][0], []
    everything = np.arange(len(table))
    if len(first.x):
        cells = first.cells.of([first.models.index(name) for name in table.models])
        places = first.x[:, first.dim :].argmax(1)
        source = OutcomeTable([""] * len(places), [first.one_hot[place] for place in places], [""] * len(places), table.models, cells)
        rows = np.arange(len(places))
    else:
        notes.append("The best single model and the category table were chosen on the judged queries themselves, which favours them.")
        source, rows = table, everything
    by_category = best_by_category(source, rows, utility)
    part = Part(np.arange(0), everything, chosen, best_single(source, rows, utility), by_category)
    return [part], notes
