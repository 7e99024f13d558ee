"""`make learn`: its company, its proof, and the whole of it with a model that copies what it is shown."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from agentkit import Agent
from agentkit.errors import ModelFileError
from agentkit.testing import ScriptedModel
from agentkit.tools.database import open_database

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def learn(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with a model that knows nothing but the turns before the question."""
    monkeypatch.syspath_prepend(ROOT / "examples")
    monkeypatch.setenv("AGENTKIT_EMBEDDER", "hash-256")
    for name in ("learn", "learn_company", "demo", "demo_tasks"):
        sys.modules.pop(name, None)
    module = importlib.import_module("learn")
    monkeypatch.setattr(module, "pull", lambda name: None)
    monkeypatch.setattr(module, "Agent", lambda name, **options: Agent(ScriptedModel(copier()), **options))
    return module


def copier() -> Any:
    """Takes over a solved question of the same kind, with the words of this one."""
    house = importlib.import_module("learn_company")
    words = {**house.AREAS, **house.LINES, **house.TEAMS}

    def reply(messages: Sequence[Any], tools: Sequence[str]) -> str:
        asked = messages[-1].text.split()
        for question, answer in zip(messages[1:-1:2], messages[2:-1:2], strict=True):
            pairs = list(zip(question.text.split(), asked, strict=False))
            apart = [(old, new) for old, new in pairs if old != new]
            if len(question.text.split()) == len(asked) and len(apart) < 2:
                old, new = (word.removesuffix("'s") for word in (apart or [("", "")])[0])
                return str(answer.text).replace(f"'{words.get(old, old)}", f"'{words.get(new, new)}")
        return "SELECT 0"

    return reply


def test_the_company_is_the_same_each_time_and_every_question_has_an_answer(learn: ModuleType, tmp_path: Path) -> None:
    first, again = (learn.make_database(tmp_path / name) for name in ("a.db", "b.db"))
    asked = learn.questions(first)
    one, other = open_database(first), open_database(again)
    for task in asked:
        found = one.query(str(task.target)).rows
        assert found and found[0][0] not in (None, 0), task.input
        assert found == other.query(str(task.target)).rows
    assert 180 <= len(asked) <= 220 and len({task.input for task in asked}) == len(asked)
    assert [task.id for task in asked] == [task.id for task in learn.questions(again)]
    assert [task.id for task in asked] != [task.id for task in learn.questions(again, seed=8)]


def test_an_agent_that_is_corrected_gets_better_and_the_end_says_how_to_do_it_with_ones_own(
    learn: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    code = learn.main(["--tasks", "60", "--kept", "20"])
    said = capsys.readouterr()
    assert code in (0, 1) and "questions   1–15" in said.err
    assert "what it chooses" in said.out and "--answer" in said.out.splitlines()[-2]
    assert "--database" in said.out


def test_experience_is_worth_something_only_beyond_chance(
    learn: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ways = ("no experience", "four solved at random", "what it chooses")
    for last, code in (([1.0] * 9 + [0.0], 0), ([0.0] * 9 + [1.0], 1)):
        scores = ([0.0] * 10, [0.0] * 9 + [1.0], last)
        monkeypatch.setattr(learn, "play", lambda folder, found=scores, **options: dict(zip(ways, found, strict=True)))
        assert learn.main([]) == code
    assert "+0.90" in capsys.readouterr().out


def test_the_demo_ends_with_an_excerpt_of_it(learn: ModuleType, tmp_path: Path, capsys: Any) -> None:
    importlib.import_module("demo").get_better(3, tmp_path)
    said = capsys.readouterr().err
    assert said.count("✓") + said.count("✗") == 24 and said.count("✓") > 0 and "questions  19–24" in said


def test_the_curve_tells_each_part_of_the_way(learn: ModuleType) -> None:
    lines = [*learn.curve([0, 0, 0, 1, 1, 1, 1, 1])]
    assert [line.split()[-1] for line in lines] == ["0%", "50%", "100%", "100%"]


def test_what_fails_is_one_line(learn: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def missing(*given: Any, **options: Any) -> None:
        raise ModelFileError("the model is not downloaded")

    monkeypatch.setattr(learn, "play", missing)
    assert learn.main([]) == 2
    assert "error: the model is not downloaded" in capsys.readouterr().err
