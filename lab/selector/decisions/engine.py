"""Which decision matches a query (spec selectors.md §8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.selector.decisions.config import Config, Decision, Rule


@dataclass(frozen=True)
class Verdict:
    """Of one rule: ``matched`` None where it cannot be told here. ``confidence`` in [0, 1]."""

    rule: Rule | None
    matched: bool | None
    confidence: float
    below: tuple[Verdict, ...] = ()

    def to_json(self) -> dict[str, Any]:
        rule = self.rule
        what: dict[str, Any] = (
            {} if rule is None else {"operator": rule.operator} if rule.operator else {"type": rule.type, "name": rule.name}
        )
        out = what | {"line": rule.line if rule else None, "matched": self.matched, "confidence": self.confidence}
        return out | ({"conditions": [one.to_json() for one in self.below]} if rule is not None and rule.operator else {})


@dataclass(frozen=True)
class Choice:
    """``decision`` None: none matched, the default model serves. ``tried``: every decision with its tree, in the file's order."""

    decision: Decision | None
    confidence: float
    tried: tuple[tuple[Decision, Verdict], ...]
    order: tuple[str, ...]
    reason: str

    def to_json(self) -> dict[str, Any]:
        return {
            "decision": self.decision.name if self.decision else None, "confidence": self.confidence, "matched": list(self.order), "rule_reason": self.reason,
            "decisions": [
                {"name": one.name, "line": one.line, "priority": one.priority, "tier": one.tier, "matched": bool(found.matched),
                 "confidence": found.confidence, "tree": found.to_json()}
                for one, found in self.tried
            ],
        }  # fmt: skip


def judge_rule(rule: Rule | None, category: str, confidence: float) -> Verdict:
    """AND: all match, mean confidence; OR: the best child that matches; NOT: 1.0 if its child does not. Empty AND or no rule matches with 0,
    an empty OR does not. A leaf that cannot be evaluated here is unknown; so is what hangs on it."""
    if rule is None:
        return Verdict(None, True, 0.0)
    if not rule.operator:
        if rule.type != "domain":
            return Verdict(rule, None, 0.0)
        matched = category in rule.categories
        return Verdict(rule, matched, confidence if matched else 0.0)
    below = tuple(judge_rule(one, category, confidence) for one in rule.conditions)
    states = [one.matched for one in below]
    if rule.operator == "NOT":
        state = None if states[0] is None else not states[0]
        return Verdict(rule, state, 1.0 if state else 0.0, below)
    if rule.operator == "OR":
        best = max((one.confidence for one in below if one.matched), default=0.0)
        state = True if True in states else None if None in states else False
        return Verdict(rule, state, best if state else 0.0, below)
    state = False if False in states else None if None in states else True
    mean = sum(one.confidence for one in below) / len(below) if below else 0.0
    return Verdict(rule, state, mean if state else 0.0, below)


def choose(config: Config, category: str, probability: float | None) -> Choice:
    """``probability`` of the detected category is a domain leaf's confidence; 1.0 if it was given by hand."""
    confidence = 1.0 if probability is None else float(probability)
    tried = tuple((one, judge_rule(one.rule, category, confidence)) for one in config.decisions)
    matching = [(one, found) for one, found in tried if found.matched]
    if not matching:
        return Choice(None, 0.0, tried, (), f"no decision matches the category '{category}'")
    tiered = any(one.tier > 0 for one, _ in matching)

    def rank(pair: tuple[Decision, Verdict]) -> tuple:
        one, found = pair
        keys = (-one.priority, -found.confidence) if config.strategy == "priority" else (-found.confidence, -one.priority)
        return ((one.tier,) if tiered else ()) + keys + (one.name,)

    matching.sort(key=rank)
    won, found = matching[0]
    by = "tier, then " if tiered else ""
    by += "priority, confidence, name" if config.strategy == "priority" else "confidence, priority, name"
    reason = f"{len(matching)} of {len(tried)} decisions match the category '{category}'; '{won.name}' comes first by {by}"
    return Choice(won, found.confidence, tried, tuple(one.name for one, _ in matching), reason)
