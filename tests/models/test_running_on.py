"""A constrained answer always closes: a model that wrote on and on is asked again, with room for an end."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from agentkit.answer_type import AnswerType, closing
from agentkit.models import Caller
from agentkit.models.replies import loops
from agentkit.testing import ScriptedModel

ASK = [HumanMessage("?")]
LEMONS = "Lemon-" * 40


class Constrained(ScriptedModel):
    """Decodes under a form, as models of this process do, and keeps what it was asked."""

    constrained: bool = True
    max_tokens: int = 300
    asked: list[tuple[int, dict[str, Any]]] = []  # noqa: RUF012 - a pydantic field

    def _answer(self, messages: list[BaseMessage], **kwargs: Any) -> AIMessage:
        self.asked.append((len(messages), kwargs))
        return super()._answer(messages, **kwargs)


def cut(text: str) -> AIMessage:
    return AIMessage(text, response_metadata={"finish_reason": "length"})


FORM = AnswerType.of(
    {
        "type": "object",
        "properties": {"name": {"type": "string"}, "notes": {"type": "array", "items": {"type": "string"}}},
        "required": ["name", "notes"],
    }
)


async def test_an_answer_that_was_cut_off_is_asked_for_again_with_room_for_its_end() -> None:
    model = Constrained([cut('{"name": "' + LEMONS), '{"name": "lemon", "notes": []}'])
    reply = await Caller(model).call(ASK, schema=FORM)
    assert reply.parsed == {"name": "lemon", "notes": []}
    (first, before), (second, after) = model.asked
    assert first == second  # the text that ran on is not shown to it: it would go on with it
    assert (before.get("no_loops"), after["no_loops"]) == (None, True)
    properties = after["response_format"]["json_schema"]["schema"]["properties"]
    longest = (
        properties["name"]["maxLength"] + properties["notes"]["maxItems"] * properties["notes"]["items"]["maxLength"]
    )
    assert longest <= model.max_tokens // 2


async def test_a_call_that_was_cut_off_is_bound_too() -> None:
    def note(text: str) -> str:
        """Note it."""
        return text

    broken = AIMessage(
        "",
        invalid_tool_calls=[{"name": None, "args": '{"name": "note"', "id": None, "error": "cut off"}],
        response_metadata={"finish_reason": "length"},
    )
    model = Constrained([broken, {"tool": "note", "arguments": {"text": "short"}}])
    reply = await Caller(model).call(ASK, tools=[note])
    assert reply.message.tool_calls[0]["args"] == {"text": "short"}
    [tool] = model.asked[1][1]["tools"]
    assert tool["function"]["parameters"]["properties"]["text"]["maxLength"] == 150


async def test_a_loop_that_found_its_end_is_asked_for_once_more_and_then_taken() -> None:
    looping = '{"name": "' + LEMONS + '", "notes": []}'
    model = Constrained([looping, looping])
    reply = await Caller(model).call(ASK, schema=FORM)
    assert reply.parsed["name"] == LEMONS
    assert model.calls == 2


async def test_words_that_were_cut_off_in_a_loop_are_asked_for_again() -> None:
    model = Constrained([cut(LEMONS), "A lemon."])
    assert (await Caller(model).call(ASK)).text == "A lemon."


async def test_long_words_that_were_cut_off_stay_what_they_are() -> None:
    text = " ".join(f"word{number}" for number in range(300))
    model = Constrained([cut(text), "other"])
    assert (await Caller(model).call(ASK)).text == text


async def test_a_model_without_a_grammar_is_told_instead() -> None:
    model = ScriptedModel([cut('{"name": "x'), {"name": "x", "notes": []}])
    assert (await Caller(model).call(ASK, schema=FORM)).parsed == {"name": "x", "notes": []}


@pytest.mark.parametrize(
    ("text", "looping"),
    [
        (LEMONS, True),
        ("It is. " * 30, True),
        ("-" * 400, False),
        (", ".join(str(number) for number in range(200)), False),
        ("Lemon-" * 5, False),
    ],
)
def test_a_loop_says_the_same_thing_many_times_in_a_row(text: str, looping: bool) -> None:
    assert loops(text) is looping


def test_what_a_schema_demands_at_least_stays() -> None:
    schema = {"type": "array", "minItems": 3, "items": {"type": "string", "minLength": 90, "maxLength": 5000}}
    found = closing(schema, 200)
    assert (found["maxItems"], found["items"]["maxLength"]) == (3, 90)


def test_a_schema_that_refers_to_itself_is_counted_to_an_end() -> None:
    node = {"type": "object", "properties": {"text": {"type": "string"}, "more": {"$ref": "#/$defs/node"}}}
    found = closing({"$ref": "#/$defs/node", "$defs": {"node": node}}, 1000)
    assert found["$defs"]["node"]["properties"]["text"]["maxLength"] < 500
