"""Each package's public names are curated, sorted, there, and documented."""

from __future__ import annotations

import ast
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

PACKAGES = (
    "agentkit",
    "agentkit.checkers",
    "agentkit.curation",
    "agentkit.evolution",
    "agentkit.memory",
    "agentkit.models",
    "agentkit.playbooks",
    "agentkit.server",
    "agentkit.tools",
    "agentkit.view",
)


@pytest.fixture(params=PACKAGES)
def package(request: pytest.FixtureRequest) -> Any:
    return import_module(request.param)


def test_all_is_sorted_and_without_doubles(package: Any) -> None:
    names = list(package.__all__)
    assert names == sorted(set(names), key=lambda name: (not name.isupper(), name[0].islower(), name))


def test_every_public_name_can_be_imported(package: Any) -> None:
    missing = [name for name in package.__all__ if not hasattr(package, name)]
    assert missing == []


def test_every_public_class_and_function_is_documented(package: Any) -> None:
    found = {name: getattr(package, name) for name in package.__all__}
    bare = [name for name, value in found.items() if callable(value) and not (value.__doc__ or "").strip()]
    assert bare == []


def test_nothing_else_of_agentkit_looks_public() -> None:
    """`dir(agentkit)` lists the curated names, and an unknown one is an AttributeError."""
    import agentkit

    assert dir(agentkit) == sorted(agentkit.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nosuch'"):
        _ = agentkit.nosuch


ROOT = Path(__file__).resolve().parent.parent


def test_no_public_class_shares_its_name_with_another() -> None:
    places = defaultdict(list)
    for folder in ("agentkit", "memory", "playbooks", "cli"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


@pytest.mark.parametrize(
    ("package", "earlier", "now"),
    [
        ("agentkit.curation", "Options", "CurationOptions"),
        ("agentkit.curation", "Plan", "CurationPlan"),
        ("agentkit.curation.feedback", "reviewed", "reviewed"),
        ("agentkit.evolution", "evolve_agent", "aevolve"),
    ],
)
def test_earlier_names_that_the_documents_showed_still_work(package: str, earlier: str, now: str) -> None:
    home = import_module("agentkit.curation.kb.episodes" if package.endswith("feedback") else package)
    assert getattr(import_module(package), earlier) is getattr(home, now)
