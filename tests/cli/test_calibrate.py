"""`agentkit calibrate`, and the options that decline."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentkit import Task
from agentkit.cli.risk import show_risk
from agentkit.confidence import risk_coverage


def test_too_few_tasks_are_one_line_that_says_how_many_are_needed(
    agentkit: Callable[..., Any], recording: Callable[..., str]
) -> None:
    row = {"id": "a", "input": "?", "target": "x"}
    Path("tasks.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    done = agentkit("calibrate", "tasks.jsonl", "--model", recording(Task.model_validate(row), ["x"]))
    assert done.code == 2
    assert "too few tasks to calibrate on: 1; 40 are needed" in done.err


def test_the_table_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    found = risk_coverage([0.9, 0.8, 0.4, 0.2], [1, 1, 0, 1]).to_json()
    show_risk(found, calibrated=True)
    out = capsys.readouterr().out
    assert "100%" in out and "████" in out
    assert "AUROC 0.667, right at half coverage 1.000, by confidence" in out


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--evaluator"], "by the evaluator, as asked for"),
        (["--no-evaluator"], "by nobody: the evaluator was switched off"),
        ([], "by nobody: the evaluator is asked where it was measured to help"),
    ],
)
def test_a_run_says_why_the_evaluator_was_or_was_not_asked(
    agentkit: Callable[..., Any], recording: Callable[..., str], options: list[str], why: str
) -> None:
    replies = ["Hello.", {"reason": "it greets", "verdict": "accept", "confidence": 0.9}]
    model = recording(Task(id="task", input="hi"), replies, evaluate="--evaluator" in options)
    agentkit("run", "hi", "--model", model, *options)
    run = json.loads(agentkit("runs", "ls", "--json").out)[0]["run_id"]
    assert f"checked  {why}" in agentkit("runs", "show", run).out
