"""A configuration's decisions and selectors in either layout, checked with line numbers (spec selectors.md §8). Only read: whoever edits a
configuration edits its text, so unknown keys and comments stay."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.errors import InputError
from lab.selector.conventions import Conventions, plain
from lab.selector.decisions.lines import Lines
from lab.selector.decisions.lines import Path as Place
from lab.selector.deployed import ALGORITHMS

STATIC = "static"
OPERATORS = ("AND", "OR", "NOT")


@dataclass(frozen=True)
class Rule:
    """A leaf (``type``, ``name``) or an ``operator`` over ``conditions``. ``categories``: what a domain leaf matches."""

    line: int
    operator: str = ""
    conditions: tuple[Rule, ...] = ()
    type: str = ""
    name: str = ""
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    name: str
    line: int
    priority: float
    tier: float
    rule: Rule | None
    algorithm: str
    pretrained_path: str
    models: tuple[str, ...]


@dataclass(frozen=True)
class Config:
    """``layout`` "flat" or "nested". ``base``: where relative paths start."""

    name: str
    layout: str
    decisions: tuple[Decision, ...]
    strategy: str
    default_model: str
    models_path: str
    pretrained: dict[str, str]
    enabled: bool
    warnings: list[str] = field(default_factory=list)
    base: Path | None = None


def read_config(path: Path, conventions: Conventions) -> Config:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.", "Check the path.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 (byte {error.start}).", "Save it as UTF-8.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check the path and its permissions.") from None
    return parse_config(text, path.name, conventions, path.parent)


def parse_config(text: str, name: str, conventions: Conventions, base: Path | None = None) -> Config:
    """InputError lists every fault found, each with its line."""
    return _Reader(Lines(text, name), conventions, base).config()


class _Reader:
    def __init__(self, lines: Lines, conventions: Conventions, base: Path | None) -> None:
        self.lines, self.conventions, self.base = lines, conventions, base
        self.faults: list[tuple[int, str]] = []
        self.warnings: list[str] = []
        self.own: dict[str, tuple[str, ...]] = {}

    def fault(self, place: Place, what: str) -> None:
        self.faults.append((self.lines.at(place), what))

    def config(self) -> Config:
        raw = self.lines.value
        if not isinstance(raw, dict):
            raise InputError(
                f"{self.lines.name}: expected a mapping, found {type(raw).__name__}.", "Write 'decisions:' with a list under it."
            )
        nested = isinstance(raw.get("routing"), dict) and "decisions" in raw["routing"]
        root: Place = ("routing",) if nested else ()
        above = raw["routing"] if nested else raw
        self._own_categories(raw, above, root)
        ml, ml_place = self._ml(raw, nested)
        decisions = self._decisions(above.get("decisions"), (*root, "decisions"))
        strategy = str(above.get("strategy") or raw.get("strategy") or "priority")
        if strategy not in ("priority", "confidence"):
            self.fault((*root, "strategy"), f"strategy is '{strategy}', expected priority or confidence")
        pretrained = {
            name: str(ml[name]["pretrained_path"])
            for name in ALGORITHMS
            if isinstance(ml.get(name), dict) and ml[name].get("pretrained_path")
        }
        for name in ALGORITHMS:
            if name in ml and not isinstance(ml[name], dict):
                self.fault((*ml_place, name), f"{name} is {type(ml[name]).__name__}, expected a mapping")
        if self.faults:
            raise InputError(
                f"{self.lines.name} cannot be used: " + "; ".join(f"line {line}: {what}" for line, what in sorted(self.faults)) + ".",
                "Mend these lines.",
            )
        default = raw.get("default_model") or above.get("default_model") or self._providers_default(raw)
        return Config(
            self.lines.name, "nested" if nested else "flat", tuple(decisions), strategy, str(default or ""), str(ml.get("models_path") or ""),
            pretrained, bool(ml.get("enabled", True)), self.warnings, self.base,
        )  # fmt: skip

    @staticmethod
    def _providers_default(raw: dict[str, Any]) -> str:
        providers = raw.get("providers")
        defaults = providers.get("defaults") if isinstance(providers, dict) else None
        return str((defaults or {}).get("default_model") or "") if isinstance(defaults, dict | None) else ""

    def _ml(self, raw: dict[str, Any], nested: bool) -> tuple[dict[str, Any], Place]:
        places: list[Place] = [("global", "router", "model_selection", "ml"), ("model_selection", "ml")]
        for place in places if nested else reversed(places):
            value: Any = raw
            for key in place:
                value = value.get(key) if isinstance(value, dict) else None
            if value is not None:
                if isinstance(value, dict):
                    return value, place
                self.fault(place, f"ml is {type(value).__name__}, expected a mapping")
        return {}, ()

    def _own_categories(self, raw: dict[str, Any], above: dict[str, Any], root: Place) -> None:
        """Domains that the configuration defines itself: name → categories."""
        signals = above.get("signals")
        found = [raw.get("categories"), above.get("categories"), signals.get("domains") if isinstance(signals, dict) else None]
        for one in found:
            for entry in one if isinstance(one, list) else []:
                if isinstance(entry, dict) and isinstance(entry.get("name"), str):
                    listed = entry.get("mmlu_categories")
                    names = [entry["name"], *(str(each) for each in listed)] if isinstance(listed, list) else [entry["name"]]
                    self.own[plain(entry["name"])] = tuple(plain(each) for each in names)

    def _decisions(self, value: Any, place: Place) -> list[Decision]:
        if not isinstance(value, list) or not value:
            self.fault(place, "decisions is missing, empty or no list")
            return []
        out: list[Decision] = []
        for number, one in enumerate(value):
            here = (*place, number)
            if not isinstance(one, dict):
                self.fault(here, f"a decision is {type(one).__name__}, expected a mapping")
                continue
            decision = self._decision(one, here)
            if decision.name in {other.name for other in out}:
                self.fault(here, f"there are two decisions '{decision.name}'")
            out.append(decision)
        return out

    def _decision(self, one: dict[str, Any], place: Place) -> Decision:
        name = one.get("name")
        if not isinstance(name, str) or not name:
            self.fault((*place, "name"), "a decision has no name")
        algorithm = one.get("algorithm") or {"type": STATIC}
        kind = algorithm.get("type") if isinstance(algorithm, dict) else None
        if kind not in (*ALGORITHMS, STATIC):
            self.fault((*place, "algorithm", "type"), f"algorithm type is {kind!r}, expected one of {', '.join((*ALGORITHMS, STATIC))}")
        block = algorithm.get(kind) if isinstance(algorithm, dict) else None
        path = str(block.get("pretrained_path") or "") if isinstance(block, dict) else ""
        rules = one.get("rules")
        rule = self._rule(rules, (*place, "rules")) if rules not in (None, {}) else None
        return Decision(
            str(name), self.lines.at(place), self._number(one, "priority", place), self._number(one, "tier", place), rule, str(kind), path,
            self._models(one.get("modelRefs"), (*place, "modelRefs")),
        )  # fmt: skip

    def _number(self, one: dict[str, Any], key: str, place: Place) -> float:
        value = one.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fault((*place, key), f"{key} is {value!r}, expected a number")
            return 0.0
        return float(value)

    def _models(self, value: Any, place: Place) -> tuple[str, ...]:
        if not isinstance(value, list) or not value:
            self.fault(place, "modelRefs is missing, empty or no list")
            return ()
        names = []
        for number, one in enumerate(value):
            name = one.get("model") if isinstance(one, dict) else None
            if not isinstance(name, str) or not name:
                self.fault((*place, number), "a modelRef has no model")
            else:
                names.append(name)
        return tuple(names)

    def _rule(self, value: Any, place: Place) -> Rule:
        line = self.lines.at(place)
        if not isinstance(value, dict):
            self.fault(place, f"a rule is {type(value).__name__}, expected a mapping")
            return Rule(line)
        if "operator" in value or "conditions" in value:
            return self._branch(value, place, line)
        kind, name = value.get("type"), value.get("name")
        if not isinstance(kind, str) or not isinstance(name, str) or not kind or not name:
            self.fault(place, "a rule needs type and name, or operator and conditions")
            return Rule(line)
        if kind != "domain":
            self.warnings.append(f"line {line}: rules of type '{kind}' are not evaluated here; '{name}' counts as unknown")
            return Rule(line, type=kind, name=name)
        own = self.own.get(plain(name))
        if own is None and plain(name) not in self.conventions.known:
            self.fault(
                (*place, "name"),
                f"there is no domain '{name}'. {self.conventions.suggest(name)}".strip().rstrip("?. ")
                + ("?" if self.conventions.suggest(name) else ""),
            )
        return Rule(line, type=kind, name=name, categories=own or (plain(name),))

    def _branch(self, value: dict[str, Any], place: Place, line: int) -> Rule:
        operator, conditions = str(value.get("operator")).upper(), value.get("conditions")
        if operator not in OPERATORS:
            self.fault((*place, "operator"), f"operator is {value.get('operator')!r}, expected AND, OR or NOT")
        if conditions is None:
            conditions = []
        if not isinstance(conditions, list):
            self.fault((*place, "conditions"), "conditions is no list")
            return Rule(line)
        if operator == "NOT" and len(conditions) != 1:
            self.fault(place, f"NOT needs exactly one condition, found {len(conditions)}")
        below = tuple(self._rule(one, (*place, "conditions", number)) for number, one in enumerate(conditions))
        return Rule(line, operator, below)
