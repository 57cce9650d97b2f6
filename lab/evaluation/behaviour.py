"""Behavioural suites: prompts changed in a way that should not change the answer (invariance tests of Ribeiro et al. 2020, "Beyond accuracy:
behavioral testing of NLP models with CheckList"), the same request in two languages, and prompts with two topics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lab.errors import InputError
from lab.evaluation.intervals import wilson
from lab.evaluation.perturb import PERTURBATIONS
from lab.files import jsonl_lines, sha256_file
from lab.home import Home
from lab.router.router import Router
from lab.taxonomy import Taxonomy
from lab.text.encoder import Encoder
from lab.text.prepare import fault, text_id

LANGUAGES = ("fr", "en")
SHOWN = 10
TWINS = "twins"


@dataclass(frozen=True)
class Base:
    """One request of one domain. ``texts``: language → prompt; with both languages it is a pair of twins."""

    id: str
    domain: str
    texts: dict[str, str]


@dataclass(frozen=True)
class Multi:
    """One prompt that explicitly asks for two domains."""

    id: str
    prompt: str
    domains: tuple[str, str]
    lang: str


@dataclass(frozen=True)
class Suites:
    base: list[Base]
    multi: list[Multi]
    sha256: str


@dataclass(frozen=True)
class Case:
    """``before`` and ``after`` should be answered by the same domain. ``lang`` is that of ``before``, "" for twins."""

    suite: str
    id: str
    lang: str
    domain: str
    before: str
    after: str


def read_suites(path: Path) -> Suites:
    """Rows {"id", "domain", "fr"[, "en"]} and {"id", "prompt", "domains": [a, b], "lang"}; InputError names the first line that is neither."""
    base: list[Base] = []
    multi: list[Multi] = []
    seen: set[str] = set()
    for number, value in jsonl_lines(path):
        problem = value if isinstance(value, str) else _problem(value)
        if not problem and value["id"] in seen:
            problem = f"the id {value['id']!r} is taken"
        if problem:
            raise InputError(f"{path}:{number}: {problem}.", "Restore the line; see lab.evaluation.behaviour.read_suites.")
        seen.add(value["id"])
        if "domains" in value:
            multi.append(Multi(value["id"], value["prompt"], tuple(value["domains"]), value["lang"]))
        else:
            base.append(Base(value["id"], value["domain"], {lang: value[lang] for lang in LANGUAGES if lang in value}))
    if not base:
        raise InputError(f"{path} holds no base prompt.", "Restore it.")
    return Suites(base, multi, sha256_file(path))


def _problem(value: dict[str, Any]) -> str | None:
    texts = [value[key] for key in ("prompt", *LANGUAGES) if key in value]
    labels = value["domains"] if isinstance(value.get("domains"), list) else [value.get("domain")]
    if "domains" in value and (len(set(map(str, labels))) != 2 or "prompt" not in value or not isinstance(value.get("lang"), str)):
        return "a prompt with two topics needs prompt, lang and two different domains"
    if not isinstance(value.get("id"), str) or not all(isinstance(one, str) and one for one in labels):
        return "id and domain are needed, as texts"
    if not texts:
        return f"no prompt: expected {' or '.join(LANGUAGES)}, or prompt with domains"
    return next((found for text in texts if (found := fault(text))), None)


def texts_of(suites: Suites) -> list[str]:
    """Every prompt as written, before any change."""
    return [text for one in suites.base for text in one.texts.values()] + [one.prompt for one in suites.multi]


def reserved_ids(home: Home) -> frozenset[str]:
    """Text ids that no router may be trained on. Empty if the project has no suites."""
    return frozenset(map(text_id, texts_of(read_suites(home.behaviour)))) if home.behaviour.is_file() else frozenset()


def cases(base: Sequence[Base]) -> list[Case]:
    """Every suite's cases, in the order of the suites. A change that leaves a prompt as it is makes no case."""
    out = []
    for suite, (change, _) in PERTURBATIONS.items():
        for one in base:
            for lang, text in one.texts.items():
                after = change(text, lang)
                if after != text:
                    out.append(Case(suite, f"{one.id}/{lang}", lang, one.domain, text, after))
    return out + [Case(TWINS, one.id, "", one.domain, *one.texts.values()) for one in base if len(one.texts) == len(LANGUAGES)]


