"""Imports point one way: from what is used to what it stands on, never back, never in a circle.

Every import counts: those inside functions and those for types alone too.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Set
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.architecture import PICTURE, picture
from tests.import_graph import HEIGHT, MODULES, ROOT, drawn, imports

KINDS_OF_MODELS = ("models.litellm", "models.openai", "models.llamacpp", "models.transformers")
APART = {part: KINDS_OF_MODELS for part in ("memory", "playbooks", "curation", "graph", "evolution")}
"""What knows models, but no particular kind of model."""


def circle(graph: Mapping[str, Set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_part_has_its_layer() -> None:
    assert {name.split(".")[0] for name in MODULES} <= set(HEIGHT)


@pytest.mark.parametrize("part", HEIGHT)
def test_no_arrow_points_back_or_sideways(part: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {target}"
        for name, path in MODULES.items()
        if name.split(".")[0] == part
        for target, line in imports(path)
        if (other := target.split(".")[0]) != part and HEIGHT.get(other, -1) >= HEIGHT[part]
    ]
    assert wrong == []


@pytest.mark.parametrize("depth", [1, 2, 9], ids=["parts", "rooms", "modules"])
def test_imports_make_no_circle(depth: int) -> None:
    assert circle(drawn(depth)) == []


def test_the_picture_of_the_architecture_shows_the_imports_as_they_are() -> None:
    current = PICTURE.read_text(encoding="utf-8") == picture()
    assert current, "docs/architecture.svg is out of date: run  python -m tests.architecture"


def test_a_circle_would_be_seen() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})


@pytest.mark.parametrize("part", APART)
def test_no_part_knows_a_particular_kind_of_model(part: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {target}"
        for name, path in MODULES.items()
        if name.split(".")[0] == part
        for target, line in imports(path)
        if target.startswith(APART[part])
    ]
    assert wrong == []


def test_a_checkout_s_folders_are_imported_below_agentkit_only() -> None:
    wrong = []
    for path in MODULES.values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("memory", "playbooks", "cli"):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert wrong == []


def test_tests_import_nothing_from_benchmarks_but_the_tests_of_benchmarks() -> None:
    """What both need stands in tests/support."""
    of_benchmarks = ROOT / "tests" / "benchmarks"
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if of_benchmarks not in path.parents
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if any(name.split(".")[0] == "benchmarks" for name in named(node))
    ]
    assert wrong == []


def named(node: ast.AST) -> list[str]:
    """The modules that an import names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
