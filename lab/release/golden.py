"""The golden set: neutral prompts that any sound router answers rightly. A smoke test, kept out of training by hash; it measures nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lab.errors import InputError
from lab.files import jsonl_lines
from lab.router.router import Router
from lab.taxonomy import Taxonomy
from lab.text.prepare import fault, text_id


@dataclass(frozen=True)
class Golden:
    """``domain`` is the taxonomy's name; ``text_id`` the sha256 of the prepared prompt."""

    id: str
    prompt: str
    domain: str
    text_id: str


def read_golden(path: Path) -> list[Golden]:
    """Rows {"id", "prompt", "domain"}; InputError names the first line that is none."""
    out: list[Golden] = []
    for number, value in jsonl_lines(path):
        problem = value if isinstance(value, str) else _problem(value)
        if not problem and any(one.id == value["id"] for one in out):
            problem = f"the id {value['id']!r} is taken"
        if problem:
            raise InputError(f"{path}:{number}: {problem}.", "Restore the line: id, prompt and domain are needed.")
        out.append(Golden(value["id"], value["prompt"], value["domain"], text_id(value["prompt"])))
    if not out:
        raise InputError(f"{path} holds no golden prompt.", "Restore it.")
    return out


def _problem(value: dict) -> str | None:
    missing = [key for key in ("id", "prompt", "domain") if not isinstance(value.get(key), str) or not value[key]]
    return f"{', '.join(missing)} missing" if missing else fault(value["prompt"])


def reserved_ids(path: Path) -> frozenset[str]:
    """Text ids that no router may be trained on; empty if the project has no golden set."""
    return frozenset(one.text_id for one in read_golden(path)) if path.is_file() else frozenset()


def run_golden(
    router: Router, golden: Sequence[Golden], logits: Callable[[Sequence[str]], np.ndarray], taxonomy: Taxonomy
) -> dict[str, bool]:
    """Golden id → passed, for the prompts whose domain the router has. ``logits`` maps n prompts to the router's (n, N)."""
    names = [taxonomy.canonical(domain) for domain in router.domains]
    asked = [one for one in golden if taxonomy.canonical(one.domain) in names]
    if not asked:
        return {}
    top = logits([one.prompt for one in asked]).argmax(axis=1)
    return {one.id: names[int(best)] == taxonomy.canonical(one.domain) for one, best in zip(asked, top, strict=True)}
