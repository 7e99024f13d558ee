"""Our side of docs/coming-from.md runs as it stands there, on scripted models; their side is Python that parses."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import agentkit
from agentkit.testing import ScriptedModel
from tests.curation.papers import reader, write_papers

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "coming-from.md").read_text(encoding="utf-8")
OURS = dict(re.findall(r"<!-- ours: (\w+) -->\n```python\n(.*?)```", PAGE, re.DOTALL))
THEIRS = re.findall(r"<!-- theirs -->\n```python\n(.*?)```", PAGE, re.DOTALL)
Play = Callable[[str, Any], str]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Play:
    """Run one of our snippets on a scripted model in the place of the hosted one; gives what it prints."""

    original = agentkit.Agent

    def run(name: str, replies: Any) -> str:
        model = ScriptedModel(replies)

        def agent(called: str, **options: Any) -> agentkit.Agent:
            assert called == "openai:gpt-5-mini"
            return original(model, **options)

        monkeypatch.setattr(agentkit, "Agent", agent, raising=False)
        monkeypatch.setattr(agentkit, "load_model", lambda called: model, raising=False)
        names: dict[str, Any] = {}
        exec(compile(OURS[name], f"coming-from.md: {name}", "exec"), names)  # noqa: S102 - our own page
        for kept in (names.get("store"), getattr(names.get("kb"), "store", None)):
            if kept is not None:
                kept.close()
        return capsys.readouterr().out

    return run


def test_every_library_has_its_two_sides() -> None:
    assert list(OURS) == ["langgraph", "dspy", "mem0", "ontogpt"]
    assert len(re.findall(r"^## From", PAGE, re.MULTILINE)) == len(OURS) == len(re.findall("<!-- theirs -->", PAGE))
    assert set(re.findall(r"<!-- (\w+)", PAGE)) == {"ours", "theirs"}
    for code in THEIRS:
        ast.parse(code)


def test_langgraph(play: Play) -> None:
    replies = [{"tool": "tax", "arguments": {"price": 250}}, {"answer": "20.0"}]
    assert play("langgraph", replies) == "20.0\n"
    assert play("langgraph", []) == "20.0\n"  # the same run again: nothing is asked


def test_dspy(play: Play) -> None:
    def sort(messages: list[Any], tools: list[str]) -> Any:
        return {"answer": "refund" if "money back" in messages[-1].text else "delivery"}

    assert play("dspy", sort) == "done report.html\ndelivery\n"


def test_mem0(play: Play) -> None:
    assert play("mem0", [{"answer": "Mr Silva"}]) == "above 100: Ms Okafor\n1.0\n"


def test_ontogpt(play: Play) -> None:
    shutil.copy(ROOT / "examples" / "ontologies" / "drug_safety.yaml", "drug_safety.yaml")
    write_papers(Path("papers"), 2)
    count, _, quotes = play("ontogpt", reader()).partition(" ")
    assert (count, sorted(ast.literal_eval(quotes))) == (
        "2",
        ["Famotidine caused delirium in elderly subjects.", "Ranitidine caused headache in elderly subjects."],
    )
