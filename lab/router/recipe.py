"""Training recipes: data, validated when read, kept with what they trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from lab.errors import SettingsError


@dataclass(frozen=True)
class Recipe:
    """How a router is trained. See models/recipes.yaml for the losses and the lexical part (none with weight 0)."""

    name: str
    loss: str
    description: str = ""
    also_weight: float = 1.0
    ce_weight: float = 1.0
    label_smoothing: float = 0.0
    class_weights: bool = False
    learning_rate: float = 1e-3
    schedule: str = "constant"
    weight_decay: float = 0.01
    batch_size: int = 128
    epochs: int = 30
    hidden: int = 256
    dropout: float = 0.1
    mixup_alpha: float = 0.0
    keep: str = "last"
    lexical_weight: float = 0.0
    lexical_cost: float = 0.5
    lexical_fewest_words: int = 1
    lexical_fewest_characters: int = 2
    seed: int = 42

    def __post_init__(self) -> None:
        expected = {"int": (int, "a whole number"), "bool": (bool, "true or false"), "str": (str, "a text")}
        for field in fields(self):
            value, (kind, wanted) = getattr(self, field.name), expected.get(str(field.type), (object, ""))
            if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
                raise SettingsError(f"Recipe {self.name}: {field.name} is {value!r}.", f"Use {wanted}.")
        choices = {"loss": ("bce", "ce", "joint"), "schedule": ("constant", "one-cycle"), "keep": ("last", "best-validation-top1")}
        for key, allowed in choices.items():
            if getattr(self, key) not in allowed:
                raise SettingsError(f"Recipe {self.name}: {key} is {getattr(self, key)!r}.", f"Use one of: {', '.join(allowed)}.")
        bounds = {
            "also_weight": (0, 1), "ce_weight": (0, 1000), "label_smoothing": (0, 0.5), "learning_rate": (1e-7, 1), "weight_decay": (0, 10),
            "batch_size": (1, 65536), "epochs": (1, 10_000), "hidden": (1, 65536), "dropout": (0, 0.95), "mixup_alpha": (0, 10), "seed": (0, 2**32 - 1),
            "lexical_weight": (0, 1000), "lexical_cost": (1e-4, 1000), "lexical_fewest_words": (1, 1000), "lexical_fewest_characters": (1, 1000),
        }  # fmt: skip
        for key, (low, high) in bounds.items():
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise SettingsError(f"Recipe {self.name}: {key} is {value!r}.", f"Use a number from {low:g} to {high:g}.")
        if self.class_weights and self.loss == "bce":
            raise SettingsError(f"Recipe {self.name}: class_weights has no effect with loss bce.", "Use loss ce or joint, or leave it out.")
        if self.ce_weight != 1 and self.loss != "joint":
            raise SettingsError(f"Recipe {self.name}: ce_weight has no effect with loss {self.loss}.", "Use loss joint, or leave it out.")

    def with_changes(self, **changes: Any) -> Recipe:
        """The recipe with the changes that are not None."""
        return replace(self, **{key: value for key, value in changes.items() if value is not None})

    def to_json(self) -> dict[str, Any]:
        """Without the lexical fields where there is no such part, so that recipes of older versions compare equal."""
        return {key: value for key, value in asdict(self).items() if self.lexical_weight or not key.startswith("lexical_")}


def read_recipes(path: Path) -> dict[str, Recipe]:
    import yaml

    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))["recipes"]
    except FileNotFoundError:
        raise SettingsError(f"{path} is missing.", "Restore it.") from None
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise SettingsError(f"{path}: {error}.", "Expected 'recipes: {name: {loss: …}}'.") from None
    if not isinstance(raw, dict):
        raise SettingsError(f"{path}: recipes is {type(raw).__name__}, expected a mapping.", "Expected 'recipes: {name: {loss: …}}'.")
    known = {field.name for field in fields(Recipe)} - {"name"}
    for name, body in raw.items():
        if not isinstance(body, dict) or "loss" not in body:
            raise SettingsError(f"{path}: recipe {name} has no loss.", "Expected 'recipes: {name: {loss: …}}'.")
        unknown = sorted(map(str, set(body) - known))
        if unknown:
            raise SettingsError(f"{path}: recipe {name} has unknown keys {', '.join(unknown)}.", f"Known are: {', '.join(sorted(known))}.")
    return {name: Recipe(name=name, **body) for name, body in raw.items()}
