"""Structured output by each of its methods, on a model of our own that gives back fixed text."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import BaseModel, Field

from agentkit.errors import UserError
from agentkit.models.base import NamedChat


class Fixed(NamedChat):
    """Says what it was told to, and keeps what it was asked for."""

    says: str
    asked: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "fixed"

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        self.asked.append(kwargs)
        return ChatResult(generations=[ChatGeneration(message=AIMessage(self.says))])


class Point(BaseModel):
    """A place on a page."""

    x: int
    y: int


def test_json_schema_asks_for_that_form_and_gives_an_object() -> None:
    model = Fixed(full_name="fixed/one", says='{"x": 1, "y": 2}')
    assert model.with_structured_output(Point, method="json_schema").invoke("where?") == Point(x=1, y=2)
    form = model.asked[0]["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["name"] == "Point"
    assert set(form["json_schema"]["schema"]["properties"]) == {"x", "y"}
    assert not model.asked[0].get("tools")


def test_json_mode_asks_for_any_json_and_a_dict_schema_gives_a_dict() -> None:
    model = Fixed(full_name="fixed/one", says='{"x": 1}')
    schema = {"title": "anything", "type": "object", "properties": {"x": {"type": "integer"}}}
    assert model.with_structured_output(schema, method="json_mode").invoke("where?") == {"x": 1}
    assert model.asked[0]["response_format"] == {"type": "json_object"}


def test_what_does_not_parse_is_raised_or_given_beside_the_raw_answer() -> None:
    model = Fixed(full_name="fixed/one", says='{"x": "left"}')
    with pytest.raises(OutputParserException):
        model.with_structured_output(Point, method="json_schema").invoke("where?")
    found = model.with_structured_output(Point, method="json_schema", include_raw=True).invoke("where?")
    assert found["raw"].content == model.says
    assert found["parsed"] is None
    assert isinstance(found["parsing_error"], OutputParserException)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(UserError, match="unknown method 'xml'"):
        Fixed(full_name="fixed/one", says="").with_structured_output(Point, method="xml")  # type: ignore[arg-type]
