"""Imports point one way: from what is used to what it stands on, never back."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "settings", "trusted_files", "tasks", "protocols", "telemetry", "faults", "aio", "text", "statistics"),
    ("store",),
    ("ledger", "opinions"),
    ("models", "tools"),
    ("testing",),
    ("roles", "checkers"),
    ("curation", "memory", "playbooks"),
    ("graph",),
    ("agent", "result", "evaluation", "evolution", "feedback"),
    ("cli", "__main__"),
)
"""From the ground up; a part may import its own layer and those below. `agentkit/__init__.py` imports lazily."""

APART = {
    "memory": ("playbooks", "curation", "models.litellm", "models.openai", "models.llamacpp", "models.transformers"),
    "playbooks": ("memory", "curation", "models.litellm", "models.openai", "models.llamacpp", "models.transformers"),
    "curation": ("memory", "playbooks"),
}
"""Neighbours in one layer that do not know each other, nor any particular kind of model."""

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
    """What a module imports of agentkit while it runs, and on which line; imports for types alone are left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in _running(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith("agentkit."):
                yield name.removeprefix("agentkit."), node.lineno


def _running(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _running(child)


MODULES = dict(modules())


def test_every_part_has_its_layer() -> None:
    assert {name.split(".")[0] for name in MODULES} <= set(HEIGHT)


@pytest.mark.parametrize("part", HEIGHT)
def test_no_arrow_points_back(part: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {target}"
        for name, path in MODULES.items()
        if name.split(".")[0] == part
        for target, line in imports(path)
        if target.split(".")[0] in HEIGHT and HEIGHT[target.split(".")[0]] > HEIGHT[part]
    ]
    assert wrong == []


@pytest.mark.parametrize("part", APART)
def test_neighbours_that_should_not_know_each_other_do_not(part: str) -> None:
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
