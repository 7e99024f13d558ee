"""The identity of a model call, as a hash of what is asked of which model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel

from agentkit.answer_type import AnswerType
from agentkit.json_types import JsonObject
from agentkit.redaction import redact_data

Schema = type[BaseModel] | AnswerType
"""The form of a structured answer: a Pydantic class, or the answer type of a task."""


def request_hash(
    model: str,
    messages: Sequence[BaseMessage],
    *,
    tools: Sequence[Any] = (),
    schema: Schema | None = None,
    params: JsonObject | None = None,
) -> str:
    """SHA-256 over everything that decides the answer. Ids that differ from run to run are left out; secrets are
    redacted first, because a resumed run has its texts only in redacted form."""
    request = {
        "model": model,
        "messages": redact_data([_content(message) for message in messages]),
        "tools": [openai_tool(tool) for tool in tools],
        "schema": None if schema is None else json_schema(schema),
        "params": {key: value for key, value in (params or {}).items() if value is not None},
    }
    text = json.dumps(request, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def json_schema(schema: Schema) -> JsonObject:
    """The JSON schema, computed once. Shared, so it must not be modified."""
    return schema.bounded if isinstance(schema, AnswerType) else _class_schema(schema)


@cache
def _class_schema(schema: type[BaseModel]) -> JsonObject:
    return schema.model_json_schema()


_tools: WeakKeyDictionary[Any, JsonObject] = WeakKeyDictionary()


def openai_tool(tool: Any) -> JsonObject:
    """A tool in OpenAI's format, computed once per tool. Shared, so it must not be modified."""
    if isinstance(tool, dict):
        return tool if "function" in tool else convert_to_openai_tool(tool)
    try:
        return _tools[tool]
    except KeyError:
        return _tools.setdefault(tool, convert_to_openai_tool(tool))
    except TypeError:  # not hashable, as Pydantic models are by default
        return convert_to_openai_tool(tool)


def _content(message: BaseMessage) -> list[Any]:
    said = message.content
    content: list[Any] = [message.type, said if isinstance(said, str) else [_part(part) for part in said]]
    if isinstance(message, AIMessage):
        content.append([[call["name"], call["args"]] for call in message.tool_calls])
    if isinstance(message, ToolMessage):
        content.append(message.status)
    return content


def _part(part: Any) -> Any:
    """A part of a message, with bytes replaced by their hash."""
    if not isinstance(part, dict) or not isinstance(part.get("base64"), str):
        return part
    return {**part, "base64": hashlib.sha256(part["base64"].encode()).hexdigest()}
