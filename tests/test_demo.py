"""The demo: its tasks are drawn from a seed, and its table keeps its columns whatever happens."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from agentkit import Agent
from agentkit.errors import ModelError, SandboxUnavailable
from agentkit.testing import ScriptedModel

ROOT = Path(__file__).resolve().parent.parent
ACCEPT = {"reason": "it follows", "verdict": "accept", "confidence": 0.9}


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with a model that knows the answers and gets `mean` and its like wrong at first."""
    monkeypatch.syspath_prepend(ROOT / "examples")
    for name in ("demo", "demo_tasks"):
        sys.modules.pop(name, None)
    module = importlib.import_module("demo")
    monkeypatch.setattr(module, "pull", lambda: None)
    monkeypatch.setattr(module, "get_better", lambda seed, folder: None)
    monkeypatch.setattr(module, "Agent", scripted(module))
    return module


def scripted(module: ModuleType) -> Any:
    scenes: list[Any] = []
    draw = module.draw

    def remember(seed: int, folder: Path) -> list[Any]:
        scenes.extend(draw(seed, folder))
        return list(scenes)

    module.draw = remember

    def build(name: str, **options: Any) -> Agent:
        scene = scenes.pop(0)
        return Agent(ScriptedModel(replies(scene)), **options)

    return build


def replies(scene: Any) -> list[Any]:
    if scene.name == "repair":
        name = re.search(r"`(\w+)\(", scene.task.input)[1]
        wrong = f"def {name}(numbers): return sum(numbers) / len(numbers)"
        return [{"reasoning": "easy", "answer": wrong}, {"reasoning": "repaired", "answer": solution(name, scene)}]
    return [{"reasoning": "known", "answer": scene.task.target}, ACCEPT]


def solution(name: str, scene: Any) -> str:
    bodies = {
        "mean": "sum(numbers) / len(numbers)",
        "spread": "max(numbers) - min(numbers)",
        "midpoint": "(min(numbers) + max(numbers)) / 2",
    }
    empty = re.search(r"must return (\S+)'$", scene.task.checker["code"])[1]
    return f"def {name}(numbers):\n    return {bodies[name]} if numbers else {empty}"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_demo_solves_its_tasks_and_says_which_seed_repeats_them(
    demo: ModuleType, capsys: pytest.CaptureFixture[str], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert demo.main(["--seed", str(seed)]) == 0
    said = capsys.readouterr()
    assert len(re.findall(r"│ right ", said.out)) == 3
    assert "left out" not in said.out and re.search(r"repair +│ right .*│ 1 ", said.out)


def test_the_same_seed_draws_the_same_tasks_and_another_draws_others(demo: ModuleType, tmp_path: Path) -> None:
    tasks = importlib.import_module("demo_tasks")

    def drawn(seed: int) -> tuple[list[str], str]:
        return [scene.task.input for scene in tasks.draw(seed, tmp_path)], (tmp_path / "loans.md").read_text()

    assert drawn(5) == drawn(5)
    assert len({str(drawn(seed)) for seed in range(40)}) == 40


def test_a_scene_that_fails_keeps_the_columns_of_the_summary(
    demo: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(name: str, **options: Any) -> Agent:
        return Agent(ScriptedModel([ModelError("the model is gone")]), **options)

    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(demo, "Agent", broken)
    assert demo.main(["--seed", "1"]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if "│" in line]
    assert {line.count("│") for line in lines} == {8}
    failed = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "failed" in line]
    assert [row[0] for row in failed] == ["arithmetic", "folder", "repair"]
    assert all(row[2:5] == ["–", "–", "–"] and row[5].endswith(" s") for row in failed)


def test_where_nothing_isolates_code_the_demo_says_what_it_left_out_and_why(
    demo: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentkit.tools.sandbox.candidates", lambda: iter(()))
    assert demo.main(["--seed", "1"]) == 0
    said = capsys.readouterr().out
    (line,) = [line for line in said.splitlines() if line.startswith("left out:")]
    with pytest.raises(SandboxUnavailable) as error:
        importlib.import_module("agentkit.tools.sandbox").choose()
    assert line == f"left out: repair: {error.value}"
