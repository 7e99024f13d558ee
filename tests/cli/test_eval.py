"""`agentkit eval`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentkit import Task
from agentkit.errors import ModelError
from agentkit.testing import ScriptedModel
from tests.cli.scripted import ACCEPT, ANSWER, SUM

ROW = {"id": "product", "input": "What is 1234*5678?", "target": "7006652", "checker": "numeric"}


@pytest.fixture
def tasks(recording: Callable[..., str]) -> tuple[str, str]:
    """A file of one task, and the model that solves it."""
    Path("tasks.jsonl").write_text(json.dumps(ROW) + "\n", encoding="utf-8")
    return "tasks.jsonl", recording(Task.model_validate(ROW), [SUM, ANSWER, ACCEPT])


def test_eval_as_json_has_every_figure(agentkit: Callable[..., Any], tasks: tuple[str, str]) -> None:
    file, model = tasks
    done = agentkit("eval", file, "--model", model, "--json")
    report = json.loads(done.out)
    assert (report["n"], report["accuracy"], report["failed"]) == (1, 1.0, 0)
    assert report["ci95"] == pytest.approx([0.2065, 1.0], abs=1e-4)
    assert {"tokens", "cached_tokens", "seconds", "cost", "calls", "model", "batch", "results"} <= set(report)


def test_eval_again_takes_finished_runs_from_the_store(agentkit: Callable[..., Any], tasks: tuple[str, str]) -> None:
    file, model = tasks
    ids = [
        [row["run_id"] for row in json.loads(agentkit("eval", file, "--model", model, "--json").out)["results"]]
        for _ in range(2)
    ]
    assert ids[0] == ids[1]
    assert len(json.loads(agentkit("runs", "ls", "--json").out)) == 1


def test_eval_for_people_ends_with_the_accuracy(agentkit: Callable[..., Any], tasks: tuple[str, str]) -> None:
    file, model = tasks
    done = agentkit("eval", file, "--model", model, "--name", "mine")
    assert "accuracy 1.000 [0.207, 1.000], n 1" in done.out
    assert json.loads(agentkit("runs", "ls", "--batch", "mine", "--json").out)[0]["answer"] == "7006652"


def test_eval_of_which_every_task_failed_reports_them_and_fails(
    agentkit: Callable[..., Any], tasks: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(messages: list[Any], tools: list[str]) -> Any:
        raise ModelError("nobody is there")

    monkeypatch.setattr("agentkit.agent.building.load_model", lambda name, **_: ScriptedModel(silent))
    done = agentkit("eval", tasks[0], "--model", "test/silent", "--json")
    assert done.code == 2
    assert json.loads(done.out)["failed"] == 1
    assert "error: every task failed, the last with: nobody is there" in done.err
