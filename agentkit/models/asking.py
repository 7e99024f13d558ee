"""Ways to ask a model for tool calls and typed answers, and how each kind of reply is read.

When there are tools, the structured answer is offered as one more tool, and the model must call one of them. Most
providers support that; for local models the grammar is the union of all tools. If a provider refuses to force a call,
the prompt asks for one in words instead; if it refuses tools, both tools and schema are written into the prompt as
text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage, convert_to_messages
from pydantic import BaseModel, ValidationError

from agentkit.answer_type import AnswerType, closing
from agentkit.errors import ModelError
from agentkit.models.replies import cut_off, thoughts_of
from agentkit.models.requests import Schema, json_schema, openai_tool
from agentkit.models.speech import known_name, plain_value, read_call, read_object, read_value
from agentkit.models.union import ANSWER_TOOL, answer_format, as_field, to_chat, union_of
from agentkit.models.wire import call_id

Way = Literal["forced", "auto", "text"]

_ROOM = 1_024
"""Longest answer in tokens, where the model sets no limit."""
_REFUSALS = (400, 404, 405, 422, 501)
_ABOUT_TOOLS = re.compile(r"tool|function.?call|functions? (?:is|are) not|\bforced?\b", re.IGNORECASE)


_NO_TOOLS = re.compile(
    r"not? support\w* (?:tool|function)|(?:tools?|tool use|functions?|function call\w*) (?:is|are) not"
    r"|enable-auto-tool-choice",
    re.IGNORECASE,
)


def next_way(way: Way, error: ModelError) -> Way | None:
    """The next way to try after a provider refused this one for a reason to do with tools; None if there is none."""
    if error.retryable or error.status not in _REFUSALS or not _ABOUT_TOOLS.search(str(error)):
        return None
    if way == "forced" and not _NO_TOOLS.search(str(error)):
        return "auto"
    return None if way == "text" else "text"


def is_about_logprobs(error: ModelError) -> bool:
    """Whether a provider refused the request because it asked for log-probabilities."""
    return not error.retryable and error.status in _REFUSALS and "logprobs" in str(error)


def prepare(
    model: BaseChatModel, tools: Sequence[Any], schema: Schema | None, way: Way = "forced", *, ran_on: bool = False
) -> Any:
    """Bind tools and a schema so that each reply is either a tool call or the answer.

    If only an answer of a task's type is wanted, models with constrained decoding return it directly, so the prompt is
    that of a plain call.

    Args:
        ran_on: the model did not stop by itself before. If it decodes under a grammar, the grammar now bounds the reply
            so that it must end.
    """
    constrained = getattr(model, "constrained", False)
    room = int(getattr(model, "max_tokens", None) or _ROOM) if ran_on and constrained else None
    if isinstance(schema, AnswerType) and not tools and constrained:
        bound = model.bind(response_format=answer_format(schema, room=room))
    else:
        offered = [*tools, *([answer_tool(schema)] if schema is not None else [])]
        shown = offered if room is None else [_closing(openai_tool(tool), room) for tool in offered]
        bound = _bound(model, shown, forced=schema is not None, alone=not tools, way=way)
    return bound if room is None else bound.bind(no_loops=True)


def _closing(tool: dict[str, Any], room: int) -> dict[str, Any]:
    """A tool whose arguments fit into this many tokens."""
    function = tool["function"]
    parameters = closing(function.get("parameters") or {"type": "object", "properties": {}}, room)
    return {**tool, "function": {**function, "parameters": parameters}}


def _bound(model: BaseChatModel, offered: Sequence[Any], *, forced: bool, alone: bool, way: Way) -> Any:
    """The model with its tools. `forced`: it must call one of them; `alone`: the only tool is the answer."""
    if not offered or way == "text":
        return model
    if way == "auto":
        return model.bind_tools(offered, tool_choice="auto")
    if not forced:
        return model.bind_tools(offered)
    return model.bind_tools(offered, tool_choice=ANSWER_TOOL if alone else "any")


def asked(messages: Sequence[BaseMessage], tools: Sequence[Any], schema: Schema | None, way: Way) -> list[BaseMessage]:
    """The prompt, extended by whatever this way of asking can't express otherwise."""
    if way == "forced" or not (tools or schema):
        return list(messages)
    if way == "auto":
        form = "Reply by calling a tool, and with nothing else." if tools else "Reply by calling the tool."
        final = f" Give the final answer by calling the tool `{ANSWER_TOOL}`." if schema is not None else ""
        lead = messages[0].text + "\n\n" if messages and messages[0].type == "system" else ""
        rest = messages[1:] if lead else messages
        return [SystemMessage(f"{lead}{form}{final}"), *rest]
    offered = [openai_tool(tool) for tool in tools] + ([answer_tool(schema)] if schema is not None else [])
    union = union_of({"tools": offered, "tool_choice": "any" if schema is not None else "auto"})
    return _with_images(convert_to_messages(cast("Any", to_chat(messages, union))), messages)


