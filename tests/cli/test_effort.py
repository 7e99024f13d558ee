"""Effort on the command line: votes, what runs teach, and how it is shown and taken back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentkit import Task


def last(agentkit: Callable[..., Any]) -> str:
    return str(json.loads(agentkit("runs", "ls", "--json").out)[0]["run_id"])


def test_a_vote_is_shown_with_the_run(agentkit: Callable[..., Any], recording: Callable[..., str]) -> None:
    model = recording(Task(id="task", input="The capital?"), ["Lyon", "Paris", "Paris"], samples=3)
    assert agentkit("run", "The capital?", "--model", model, "--samples", "3").out == "Paris\n"
    assert "samples  3, 2 of which gave this answer" in agentkit("runs", "show", last(agentkit)).out


@pytest.mark.parametrize("samples", ["0", "65", "many", "-1", "1.5"])
def test_a_number_of_samples_that_is_none_is_one_line(
    agentkit: Callable[..., Any], recording: Callable[..., str], samples: str
) -> None:
    model = recording(Task(id="task", input="hi"), ["Hello."])
    done = agentkit("run", "hi", "--model", model, "--samples", samples)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: samples must be auto or a number from 1 to 64, not {_said(samples)}\n"
    assert json.loads(agentkit("runs", "ls", "--json").out) == []


def _said(samples: str) -> str:
    return samples if samples.isdigit() else repr(samples)


def test_feedback_teaches_effort_and_is_taken_back(agentkit: Callable[..., Any], recording: Callable[..., str]) -> None:
    agentkit("run", "hi", "--model", recording(Task(id="task", input="hi"), ["Hello."]))
    assert agentkit("feedback", last(agentkit), "--down").code == 0
    [change] = json.loads(agentkit("changes", "log", "-t", "effort:default", "--json").out)
    assert (change["note"], change["version"], change["operations"][0]["score"]) == ("instant, 0", 1, 0.0)
    assert agentkit("changes", "rollback", "effort:default", "0").code == 0
    assert len(json.loads(agentkit("changes", "log", "-t", "effort:default", "--json").out)) == 2


def test_an_evaluation_measures_the_evaluator_and_says_what_came_of_it(
    agentkit: Callable[..., Any], recording: Callable[..., str]
) -> None:
    def reply(messages: list[Any], tools: list[str]) -> Any:
        if "You check answers" in messages[0].text:
            good = "<answer>" in messages[-1].text and "right" in messages[-1].text.split("<answer>")[1]
            return {"reason": "so", "verdict": "accept" if good else "revise", "confidence": 0.9}
        return "right" if "objection" in messages[-1].text else "wrong"

    tasks = [Task(id=str(n), input=f"Item {'abcdefghijkl'[n]}", target="right") for n in range(12)]
    model = recording([task.model_copy(update={"target": None}) for task in tasks], reply, evaluate=True)
    rows = "".join(json.dumps(task.model_dump(exclude_none=True)) + "\n" for task in tasks)
    Path("tasks.jsonl").write_text(rows, encoding="utf-8")
    done = agentkit("eval", "tasks.jsonl", "--model", model, "--evaluator", "--teach")
    assert done.code == 0, done.err
    assert "evaluator, on 12 answers: right 0.000 before, 1.000 after" in done.out
    assert "corrects 1.000 of the wrong ones, relative score –, net effect +1.000, at least +0.5" in done.out
    assert len(json.loads(agentkit("changes", "log", "-t", "effort:default", "--json").out)) == 12
