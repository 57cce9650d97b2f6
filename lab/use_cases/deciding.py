"""From a matched decision to its model: which trained selector answers, and what is done without one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import LabError
from lab.selector.decisions.config import STATIC, Config, Decision
from lab.selector.decisions.engine import Choice
from lab.selector.write_file import FILES

if TYPE_CHECKING:
    from lab.use_cases.selecting import Category, Selecting


def model_of(bench: Selecting, config: Config, choice: Choice, text: str, category: Category) -> dict[str, Any]:
    """model, algorithm, selector, reason, candidates, scores, warnings."""
    decision = choice.decision
    out: dict[str, Any] = {"algorithm": None, "selector": None, "candidates": [], "scores": {}, "warnings": list(config.warnings)}
    if decision is None:
        why = f"{choice.reason}; the default model serves" if config.default_model else f"{choice.reason}, and there is no default_model"
        return out | {"model": config.default_model or None, "reason": why}
    out |= {"algorithm": decision.algorithm, "candidates": list(decision.models)}
    first = decision.models[0]
    if decision.algorithm == STATIC:
        return out | {"model": first, "reason": f"{decision.name} is static: its first model"}
    if not config.enabled:
        return out | {"model": first, "reason": "model_selection.ml is not enabled: the first model, as in the router"}
    found, why = _selector(bench, config, decision)
    if not found:
        return out | {"model": first, "reason": f"{why}; the first model is taken, as the router does"}
    from lab.selector.pick import pick

    one, key = bench.selector(found)
    made = pick(one, key, bench._query(one, text, category), decision.models)
    warnings = out["warnings"] + ([f"{made.selector} does not know {', '.join(made.unknown)}"] if made.unknown else [])
    return out | {
        "model": made.model,
        "selector": made.selector,
        "reason": f"{made.reason} ({why})",
        "scores": made.scores,
        "warnings": warnings,
    }


def _selector(bench: Selecting, config: Config, decision: Decision) -> tuple[str, str]:
    """A reference that the workbench opens, and where it comes from; ("", why not) without one."""
    named = decision.pretrained_path or config.pretrained.get(decision.algorithm, "")
    places = [named] if named else [str(Path(config.models_path) / FILES[decision.algorithm])] if config.models_path else []
    tried = []
    for place in places:
        path = Path(place).expanduser()
        path = path if path.is_absolute() or config.base is None else config.base / path
        if config.base is not None and path.is_file():  # pasted text opens no file of the server
            return str(path), f"trained file {place}"
        tried.append(place)
    for name in bench.selector_names():
        try:
            one = bench.selector_set(name)
        except LabError:
            continue  # a broken folder of somebody else's is no reason not to decide
        if decision.algorithm in one.keys and any(model in one.models for model in decision.models):
            missing = f"; {', '.join(tried)} is not there" if tried else ""
            return f"{name}/{decision.algorithm}", f"installed selector{missing}"
    missing = f"{', '.join(tried)} is not there and " if tried else ""
    return "", f"{missing}no installed {decision.algorithm} selector knows {', '.join(decision.models)}"
