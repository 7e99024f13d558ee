"""How much a run spends: the cheapest mode that can do the task, and a bare call where nothing more can help."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from pydantic import BaseModel, field_validator

from agentkit.agent import Agent
from agentkit.errors import DataError, UserError
from agentkit.graph.effort import Decision, Rules, Situation, beyond_the_head, tools_that_matter
from agentkit.graph.events import EffortChosen
from agentkit.store import Store
from agentkit.tasks import Task
from agentkit.testing import ScriptedModel
from agentkit.tools import tool
from agentkit.tools.calculator import calculator


class Seen(ScriptedModel):
    """Keeps what it was asked."""

    asked: list[tuple[list[BaseMessage], dict[str, Any]]] = []  # noqa: RUF012 - a pydantic field

    def _answer(self, messages: list[BaseMessage], **kwargs: Any) -> Any:
        self.asked.append((messages, kwargs))
        return super()._answer(messages, **kwargs)


class Constrained(Seen):
    """Decodes its answers under their form, as models of this process do."""

    constrained: bool = True


@pytest.fixture
def build(store: Store) -> Iterator[Any]:
    opened: list[Agent] = []

    def make(model: Any, **options: Any) -> Agent:
        opened.append(Agent(model, store=store, **options))
        return opened[-1]

    yield make
    for agent in opened:
        agent.close()


def test_a_task_that_no_tool_can_help_with_is_the_bare_call_and_nothing_else(build: Any) -> None:
    model = Seen(["Hello! How can I help?"])
    result = build(model).run("hi")
    assert (result.answer, result.output, result.usage.calls) == ("Hello! How can I help?",) * 2 + (1,)
    assert result.effort["mode"] == "instant" and not result.feedback
    [(messages, kwargs)] = model.asked
    assert messages == [HumanMessage("hi")] and not kwargs.get("tools")


def test_choices_are_the_bare_call_held_to_the_choices(build: Any) -> None:
    model = Constrained(["card_arrival"])
    agent = build(model, instructions="Sort the message.", output_type=Literal["card_arrival", "lost_card"])
    result = agent.run("My 2 cards, numbers 1 and 2, have not come")
    assert result.output == "card_arrival"
    [(messages, kwargs)] = model.asked
    assert messages == [SystemMessage("Sort the message."), HumanMessage("My 2 cards, numbers 1 and 2, have not come")]
    schema = kwargs["response_format"]["json_schema"]["schema"]
    assert schema["properties"] == {"answer": {"type": "string", "enum": ["card_arrival", "lost_card"]}}
    assert schema["required"] == ["answer"]


def test_a_hosted_model_is_told_what_does_not_fit_and_answers_again(build: Any) -> None:
    class Reading(BaseModel):
        value: float

        @field_validator("value")
        @classmethod
        def _low(cls, value: float) -> float:
            if value > 10:
                raise ValueError("at most 10")
            return value

    wrong = {"tool": "answer", "arguments": {"value": 11}}
    model = Seen([wrong, {"tool": "answer", "arguments": {"value": 2.5}}])
    result = build(model, tools=[]).run("How high?", output_type=Reading)
    assert result.output == Reading(value=2.5) and result.answer == '{"value": 2.5}'
    assert "value: Value error, at most 10" in model.asked[1][0][-1].text


def test_instructions_of_agent_and_task_stand_apart_from_the_input(build: Any) -> None:
    model = Seen(["ok"])
    agent = build(model, tools=[], instructions="Be short.")
    result = agent.run(Task(id="t", input="input", instructions="Mind the case."))
    assert model.asked[0][0] == [SystemMessage("Be short.\n\nMind the case."), HumanMessage("input")]
    assert agent.log.get(result.run_id).task.input == "input"


def test_the_calculator_is_used_once_where_there_is_something_to_calculate(build: Any) -> None:
    called = {"tool": "calculator", "arguments": {"expression": "31*47"}}
    model = Seen([called, "1457"])
    result = build(model).run("What is 31*47?")
    assert (result.answer, result.usage.calls, result.effort["mode"]) == ("1457", 2, "agentic")
    assert [step["tool"] for step in result.trace if step["type"] == "tool"] == ["calculator"]


@pytest.mark.parametrize(
    ("text", "matters"),
    [
        ("hi", False),
        ("What is 31*47?", True),
        ("Use the calculator.", True),
        ("def add(a, b):\n    '''Add.\n    >>> add(1, 2)\n    3\n    '''", False),
        ("Who was born in 1815?", False),
    ],
)
def test_the_calculator_matters_where_there_are_numbers_to_calculate_with(text: str, matters: bool) -> None:
    task = Task(id="t", input=text)
    assert bool(tools_that_matter(task, {"calculator": calculator()})) is matters


def test_it_does_not_where_the_answer_is_to_be_a_query() -> None:
    told = "Write one SELECT.\nCREATE TABLE city (name text, population int)"
    task = Task(id="t", input="Which cities have between 1000 and 2000 people?", instructions=told)
    assert not tools_that_matter(task, {"calculator": calculator()})


def test_a_category_that_is_called_like_a_tool_does_not_name_it() -> None:
    told, tools = "Answer with the category alone: alarm, calculator, weather.", {"calculator": calculator()}
    choices = ("alarm", "calculator", "weather")
    assert not tools_that_matter(Task(id="t", input="open the calculator", instructions=told, choices=choices), tools)
    assert tools_that_matter(Task(id="t", input="use the calculator", choices=choices[:1]), tools)


@pytest.mark.parametrize(
    ("text", "beyond"),
    [
        ("A hall has 4,213 rows of 37 seats. How many seats are there?", True),
        ("A mosaic has 4345 panels and each panel is made of 1875 tiles. How many tiles are there?", True),
        ("In 1875 was the rent 45 pounds, and in 1876 was it 52?", False),
        ("What is 31*47?", False),
        ("Was it 1939 or 1945?", False),
        ("Add 3 to 150000.", False),
        ("hi", False),
    ],
)
def test_numbers_that_nobody_multiplies_in_the_head(text: str, beyond: bool) -> None:
    assert beyond_the_head(Task(id="t", input=text)) is beyond


def test_a_calculation_beyond_the_head_is_a_call_or_an_answer_by_a_call_and_never_written_down_in_words(
    build: Any,
) -> None:
    called = {"tool": "calculator", "arguments": {"expression": "4213*37"}}
    model = Seen([called, {"answer": "155881 seats"}])
    result = build(model).run("A hall has 4213 rows of 37 seats. How many seats are there?")
    assert (result.answer, result.output, result.usage.calls) == ("155881 seats",) * 2 + (2,)
    for _, kwargs in model.asked:
        assert [tool["function"]["name"] for tool in kwargs["tools"]] == ["calculator", "answer"]
        assert kwargs["tool_choice"] == "any"


def test_a_tool_that_only_has_the_calculators_name_always_matters() -> None:
    def calculator(page: str) -> str:
        """Read a page."""
        return page

    assert tools_that_matter(Task(id="t", input="hi"), {"calculator": tool(calculator)}) == ("calculator",)


def test_reasoning_thinks_first_and_only_the_answer_is_kept(build: Any) -> None:
    plain = build(Seen(["Seven is odd.\n**Answer:** odd"]), tools=[], effort="reasoning").run("7?")
    assert plain.answer == "odd"
    typed = Constrained(['{"reasoning": "Seven is odd.", "answer": false}'])
    assert build(typed, tools=[], effort="reasoning").run("Is 7 even?", output_type=bool).output is False
    bound = typed.asked[0][1]["response_format"]["json_schema"]["schema"]
    assert list(bound["properties"]) == ["reasoning", "answer"] and bound["properties"]["reasoning"]["maxLength"]


def test_a_router_of_ones_own_is_asked_and_its_choice_is_told(build: Any) -> None:
    class Coin(Rules):
        def choose(self, situation: Situation) -> Decision:
            assert situation.task.target is None
            return Decision(mode="reasoning", why="drawn", probability=0.5)

    agent = build(Seen(["Answer: a"]), tools=[], router=Coin())
    events = list(agent.stream(Task(id="t", input="x", target="a")))
    chosen = next(event for event in events if isinstance(event, EffortChosen))
    assert (chosen.mode, chosen.probability) == ("reasoning", 0.5)
    assert agent.result(chosen.run_id).effort == {"mode": "reasoning", "why": "drawn", "probability": 0.5}


def test_targets_and_checkers_that_need_them_change_no_prompt_of_a_typed_task(build: Any) -> None:
    def prompts(target: str) -> list[str]:
        model = Constrained(["5"])
        build(model, tools=[]).run(Task(id="t", input="2*2?", target=target, answer_schema={"type": "integer"}))
        return [repr((messages, kwargs.get("response_format"))) for messages, kwargs in model.asked]

    assert prompts("4") == prompts("8311")


def test_an_unknown_effort_and_two_forms_at_once_are_one_line(build: Any) -> None:
    with pytest.raises(UserError, match="unknown effort 'fast': use instant, reasoning, agentic, auto"):
        build(Seen(["x"]), effort="fast")
    with pytest.raises(ValueError, match="not both"):
        Task(id="t", input="x", choices=("a",), answer_schema={"type": "string"})
    with pytest.raises(DataError, match="empty"):
        build(Seen(["x"])).run("  ")
