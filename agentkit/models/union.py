"""The union of what a local model may reply: a call of one of its tools, or a text.

The reply is a JSON object, `{"name": tool, "arguments": {…}}` or `{"text": …}`, decoded under the union's schema. It
works for every chat model, with a tool template or without.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.utils.json_schema import dereference_refs

IN_PROMPT = "x-in-prompt"
"""Marks an enum of a schema whose values stand in the prompt already, such as the sentences of a paper: it binds the
answer, and the tool's description leaves it out."""


@dataclass(frozen=True)
class Union:
    """What may be replied.

    Attributes:
        tools: the tools on offer, in OpenAI's form.
        allowed: names of those that may be called now.
        text: whether a plain text may be replied.
    """

    tools: tuple[dict[str, Any], ...]
    allowed: frozenset[str]
    text: bool

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of a reply; references are resolved, for grammars that know none."""
        options = [_call_schema(tool["function"]) for tool in self.tools if tool["function"]["name"] in self.allowed]
        if self.text:
            options.append(_object({"text": {"type": "string"}}))
        return options[0] if len(options) == 1 else {"anyOf": options}

    @property
    def instructions(self) -> str:
        """How to reply, for the system prompt."""
        lines = [f"- {_signature(tool['function'])}" for tool in self.tools]
        text = ' To reply in words instead, write {"text": "…"}.' if self.text else ""
        form = 'Reply with one JSON object: {"name": <tool>, "arguments": {…}}.'
        return "# Tools\n" + "\n".join(lines) + f"\n{form}{text}"


def union_of(kwargs: dict[str, Any]) -> Union | None:
    """The union that bound arguments (`tools`, `tool_choice`) ask for; None for a plain text."""
    tools, choice = tuple(kwargs.get("tools") or ()), kwargs.get("tool_choice")
    if not tools or choice == "none":
        return None
    names = frozenset(tool["function"]["name"] for tool in tools)
    if isinstance(choice, dict):
        choice = choice.get("function", {}).get("name", "any")
    if isinstance(choice, str) and choice in names:
        return Union(tools, frozenset([choice]), text=False)
    return Union(tools, names, text=choice in (None, "auto", False))


def read_union(text: str, union: Union | None, *, finish: str | None = None) -> AIMessage:
    """Read a reply that was decoded under the union's schema.

    A reply cut off by the token limit is the one that can be invalid; it comes as an invalid tool call.
    """
    if union is None:
        return AIMessage(text)
    try:
        reply = json.loads(text)
    except json.JSONDecodeError:
        why = "cut off by max_tokens" if finish == "length" else "not JSON"
        return AIMessage("", invalid_tool_calls=[{"name": None, "args": text, "id": None, "error": why}])
    if "name" in reply:
        return AIMessage("", tool_calls=[{"name": reply["name"], "args": reply["arguments"], "id": _call_id()}])
    return AIMessage(reply["text"])


def as_chunk(message: AIMessage) -> AIMessageChunk:
    """A whole message as the one chunk of a stream."""
    calls = [
        {"name": call["name"], "args": json.dumps(call["args"]), "id": call["id"], "index": position}
        for position, call in enumerate(message.tool_calls)
    ]
    return AIMessageChunk(
        content=message.content,
        tool_call_chunks=cast("Any", calls),
        usage_metadata=message.usage_metadata,
        response_metadata=message.response_metadata,
    )


def to_chat(messages: Sequence[BaseMessage], union: Union | None) -> list[dict[str, str]]:
    """Messages for a chat template that knows only system, user and assistant, in turns that alternate.

    How to reply leads the system prompt, because what was learnt, which ends it, changes more often. Where a user
    message leads the question, such as a paper, it goes between the two, so that questions with different answers share
    the paper in the prefix cache.
    """
    chat: list[dict[str, str]] = []
    if union is not None and (question := _question_after_text(messages)) is not None:
        reply = HumanMessage(union.instructions)
        messages, union = [*messages[:question], reply, *messages[question:]], None
    if union is not None and not any(message.type == "system" for message in messages):
        chat.append({"role": "system", "content": union.instructions})
    for message in messages:
        role, text = _turn(message)
        if role == "system" and union is not None:
            text, union = f"{union.instructions}\n\n{text}", None
        if chat and chat[-1]["role"] == role:
            chat[-1]["content"] += f"\n\n{text}"
        else:
            chat.append({"role": role, "content": text})
    return chat


def _question_after_text(messages: Sequence[BaseMessage]) -> int | None:
    """Where the question stands, if user messages come before it; None if it is the first of them."""
    lead = list(takewhile(lambda message: message.type in ("system", "human"), messages))
    return len(lead) - 1 if sum(message.type == "human" for message in lead) > 1 else None


def _turn(message: BaseMessage) -> tuple[str, str]:
    if isinstance(message, ToolMessage):
        return "user", f"Result of the tool:\n{message.text}"
    if isinstance(message, AIMessage):
        calls = [json.dumps({"name": call["name"], "arguments": call["args"]}) for call in message.tool_calls]
        return "assistant", "\n".join([message.text, *calls] if message.text else calls)
    return ("system" if message.type == "system" else "user"), message.text


def _call_schema(function: dict[str, Any]) -> dict[str, Any]:
    arguments = _without(_inlined(function.get("parameters")), {IN_PROMPT})
    return _object({"name": {"const": function["name"]}, "arguments": arguments})


def _without(schema: Any, keywords: Set[str]) -> Any:
    """A schema in which no enum that is marked as being in the prompt has these keywords."""
    if isinstance(schema, list):
        return [_without(item, keywords) for item in schema]
    if not isinstance(schema, dict):
        return schema
    dropped = keywords if schema.get(IN_PROMPT) is True else ()
    return {key: _without(value, keywords) for key, value in schema.items() if key not in dropped}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _inlined(parameters: dict[str, Any] | None) -> dict[str, Any]:
    if not parameters or not parameters.get("properties"):
        return _object({})
    resolved: dict[str, Any] = dereference_refs(parameters)
    return {"additionalProperties": False, **{key: value for key, value in resolved.items() if key != "$defs"}}


def _signature(function: dict[str, Any]) -> str:
    properties = _inlined(function.get("parameters")).get("properties", {})
    parameters = json.dumps(_without(properties, {IN_PROMPT, "enum", "const"}), ensure_ascii=False)
    return f"{function['name']}: {function.get('description', '')}\n  arguments: {parameters}"


def _call_id() -> str:
    return f"call_{uuid.uuid4().hex[:12]}"
