"""CSV for spreadsheets: UTF-8 with a byte-order mark (Excel needs it), every cell quoted, cells that look like formulas defused."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from lab.curation.formats.cells import COLUMNS, defused, to_cells
from lab.curation.formats.labelled import Labelled


def write(rows: Sequence[Labelled]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows:
        cells = to_cells(row)
        writer.writerow([defused(cells[name]) for name in COLUMNS])
    return out.getvalue().encode("utf-8-sig")
