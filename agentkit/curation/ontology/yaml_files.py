"""YAML written by people: no duplicate keys, and no aliases that blow up the file or refer to themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from agentkit.errors import DataError
from agentkit.json_types import JsonObject
from agentkit.text import read_text


def read_yaml(path: Path) -> JsonObject:
    """Read a YAML mapping without duplicate keys. Raises DataError with the line."""
    text = read_text(path)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is not None:
            _check_aliases(node, path)
        twice = next(_duplicates(node), None) if node is not None else None
        if twice is not None:
            raise DataError(f"{twice.value!r} is defined twice", path=path, line=twice.start_mark.line + 1)
        data = yaml.safe_load(text)
    except RecursionError:
        raise DataError("not valid YAML: nested too deeply", path=path) from None
    except ValueError as error:  # a number with thousands of digits, an impossible date
        raise DataError(f"not valid YAML: {error}", path=path) from None
    except yaml.MarkedYAMLError as error:
        line = None if error.problem_mark is None else error.problem_mark.line + 1
        raise DataError(f"not valid YAML: {error.problem}", path=path, line=line) from None
    except yaml.YAMLError as error:
        raise DataError(f"not valid YAML: {str(error).splitlines()[0]}", path=path) from None
    if not isinstance(data, dict):
        raise DataError("expected a YAML mapping", path=path)
    return data


_LARGEST = 200_000
"""The most values that a file may have once its aliases are expanded."""


def _duplicates(root: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """Keys that occur twice in their mapping; each node is visited once, however many aliases lead to it."""
    seen: set[int] = set()
    queue = [root]
    for node in queue:
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys: set[str] = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode):
                    if key.value in keys:
                        yield key
                    keys.add(key.value)
        queue += _inside(node)


def _inside(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _check_aliases(root: yaml.Node, path: Path) -> None:
    """Raise DataError if an alias refers to itself, or if expanding aliases makes the file too large."""
    sizes: dict[int, int] = {}
    open_: set[int] = set()
    stack = [(root, False)]
    while stack:
        node, done = stack.pop()
        if done:
            open_.discard(id(node))
            sizes[id(node)] = 1 + sum(sizes[id(part)] for part in _inside(node))
            if sizes[id(node)] > _LARGEST:
                raise DataError(f"its aliases (*name) stand for more than {_LARGEST:,} values", path=path)
        elif id(node) in open_:
            line = node.start_mark.line + 1
            raise DataError("an alias (*name) occurs inside what it names", path=path, line=line)
        elif id(node) not in sizes:
            open_.add(id(node))
            stack += [(node, True), *((part, False) for part in _inside(node))]
