"""The command line run in this process, and recordings for it to replay."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent
from agentkit.cli.main import main
from agentkit.testing import RecordedModel, ScriptedModel


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def agentkit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Run `agentkit ARGS` in this process."""
    monkeypatch.setenv("COLUMNS", "160")

    def run(*args: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["agentkit", *args])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return Done(int(ended.value.code or 0), shown.out, shown.err)

    return run


@pytest.fixture
def recording(tmp_path: Path) -> Callable[..., str]:
    """Record scripted runs of tasks; returns the model name that replays them."""

    def record(tasks: Any, replies: Any, **options: Any) -> str:
        path = tmp_path / "recording.jsonl"
        model = RecordedModel(path, ScriptedModel(replies))
        with Agent(model, store=str(tmp_path / "recording.db"), **options) as agent:
            for task in tasks if isinstance(tasks, list) else [tasks]:
                agent.run(task)
        return f"replay/{path}"

    return record
