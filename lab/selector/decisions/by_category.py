"""A table of one model per category as decisions of the router: what to deploy where reading the query does no better."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from lab.errors import InputError
from lab.selector.conventions import Conventions, plain


def decisions_by_category(table: Mapping[str, str], default: str, conventions: Conventions) -> str:
    """YAML in the flat layout: a static decision per model with the categories it serves; every other query goes to ``default``.

    ``table``: category → model. Categories that the router does not know are left to ``default``. InputError if none is left to say.
    """
    served: dict[str, list[str]] = {}
    for category, model in sorted(table.items()):
        if plain(category) in conventions.known and model != default:
            served.setdefault(model, []).append(plain(category))
    if not served:
        raise InputError(f"Every category goes to {default}; there is nothing to decide.", "Use that model for all queries.")
    decisions = [
        {
            "name": f"categories of {model}", "description": f"The best model, on the training outcomes, for: {', '.join(categories)}", "priority": 100,
            "rules": {"operator": "OR", "conditions": [{"type": "domain", "name": one} for one in categories]},
            "algorithm": {"type": "static"}, "modelRefs": [{"model": model}],
        }
        for model, categories in served.items()
    ]  # fmt: skip
    return yaml.safe_dump({"default_model": default, "decisions": decisions}, sort_keys=False, allow_unicode=True)
