"""Areas drawn on the map: short enough for a link, and which points lie inside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lab.errors import InputError

TOLERANCE = 0.01
"""A lasso keeps its corners to this distance (map units; the shipped map is about 10 wide): a hand is less steady than that."""
MOST_CORNERS = 120
MOST_CHARS = 4_000


def to_link(drawn: Sequence[Mapping[str, Any]]) -> str:
    """Areas as the chart reports them (``brush_type``, ``coord_range``) → "x,y,x,y,…" a polygon, "~" between polygons; "" for none."""
    out = []
    for one in drawn:
        span = one["coord_range"]
        if one["brush_type"] == "rect":
            (left, right), (low, high) = span
            corners = np.array([[left, low], [right, low], [right, high], [left, high]], dtype=float)
        elif one["brush_type"] == "polygon":
            corners = simplify(np.asarray(span, dtype=float))
        else:
            continue
        if len(corners) >= 3:
            out.append(",".join(f"{value:.2f}" for value in corners.ravel()))
    return "~".join(out)


def from_link(text: str) -> list[np.ndarray]:
    """The polygons (corners, 2) of a link. InputError if it says none."""
    out = []
    for part in text.split("~") if text else []:
        try:
            values = [float(value) for value in part.split(",")]
        except ValueError:
            values = []
        if len(text) > MOST_CHARS or len(values) < 6 or len(values) % 2 or not all(map(math.isfinite, values)):
            raise InputError("The area in the address is damaged.", "Remove 'area=…' from the address and draw it again.")
        out.append(np.array(values).reshape(-1, 2))
    return out


def simplify(corners: np.ndarray, tolerance: float = TOLERANCE) -> np.ndarray:
    """Ramer–Douglas–Peucker on (n, 2): fewer corners, none further than ``tolerance`` off (more if over MOST_CORNERS remain)."""
    kept = corners
    while len(kept) > 3:
        kept = corners[_keep(corners, tolerance)]
        if len(kept) <= MOST_CORNERS:
            return kept
        tolerance *= 2
    return kept


def _keep(points: np.ndarray, tolerance: float) -> np.ndarray:
    keep = np.zeros(len(points), dtype=bool)
    keep[[0, -1]] = True
    open_spans = [(0, len(points) - 1)]
    while open_spans:
        first, last = open_spans.pop()
        if last - first < 2:
            continue
        chord, offset = points[last] - points[first], points[first + 1 : last] - points[first]
        length = math.hypot(*chord)
        away = np.abs(chord[0] * offset[:, 1] - chord[1] * offset[:, 0]) / length if length > 0 else np.hypot(offset[:, 0], offset[:, 1])
        furthest = int(away.argmax())
        if away[furthest] > tolerance:
            middle = first + 1 + furthest
            keep[middle] = True
            open_spans += [(first, middle), (middle, last)]
    return keep


def inside(polygons: Sequence[np.ndarray], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n,) bool: points in any of the polygons (even–odd rule)."""
    out = np.zeros(len(x), dtype=bool)
    for corners in polygons:
        within = np.zeros(len(x), dtype=bool)
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            if y0 == y1:
                continue
            crosses = (y0 > y) != (y1 > y)
            within ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
        out |= within
    return out