def _with_images(chat: list[BaseMessage], messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """The chat with the non-text parts of the original messages put back into the turns that those messages became."""
    for message in messages:
        if isinstance(message.content, str) or message.type != "human":
            continue
        turn = next(number for number, said in enumerate(chat) if message.text in said.text)
        others = [part for part in message.content if isinstance(part, dict) and part.get("type") != "text"]
        chat[turn] = chat[turn].model_copy(update={"content": [*others, {"type": "text", "text": chat[turn].text}]})
    return chat


def answer_tool(schema: Schema) -> dict[str, Any]:
    """The schema as a tool called `answer`. Shared, so it must not be modified."""
    return _type_tool(schema) if isinstance(schema, AnswerType) else _class_tool(schema)


@cache
def _class_tool(schema: type[BaseModel]) -> dict[str, Any]:
    parameters = dict(json_schema(schema))
    return _tool(parameters.pop("description", None), parameters)


def _type_tool(schema: AnswerType) -> dict[str, Any]:
    """A tool's arguments must be an object; a value of any other type becomes its only field."""
    parameters = dict(schema.bounded)
    description = parameters.pop("description", None)
    if not schema.is_object:
        parameters = as_field(parameters)
    return _tool(description, parameters)


def _tool(description: str | None, parameters: dict[str, Any]) -> dict[str, Any]:
    about = description or "Give the final answer."
    return {"type": "function", "function": {"name": ANSWER_TOOL, "description": about, "parameters": parameters}}


class BadCall(ValueError):
    """A tool call that can't be carried out: no such tool, or invalid arguments."""


def read_reply(message: AIMessage, tools: Sequence[Any], schema: Schema | None) -> tuple[AIMessage, Any]:
    """Split a reply into its message, in which only offered tools are called, and its structured answer.

    Raises:
        BadCall: one of the calls can't be carried out.
        ValueError, ValidationError: a structured answer was wanted, but is missing or invalid.
    """
    names = [openai_tool(tool)["function"]["name"] for tool in tools]
    offered = [*names, ANSWER_TOOL] if schema is not None else names
    if schema is None and (said := _answered(message, names)) is not None:
        return message.model_copy(update={"content": said, "tool_calls": [], "invalid_tool_calls": []}), None
    message = _named(message, offered)
    answer = next((call for call in message.tool_calls if call["name"] == ANSWER_TOOL), None)
    if schema is not None and answer is not None and ANSWER_TOOL not in names:
        return message, read_value(answer["args"], schema, ANSWER_TOOL)
    if message.invalid_tool_calls:
        raise BadCall(message.invalid_tool_calls[0].get("error") or "its arguments are malformed")
    if message.tool_calls or (schema is None and not names):
        return message, None
    return _from_text(message, names, schema)


def _answered(message: AIMessage, names: Sequence[str]) -> str | None:
    """What a model said by calling `answer` although plain text was wanted and there is no such tool."""
    if ANSWER_TOOL in names:
        return None
    called = [
        call["args"] for call in message.tool_calls if known_name(call["name"], [*names, ANSWER_TOOL]) == ANSWER_TOOL
    ]
    return plain_value(called[0].get(ANSWER_TOOL)) if called else None


def _named(message: AIMessage, offered: Sequence[str]) -> AIMessage:
    """The message with each call renamed to the tool that it means."""
    known = [known_name(call["name"], offered) for call in message.tool_calls]
    if None in known and not (message.text.strip() and not offered):
        unknown = message.tool_calls[known.index(None)]["name"]
        there = f"there are {', '.join(offered)}" if offered else "there are none; answer in words"
        raise BadCall(f"there is no tool {unknown[:100]!r}; {there}")
    if known == [call["name"] for call in message.tool_calls]:
        return message
    calls = [{**call, "name": name} for call, name in zip(message.tool_calls, known, strict=True) if name is not None]
    return message.model_copy(update={"tool_calls": calls})


def _from_text(message: AIMessage, names: Sequence[str], schema: Schema | None) -> tuple[AIMessage, Any]:
    """Read an answer or call that was written as text; some servers leave it in the reasoning."""
    text = message.text if message.text.strip() else thoughts_of(message)
    try:
        if schema is not None:
            return message, read_object(text, schema, ANSWER_TOOL)
    except ValueError:
        if read_call(text, names) is None:
            raise
    if (called := read_call(text, names)) is not None:
        call = {"name": called[0], "args": called[1], "id": call_id(), "type": "tool_call"}
        return message.model_copy(update={"content": "", "tool_calls": [call]}), None
    return message, None


def describe(error: ValueError, message: AIMessage) -> str:
    """What is wrong with a reply, in one line."""
    line = str(error)
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        line = f"{where}: {first['msg']}" if where else first["msg"]
    return f"it was cut off by the token limit (max_tokens): {line}" if cut_off(message) else line
