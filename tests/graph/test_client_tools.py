"""A run with tools of whoever asks waits for their results, in whatever process it goes on, and repeats no call."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage

from agentkit import Agent
from agentkit.errors import DataError, UserError
from agentkit.graph.waiting import calls_of, save_results
from agentkit.testing import ScriptedModel

STOCK = {
    "name": "stock",
    "description": "How many of an article are in the warehouse.",
    "parameters": {"type": "object", "properties": {"article": {"type": "string"}}, "required": ["article"]},
}
TWO = AIMessage(
    "",
    tool_calls=[
        {"name": "stock", "args": {"article": "lamp"}, "id": "a"},
        {"name": "calculator", "args": {"expression": "6*7"}, "id": "b"},
    ],
)
QUESTION = "6 boxes of 7 lamps were bought. How many are left in the warehouse?"


def agent(path: Path, replies: list[object]) -> Agent:
    return Agent(ScriptedModel(replies), tools=["calculator"], store=str(path / "a.db"))  # type: ignore[arg-type]


def test_a_run_waits_for_its_client_and_goes_on_with_what_it_hands_back(tmp_path: Path) -> None:
    with agent(tmp_path, [TWO]) as first:
        waiting = first.run(QUESTION, run_id="r1", client_tools=[STOCK])
    assert waiting.status == "waiting" and waiting.question is not None
    assert waiting.question["calls"] == [{"id": "r1/1/0", "tool": "stock", "arguments": {"article": "lamp"}}]
    with agent(tmp_path, ["42 are left."]) as second:
        done = second.resume("r1", results={"r1/1/0": "42 pieces"})
        assert (done.status, done.answer) == ("done", "42 are left.")
        calls = {call.tool: call.result for call in second.log.tool_calls("r1")}
        assert calls == {"stock": "42 pieces", "calculator": "42"}
        assert done.sources == ("tool:stock",)
        assert second.resume("r1", results={"r1/1/0": "something else"}).answer == "42 are left."


def test_what_is_missing_or_was_not_asked_for_is_said(tmp_path: Path) -> None:
    with agent(tmp_path, [TWO]) as asked:
        asked.run(QUESTION, run_id="r1", client_tools=[STOCK])
        with pytest.raises(UserError, match="waits for results of client tool calls: stock"):
            asked.resume("r1")
        with pytest.raises(UserError, match="does not wait for a result of call 'r1/1/7'"):
            asked.resume("r1", results={"r1/1/7": "x"})
        assert asked.result("r1").status == "waiting"


def test_results_that_were_written_down_before_a_kill_are_enough_to_go_on(tmp_path: Path) -> None:
    with agent(tmp_path, [TWO, "42 are left."]) as asked:
        waiting = asked.run(QUESTION, run_id="r1", client_tools=[STOCK])
        save_results(asked.log, "r1", calls_of(waiting.question), {"r1/1/0": "42 pieces"})
        assert asked.resume("r1").answer == "42 are left."


def test_a_person_approves_before_a_call_is_handed_over(tmp_path: Path) -> None:
    model = ScriptedModel([TWO, "42 are left."])
    with Agent(model, tools=["calculator"], store=str(tmp_path / "a.db"), approve=["calculator"]) as asked:
        assert asked.run(QUESTION, run_id="r1", client_tools=[STOCK]).status == "waiting"
        handed = asked.resume("r1", True)
        assert handed.question is not None and [call["tool"] for call in handed.question["calls"]] == ["stock"]
        assert asked.resume("r1", results={"r1/1/0": "42 pieces"}).answer == "42 are left."


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({**STOCK, "name": "calculator"}, "the name is taken"),
        ({**STOCK, "name": "Plan"}, "the name is taken"),
        ({**STOCK, "name": "a b"}, "letters, digits"),
        ({**STOCK, "parameters": {"type": "array"}}, "schema of an object"),
        ({**STOCK, "parameters": {"type": "nothing"}}, "not a JSON schema"),
    ],
)
def test_a_tool_that_is_none_is_refused_before_there_is_a_run(
    spec: dict[str, object], said: str, tmp_path: Path
) -> None:
    with agent(tmp_path, ["x"]) as asked:
        with pytest.raises(DataError, match=said):
            asked.run(QUESTION, client_tools=[spec])
        assert asked.log.runs() == []


def test_words_are_told_as_they_are_written_where_nothing_can_replace_them(tmp_path: Path) -> None:
    told: list[str] = []
    with Agent(ScriptedModel(["  A lamp.  "]), tools=[], store=str(tmp_path / "a.db")) as asked:
        asyncio.run(asked.arun("Name a thing.", on_words=told.append))
        assert told == ["A lamp."]
        told.clear()
        asyncio.run(asked.arun("Name a thing.", on_words=told.append, client_tools=[STOCK]))
        asyncio.run(asked.arun("Name a thing.", on_words=told.append, output_type=str))
        assert told == []
