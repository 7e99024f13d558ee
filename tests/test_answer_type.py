"""The form of an answer: what may be named, what is refused in one line, how values are read and compared."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from agentkit.answer_type import MAX_TEXT, AnswerType, answer_text, bounded
from agentkit.errors import AgentKitError, DataError, UserError
from agentkit.models.union import check_grammar


class Person(BaseModel):
    name: str
    born: int


@dataclass
class Point:
    x: float
    y: float


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("wanted", "text", "output"),
    [
        (int, "42", 42),
        (float, "2.5", 2.5),
        (bool, "true", True),
        (str, "plain words", "plain words"),
        (dt.date, "2024-02-29", dt.date(2024, 2, 29)),
        (list[int], "[1, 2]", [1, 2]),
        (Literal["yes", "no"], "no", "no"),
        (Literal["yes", "no"], '"no"', "no"),
        (Colour, "red", Colour.RED),
        (Person, '{"name": "Ada", "born": 1815}', Person(name="Ada", born=1815)),
        (Point, '{"x": 1, "y": 2}', Point(1.0, 2.0)),
        ({"type": "object", "properties": {"n": {"type": "integer"}}}, '{"n": 3}', {"n": 3}),
    ],
)
def test_the_text_of_an_answer_becomes_the_object_that_was_asked_for(wanted: Any, text: str, output: Any) -> None:
    form = AnswerType.of(wanted)
    found = form.output(text)
    assert found == output and type(found) is type(output)
    assert form.read(answer_text(form.read(text))) == form.read(text)


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        (object(), "can't be made into a JSON schema"),
        (type("Opaque", (), {}), "'Opaque' can't be made into a JSON schema"),
        ({"type": "integre"}, "not a JSON schema: type: 'integre' is not valid"),
        ({}, "it is empty"),
        ({"enum": []}, "its enum is empty"),
        ({"enum": ["a", "b", "a"]}, "'a' occurs twice"),
    ],
)
def test_what_is_no_form_is_refused_in_one_line(wanted: Any, problem: str) -> None:
    with pytest.raises(AgentKitError, match=problem) as caught:
        AnswerType.of(wanted)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("choices", "problem"), [([], "the list is empty"), (["a", " "], "is empty"), (["a", "b", "a"], "'a' occurs twice")]
)
def test_choices_are_some_and_different(choices: list[str], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        AnswerType.of_choices(choices)


def test_a_schema_that_no_grammar_can_hold_is_refused_in_one_line() -> None:
    pytest.importorskip("llguidance")
    with pytest.raises(UserError, match="can't be made into a grammar") as caught:
        check_grammar(AnswerType({"not": {"type": "string"}}))
    assert "\n" not in str(caught.value)
    check_grammar(AnswerType.of(Person))
    check_grammar(AnswerType.of_choices(['say "yes"', "a | b", "c\nd"]))


def test_values_are_compared_and_not_how_they_are_written() -> None:
    assert AnswerType.of(float).same("5", "5.0")
    assert AnswerType.of(Person).same('{"name": "Ada", "born": 1815}', '{"born":1815,"name":"Ada"}')
    assert not AnswerType.of(bool).same("true", "false")
    assert not AnswerType({"type": ["integer", "boolean"]}).same("1", "true")


def test_every_text_and_list_of_a_grammar_has_an_end() -> None:
    schema = {
        "type": "object",
        "properties": {
            "why": {"type": "string"},
            "tags": {"type": "array", "items": {"$ref": "#/$defs/Tag"}},
            "short": {"type": "string", "maxLength": 9},
            "kind": {"enum": ["a"]},
        },
        "$defs": {"Tag": {"type": "string"}},
    }
    held = bounded(schema)
    assert held["properties"]["why"]["maxLength"] == held["$defs"]["Tag"]["maxLength"] == MAX_TEXT
    assert held["properties"]["tags"]["maxItems"] and held["properties"]["short"]["maxLength"] == 9
    assert "maxLength" not in schema["properties"]["why"], "the schema itself is left as it was"
