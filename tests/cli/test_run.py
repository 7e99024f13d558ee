"""`run`, `resume`, `chat` and `runs`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentkit.conversation import AGENT, USER, with_history
from tests.cli.scripted import ACCEPT, ANSWER, SUM

QUESTION = "What is 1234*5678? Use the calculator."


@pytest.fixture
def model(recording: Callable[..., str]) -> str:
    return recording(QUESTION, [SUM, ANSWER, ACCEPT])


def test_run_as_json_has_the_answer_and_the_tool_call(agentkit: Callable[..., Any], model: str) -> None:
    done = agentkit("run", QUESTION, "--model", model, "--json")
    assert done.code == 0
    result = json.loads(done.out)
    assert (result["answer"], result["status"]) == ("7006652", "done")
    assert [step["tool"] for step in result["trace"] if step["type"] == "tool"] == ["calculator"]


def test_run_prints_the_answer_alone_and_the_steps_on_standard_error(agentkit: Callable[..., Any], model: str) -> None:
    done = agentkit("run", QUESTION, "--model", model)
    assert done.out == "7006652\n"
    for shown in ("calculator(expression='1234*5678')", "accept", "agentkit runs show"):
        assert shown in done.err


def test_a_run_that_waits_says_how_to_reply_and_goes_on_with_the_reply(
    agentkit: Callable[..., Any], recording: Callable[..., str]
) -> None:
    model = recording(QUESTION, [SUM, ANSWER, ACCEPT])
    waiting = agentkit("run", QUESTION, "--model", model, "--approve", "calculator", "--json")
    found = json.loads(waiting.out)
    assert found["status"] == "waiting"
    assert f"agentkit resume {found['run_id']} --accept" in agentkit("resume", found["run_id"]).err
    done = agentkit("resume", found["run_id"][:8], "--accept", "--json")
    assert json.loads(done.out)["answer"] == "7006652"


def test_a_failed_run_is_kept_and_says_how_to_go_on(agentkit: Callable[..., Any], model: str) -> None:
    done = agentkit("run", "another question", "--model", model)
    assert done.code == 2
    assert "agentkit resume" in done.err
    assert "error: " in done.err


@pytest.mark.parametrize("names", ["Calculator", "calculater", "python", "answer,search"])
def test_a_name_that_no_tool_has_can_not_be_approved(names: str, agentkit: Callable[..., Any], model: str) -> None:
    done = agentkit("run", QUESTION, "--model", model, "--approve", names)
    assert done.code == 2
    assert "no tool has that name; there are answer, calculate_answer, calculator" in done.err
    assert json.loads(agentkit("runs", "ls", "--json").out) == []


def test_approve_takes_commas_spaces_and_the_name_that_tools_was_given(
    agentkit: Callable[..., Any], recording: Callable[..., str]
) -> None:
    (Path.cwd() / "mine.py").write_text("from agentkit.tools.calculator import calculator\nsums = calculator()\n")
    model = recording(QUESTION, [SUM, ANSWER, ACCEPT])
    for given in ("answer, calculator ", "mine:sums"):
        done = agentkit("run", QUESTION, "--model", model, "--tools", "mine:sums", "--approve", given, "--json")
        assert json.loads(done.out)["status"] == "waiting"


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [("--checker", "nope", "unknown checker"), ("--checker", "numeric", "compares with a target")],
)
def test_bad_arguments_are_found_before_a_run_is_recorded(
    option: str, value: str, said: str, agentkit: Callable[..., Any], model: str
) -> None:
    done = agentkit("run", QUESTION, "--model", model, option, value)
    assert done.code == 2
    assert said in done.err
    assert json.loads(agentkit("runs", "ls", "--json").out) == []


def test_a_run_made_in_code_says_that_it_must_be_gone_on_with_there(agentkit: Callable[..., Any]) -> None:
    from agentkit import Agent
    from agentkit.testing import ScriptedModel

    def note(text: str) -> str:
        """Write down.

        Args:
            text: what.
        """
        return text

    with Agent(ScriptedModel([SUM, ANSWER, ACCEPT]), tools=["calculator", note], approve=["calculator"]) as agent:
        run_id = agent.run(QUESTION).run_id
    done = agentkit("resume", run_id, "--accept")
    assert done.code == 2
    assert "was made in code, with its own model ScriptedModel, tool note" in done.err


def test_chat_gives_each_message_the_conversation_so_far(
    agentkit: Callable[..., Any], recording: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    second = with_history([(USER, QUESTION), (AGENT, "7006652")], "And half of that?")
    assert f"User: {QUESTION}" in second
    half = {"reasoning": "half of 7006652", "answer": "3503326"}
    model = recording([QUESTION, second], [SUM, ANSWER, half])
    said = iter([QUESTION, "And half of that?", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(said))
    done = agentkit("chat", "--model", model)
    assert done.code == 0
    assert done.out.split() == ["7006652", "3503326"]


def test_runs_are_listed_shown_and_pruned(agentkit: Callable[..., Any], recording: Callable[..., str]) -> None:
    model = recording(QUESTION, [SUM, ANSWER, ACCEPT], evaluate=True)
    run_id = json.loads(agentkit("run", QUESTION, "--model", model, "--evaluator", "--json").out)["run_id"]
    listed = json.loads(agentkit("runs", "ls", "--json").out)
    assert [(row["run_id"], row["answer"]) for row in listed] == [(run_id, "7006652")]
    assert run_id in agentkit("runs", "ls").out
    shown = json.loads(agentkit("runs", "show", run_id[:6], "--json").out)
    assert [step["type"] for step in shown["trace"]] == ["model", "tool", "model", "model"]
    readable = agentkit("runs", "show", run_id).out
    for part in ("calculator", "7006652", "evaluator", QUESTION):
        assert part in readable
    assert json.loads(agentkit("runs", "prune", "--json").out) == {"deleted": []}
    assert json.loads(agentkit("runs", "prune", "--older-than", "0d", "--json").out) == {"deleted": [run_id]}
    assert _checkpoints() == 0
    assert json.loads(agentkit("runs", "ls", "--json").out) == []


def _checkpoints() -> int:
    import os
    import sqlite3

    connection = sqlite3.connect(f"{os.environ['AGENTKIT_HOME']}/agentkit.db")
    try:
        return int(connection.execute("SELECT count(*) FROM checkpoints").fetchone()[0])
    finally:
        connection.close()
