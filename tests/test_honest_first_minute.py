"""Nothing a model reads or a user tries first holds the question or the answer of something else.

A description that holds the numbers of a demo makes a small model look able: it copies them. So descriptions of tools,
prompts, examples, documents, the demo and tests of real models are collected here, wherever they stand, and no two of
them may share a question, the answer of one, or a computation.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from agentkit.errors import ToolError
from agentkit.tools import load_tools
from agentkit.tools.calculator import calculate

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("agentkit", "memory", "playbooks", "cli", "examples")
TOOLS = ("calculator", "calculate_answer", "python", "search", "read_file", "http_get")
_QUESTION = re.compile(r"(?:[A-Z][\w’']*)(?: [\w’'*,$%×().:/-]+){2,}\?")
_COMPUTATION = re.compile(r"\d[\d.,]*\s*(?:[-+*/×]|\*\*|times|% of)\s*\d[\d.,]*(?:\s*[-+*/×]\s*\d[\d.,]*)*")

Said = dict[str, set[str]]
"""What is said, and the places where."""


def sources() -> Iterator[tuple[str, str]]:
    """Each place with a text that a model or a newcomer reads there."""
    for name in PACKAGES:
        for path in (ROOT / name).rglob("*.py"):
            yield from ((place(path), text) for text in strings(ast.parse(path.read_text(encoding="utf-8"))))
    for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        yield place(path), path.read_text(encoding="utf-8")
    for path in (ROOT / "tests").rglob("test_*.py"):
        yield from ((place(path), text) for text in of_real_models(ast.parse(path.read_text(encoding="utf-8"))))
    for path in (ROOT / "examples").glob("*.jsonl"):
        for row in rows(path):
            yield place(path), str(row["input"])


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def strings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def of_real_models(tree: ast.Module) -> Iterator[str]:
    """The strings of tests that are marked `model`, by themselves or with their whole module."""
    whole = any(isinstance(node, ast.Assign) and "mark.model" in ast.unparse(node) for node in tree.body)
    for node in tree.body:
        marks = getattr(node, "decorator_list", [])
        if whole or any("mark.model" in ast.unparse(mark) for mark in marks):
            yield from strings(node)


def rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def values(text: str) -> Iterator[str]:
    """What the computations in a text come to."""
    for found in _COMPUTATION.findall(text):
        try:
            yield calculate(found.rstrip(".,").replace("times", "*").replace("% of", "/ 100 *"))
        except ToolError:
            continue


def shared(said: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """What is said in more than one place."""
    places: Said = defaultdict(set)
    for where, what in said:
        places[what.casefold()].add(where)
    return {what: found for what, found in places.items() if len(found) > 1}


def questions() -> Iterator[tuple[str, str]]:
    for where, text in sources():
        yield from ((where, found) for found in _QUESTION.findall(text))


def answers() -> Iterator[tuple[str, str]]:
    """Targets of example tasks, what computations in descriptions, prompts, questions and documents come to, and long
    numbers that tests of real models expect."""
    for path in (ROOT / "examples").glob("*.jsonl"):
        yield from ((place(path), str(row["target"])) for row in rows(path))
    for where, text in sources():
        yield from ((where, value) for value in values(text))
        if where.startswith("tests/"):
            yield from ((where, number) for number in re.findall(r"\d{4,}", text))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, str]]:
    """Questions and answers of the demo under many seeds."""
    monkeypatch.syspath_prepend(ROOT / "examples")
    scenes = [scene for seed in range(200) for scene in importlib.import_module("demo_tasks").draw(seed, tmp_path)]
    return [(scene.task.input, scene.task.target or "") for scene in scenes]


def test_no_question_stands_in_two_places() -> None:
    assert shared(questions()) == {}


def test_no_answer_stands_in_two_places() -> None:
    long = ((where, value) for where, value in answers() if len(value.strip("-0.")) > 1)
    assert shared(long) == {}


def test_the_demo_asks_nothing_that_is_asked_or_answered_elsewhere(drawn: list[tuple[str, str]]) -> None:
    asked = {question.casefold() for _, question in questions()}
    answered = {value for _, value in answers()}
    for question, answer in drawn:
        assert not [other for other in asked if other in question.casefold()]
        assert answer not in answered or len(answer) <= 2


def test_no_description_of_a_tool_holds_a_computation_that_a_model_could_copy(tmp_path: Path) -> None:
    for tool in load_tools(TOOLS, root=tmp_path, allow_hosts=["example.org"]):
        text = json.dumps(tool.args) + tool.description
        texts = [tool.description, *(str(argument.get("description", "")) for argument in tool.args.values())]
        assert list(values(" ".join(texts))) == [], text


def test_the_collector_finds_what_it_looks_for() -> None:
    found = {where for where, _ in questions()}
    assert {"README.md", "examples/tasks.jsonl", "tests/models/test_serving.py", "agentkit/__init__.py"} <= found
    assert ("examples/tasks.jsonl", "13442") in set(answers())
    assert "20352" in {value for where, value in answers() if where == "tests/models/test_serving.py"}
    assert list(values("What is 12*12? And 15 % of 300?")) == ["144", "45"]
