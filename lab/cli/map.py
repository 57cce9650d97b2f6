"""``map``: the layout of the corpus, for the Map page."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from lab.cli.common import Bar, print_json, workbench
from lab.evaluation.maps import LINE, compute_layout
from lab.evaluation.projection import PARAMETERS, key_sha256, write_layout
from lab.text.encoder import MINILM


def add(commands) -> None:
    command = commands.add_parser(
        "map",
        help="lay the corpus out in two dimensions",
        description="UMAP of the corpus's vectors, seeded, for the Map page. About half a minute, most of it compiling.",
    )
    command.add_argument("--encoder", default=MINILM, help=f"a packaged model, a folder, or a hub id (default {MINILM})")
    command.add_argument("--output", type=Path, metavar="FILE", help="the layout to write (default: in the state folder, by content)")
    command.add_argument("--background", action="store_true", help="step back for other work and report progress as lines on stderr")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.background:
        os.nice(10)
    bench = workbench()
    progress = _lines if options.background else Bar()
    index = bench.corpus_index(options.encoder, progress)
    encoder_id = bench.encoder(options.encoder, bench.precision()).id
    layout = compute_layout(encoder_id, [row.id for row in index.rows], index.vectors, progress)
    path = options.output or bench.maps.path(layout.key)
    write_layout(path, layout)
    if options.json:
        print_json({"output": str(path), "points": len(layout.ids), "key": layout.key, "size_bytes": path.stat().st_size})
    else:
        print(f"{path}: {len(layout.ids)} prompts, {PARAMETERS['method']}, key {key_sha256(layout.key)[:12]}, {path.stat().st_size} bytes")
    return 0


def _lines(stage: str, done: int, of: int) -> None:
    print(LINE.format(stage=stage, done=done, of=of), file=sys.stderr, flush=True)
