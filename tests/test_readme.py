"""The README's example runs as it stands there; every command and link that documents name is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import agentkit
from agentkit.cli.main import COMMANDS
from agentkit.testing import ScriptedModel

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def example(number: int = 0) -> str:
    return re.findall(r"```python\n(.*?)```", README, re.DOTALL)[number]


def test_the_example_is_ten_lines_or_less() -> None:
    assert len([line for line in example().splitlines() if line.strip()]) <= 10


def test_the_example_runs_on_a_scripted_model(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replies = [
        {"tool": "calculator", "arguments": {"expression": "12*49.5"}},
        {"tool": "vat", "arguments": {"price": 594}},
        {"reasoning": "12 chairs cost 594, with tax 706.86", "answer": "706.86"},
    ]
    run_example(0, replies, monkeypatch)
    assert capsys.readouterr().out == "done 706.86 3 model calls\n"


def test_the_example_of_a_typed_answer_runs_on_a_scripted_model(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_example(1, [{"answer": "delivery"}], monkeypatch)
    assert capsys.readouterr().out == "delivery\n"


def run_example(number: int, replies: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def scripted(name: str, **options: Any) -> agentkit.Agent:
        assert name == "local/qwen2.5-coder-1.5b"
        return original(ScriptedModel(replies), **options)

    original = agentkit.Agent
    monkeypatch.setattr(agentkit, "Agent", scripted, raising=False)
    exec(compile(example(number), "README.md", "exec"), {})  # noqa: S102 - our own README


@pytest.mark.model
@pytest.mark.timeout(900)  # the 1.5b model, on whatever machine this is
def test_the_example_runs_on_the_real_model(capsys: pytest.CaptureFixture[str]) -> None:
    from agentkit.models.catalog import find

    if not find("qwen2.5-coder-1.5b").present:
        pytest.skip("qwen2.5-coder-1.5b is not downloaded: agentkit models pull qwen2.5-coder-1.5b")
    exec(compile(example(), "README.md", "exec"), {})  # noqa: S102 - our own README
    assert "model calls" in capsys.readouterr().out


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8"))
    missing = [link for link in links if not (path.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_that_documents_name_are_there(path: Path) -> None:
    named = re.findall(r"(?:^|`)agentkit ([a-z]+)\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name in named if name not in COMMANDS] == []