def behaviour_report(
    router: Router, suites: Suites, encode: Callable[[Sequence[str]], np.ndarray], encoder: Encoder, taxonomy: Taxonomy, costs: Callable[[str, str], bool]
) -> dict[str, Any]:  # fmt: skip
    """The report as JSON. ``encode`` maps n texts to (n, D) vectors of ``encoder``; ``costs`` says whether two domains have different backends.

    Only prompts whose domain the router has are used; the others are counted in ``left_out``.
    """
    names = [taxonomy.canonical(domain) for domain in router.domains]
    known = set(names)
    base = [one for one in suites.base if taxonomy.canonical(one.domain) in known]
    multi = [one for one in suites.multi if all(taxonomy.canonical(domain) in known for domain in one.domains)]
    if not base:
        raise InputError(f"Router {router.name} has no domain of the behavioural suites.", "They fit routers with the taxonomy's domains.")
    all_cases = cases(base)
    texts = list(dict.fromkeys(text for case in all_cases for text in (case.before, case.after)))
    top = router.logits(encode(texts), texts).argmax(axis=1)
    answer = {text: names[i] for text, i in zip(texts, top, strict=True)}
    meanings = {name: meaning for name, (_, meaning) in PERTURBATIONS.items()} | {TWINS: "the same request in the other language"}
    return {
        "bound_to": {"router": router.name, "router_sha256": router.sha256, "suites_sha256": suites.sha256, "encoder_id": encoder.id, "precision": encoder.precision},
        "base_prompts": len(base), "multi_topic_prompts": len(multi),
        "left_out": dict(sorted(Counter(taxonomy.canonical(one.domain) for one in suites.base if one not in base).items())),
        "suites": {
            name: {"meaning": meaning, **_flips([case for case in all_cases if case.suite == name], answer, taxonomy, costs)} for name, meaning in meanings.items()
        },
        "multi_topic": _multi(router, multi, encode, names, taxonomy),
    }  # fmt: skip


def _flips(chosen: Sequence[Case], answer: dict[str, str], taxonomy: Taxonomy, costs: Callable[[str, str], bool]) -> dict[str, Any]:
    n = len(chosen)
    if n == 0:
        return {"n": 0, "flip_rate": None, "interval": None, "accuracy_before": None, "accuracy_after": None, "cost_flip_rate": None, "cost_interval": None, "per_language": {}, "examples": []}  # fmt: skip
    flipped = [case for case in chosen if answer[case.before] != answer[case.after]]
    costly = [case for case in flipped if costs(answer[case.before], answer[case.after])]
    right = [[answer[text] == taxonomy.canonical(case.domain) for text in (case.before, case.after)] for case in chosen]
    before, after = np.asarray(right).mean(axis=0)
    order = sorted(flipped, key=lambda case: (case not in costly, case.id))
    return {
        "n": n, "flip_rate": len(flipped) / n, "interval": list(wilson(len(flipped), n)),
        "accuracy_before": float(before), "accuracy_after": float(after),
        "cost_flip_rate": len(costly) / n, "cost_interval": list(wilson(len(costly), n)),
        "per_language": {lang: row for lang in LANGUAGES if (row := _language(lang, chosen, flipped))["n"]},
        "examples": [
            {"id": case.id, "domain": case.domain, "before": case.before, "after": case.after, "answered_before": answer[case.before], "answered_after": answer[case.after], "other_backend": case in costly}
            for case in order[:SHOWN]
        ],
    }  # fmt: skip


def _language(lang: str, chosen: Sequence[Case], flipped: Sequence[Case]) -> dict[str, Any]:
    n, hits = (sum(case.lang == lang for case in some) for some in (chosen, flipped))
    return {"n": n, "flip_rate": hits / n if n else None, "interval": list(wilson(hits, n))}


def _multi(
    router: Router, multi: Sequence[Multi], encode: Callable[[Sequence[str]], np.ndarray], names: Sequence[str], taxonomy: Taxonomy
) -> dict[str, Any]:
    """Share of prompts with both topics in the top 2 and in the top 3, and recall@3 of the topics."""
    if not multi:
        return {"n": 0, "both_in_top2": None, "interval": None, "both_in_top3": None, "recall_at_3": None, "recall_interval": None, "examples": []}  # fmt: skip
    prompts = [one.prompt for one in multi]
    order = np.argsort(-router.logits(encode(prompts), prompts), axis=1, kind="stable")
    best = [[names[i] for i in row[:3]] for row in order]
    wanted = [{taxonomy.canonical(domain) for domain in one.domains} for one in multi]
    both2 = sum(want <= set(top[:2]) for want, top in zip(wanted, best, strict=True))
    both3 = sum(want <= set(top) for want, top in zip(wanted, best, strict=True))
    found = sum(len(want & set(top)) for want, top in zip(wanted, best, strict=True))
    missed = [(one, top) for one, want, top in zip(multi, wanted, best, strict=True) if not want <= set(top[:2])]
    return {
        "n": len(multi), "both_in_top2": both2 / len(multi), "interval": list(wilson(both2, len(multi))), "both_in_top3": both3 / len(multi),
        "recall_at_3": found / (2 * len(multi)), "recall_interval": list(wilson(found, 2 * len(multi))),
        "examples": [{"id": one.id, "prompt": one.prompt, "domains": list(one.domains), "top3": top} for one, top in missed[:SHOWN]],
    }  # fmt: skip
