"""The import graph of the four packages, read from their source: its parts, their layers, and every arrow."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "faults", "interrupts", "json_types", "aio", "whole"),
    ("statistics", "telemetry"),
    ("plugins",),
    ("text", "tls", "answer_type", "conversation", "notebook", "pictures", "words", "registry"),
    ("files",),
    ("tasks", "redaction", "trusted_files", "tools"),
    ("protocols", "settings"),
    ("roles", "store"),
    ("checkers", "embedding", "ledger"),
    ("models", "opinions"),
    ("adapters", "confidence"),
    ("graph", "memory", "playbooks", "result", "testing"),
    ("curation", "routing"),
    ("changes", "feedback"),
    ("agent",),
    ("evaluation", "evolution", "server"),
    ("calibrating", "training", "distributed"),
    ("view",),
    ("cli",),
    ("__main__",),
)
"""From the ground up; a part may import those below it, and none beside it. `agentkit/__init__.py` imports lazily."""

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
