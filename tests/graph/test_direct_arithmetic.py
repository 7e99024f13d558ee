"""Which of the tools for arithmetic is offered: the one whose result is the answer, where a number is wanted."""

from __future__ import annotations

import pytest

from agentkit.agent import Agent
from agentkit.graph.effort import tools_that_matter, wants_number
from agentkit.store import Store
from agentkit.tasks import Task
from agentkit.testing import ScriptedModel
from agentkit.tools import load_tools

TOOLS = {tool.name: tool for tool in load_tools(["calculator", "calculate_answer"])}


def offered(text: str, **task: object) -> tuple[str, ...]:
    return tools_that_matter(Task.model_validate({"id": "a", "input": text, **task}), TOOLS)


@pytest.mark.parametrize(
    "text",
    [
        "Revenue is 500 and costs are 320. Answer with a numerical answer with 2 decimal places.",
        "Of 3 boxes with 12 eggs 5 eggs broke: how many are whole? Reply with the number.",
        "12 * 7 + 3: the number alone.",
    ],
)
def test_a_number_that_is_wanted_alone_takes_one_call(text: str) -> None:
    assert offered(text) == ("calculate_answer",)


def test_a_numeric_form_says_so_too() -> None:
    assert offered("How many eggs are in 3 boxes of 12?", answer_schema={"type": "integer"}) == ("calculate_answer",)


def test_an_answer_in_words_may_calculate_before() -> None:
    assert offered("Is 17 % of 2340 more than 400? Say why.") == ("calculator",)


def test_what_is_alone_on_offer_stays_so() -> None:
    direct = {"calculate_answer": TOOLS["calculate_answer"]}
    assert tools_that_matter(Task(id="a", input="Is 17 % of 2340 more than 400?"), direct) == ("calculate_answer",)


def test_a_tool_that_is_named_is_offered() -> None:
    assert offered("Use the calculator: 12 * 7? Answer with the number.") == ("calculator", "calculate_answer")


def test_words_about_numbers_want_none() -> None:
    assert not wants_number(Task(id="a", input="Which number theory book has 300 pages and costs 40?"))


def test_categories_that_hold_digits_are_no_numbers_and_one_of_several_numbers_is_not_the_result_itself() -> None:
    text = "what do i have going on for 12/03/2019"
    assert offered(text, choices=("calendar", "w2", "rollover_401k")) == ()
    assert offered("3 boxes of 12 eggs: how many?", choices=("24", "36", "none of 10")) == ("calculator",)


def test_a_result_without_the_form_of_the_answer_goes_back_to_the_model(store: Store) -> None:
    call = {"tool": "calculate_answer", "arguments": {"expression": "3*12", "decimals": 0}}
    task = Task(id="a", input="3 boxes of 12 eggs: how many?", choices=("24", "36 eggs"))
    model = ScriptedModel([call, {"answer": "36 eggs"}])
    with Agent(model, store=store, tools=["calculate_answer"], effort="agentic") as agent:
        assert (agent.run(task).answer, model.calls) == ("36 eggs", 2)
    with Agent(ScriptedModel([call]), store=store, tools=["calculate_answer"], effort="agentic") as agent:
        assert agent.run("3 * 12?").answer == "36"
