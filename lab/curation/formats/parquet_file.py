"""Parquet: typed columns; the same content gives the same bytes under one version of pyarrow."""

from __future__ import annotations

import io
from collections.abc import Sequence

from lab.curation.formats.labelled import Labelled
from lab.curation.formats.records import to_record

TEXTS = ("lang", "source", "license", "part", "split", "who", "at_utc", "reason", "queue")


def write(rows: Sequence[Labelled]) -> bytes:
    """Columns id, prompt, domain (null: no label), also, routable, flagged, texts, before (null: no change)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    state = [
        pa.field("domain", pa.string()),
        pa.field("also", pa.list_(pa.string())),
        pa.field("routable", pa.bool_()),
        pa.field("flagged", pa.bool_()),
    ]
    schema = pa.schema(
        [
            pa.field("id", pa.string()),
            pa.field("prompt", pa.string()),
            *state,
            *(pa.field(name, pa.string()) for name in TEXTS),
            pa.field("before", pa.struct(state)),
        ]
    )
    empty = dict.fromkeys(TEXTS, "") | {"before": None}
    table = pa.Table.from_pylist([empty | to_record(row) for row in rows], schema=schema)
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()
