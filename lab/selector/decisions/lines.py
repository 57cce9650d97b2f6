"""YAML with the line of every key, read without building anything but plain values."""

from __future__ import annotations

from typing import Any

import yaml

from lab.errors import InputError

Path = tuple[str | int, ...]


class Lines:
    """``value`` is the document; :meth:`at` gives the line of a place in it."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            self.value: Any = yaml.safe_load(text)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
            raise InputError(f"{name} is not YAML: {error.problem or error.context}{where}.", "Mend the file.") from None
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise InputError(f"{name} is not YAML: {str(error).splitlines()[0][:200]}.", "Mend the file.") from None
        self._lines: dict[Path, int] = {}
        if node is not None:
            self._walk(node, ())

    def _walk(self, node: yaml.Node, path: Path) -> None:
        if path in self._lines:  # an alias: the place where it is used was noted already
            return
        self._lines[path] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            keys: set[str] = set()
            for key, value in node.value:
                name = str(key.value)
                if name in keys and name != "<<":
                    raise InputError(f"{self.name}, line {key.start_mark.line + 1}: the key {name} stands twice.", "Keep one of them.")
                keys.add(name)
                self._walk(value, (*path, name))
                self._lines[(*path, name)] = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode):
            for place, value in enumerate(node.value):
                self._walk(value, (*path, place))

    def at(self, path: Path) -> int:
        """The line of ``path``, or of the nearest thing above it."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)
