"""Imports point one way: from what is used to what it stands on, never back, never in a circle.

Every import counts: those inside functions and those for types alone too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Set
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "faults", "interrupts", "aio", "statistics", "telemetry"),
    ("text", "tls", "answer_type", "pictures"),
    ("tasks", "redaction", "trusted_files", "tools"),
    ("protocols", "settings"),
    ("roles", "store"),
    ("checkers", "embedding", "ledger"),
    ("models", "opinions"),
    ("confidence", "curation", "graph", "memory", "playbooks", "result", "testing"),
    ("changes", "feedback"),
    ("agent",),
    ("evaluation", "evolution"),
    ("cli",),
    ("__main__",),
)
"""From the ground up; a part may import those below it, and none beside it. `agentkit/__init__.py` imports lazily."""

KINDS_OF_MODELS = ("models.litellm", "models.openai", "models.llamacpp", "models.transformers")
APART = {part: KINDS_OF_MODELS for part in ("memory", "playbooks", "curation", "graph", "evolution")}
"""What knows models, but no particular kind of model."""

HEIGHT = {part: height for height, parts in enumerate(LAYERS) for part in parts}


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the four packages as `part.sub…` below agentkit, with its file."""
    for folder, prefix in ((ROOT / "agentkit", ""), *((ROOT / name, name) for name in ("memory", "playbooks", "cli"))):
        for path in sorted(folder.rglob("*.py")):
            parts = [*filter(None, [prefix]), *path.relative_to(folder).with_suffix("").parts]
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            if name:
                yield name, path


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """What a module imports of agentkit, wherever in it, and on which line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith("agentkit."):
                yield name.removeprefix("agentkit."), node.lineno


MODULES = dict(modules())


def module_of(target: str) -> str | None:
    """The module that an imported name lies in."""
    while target and target not in MODULES:
        target = target.rpartition(".")[0]
    return target or None


def drawn(depth: int) -> dict[str, set[str]]:
    """The import graph between parts (depth 1), rooms (2), or single modules (any larger depth)."""
    graph: dict[str, set[str]] = {}
    for name, path in MODULES.items():
        own = ".".join(name.split(".")[:depth])
        found = {".".join(module.split(".")[:depth]) for target, _ in imports(path) if (module := module_of(target))}
        graph.setdefault(own, set()).update(found - {own})
    return graph


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
