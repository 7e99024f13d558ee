"""The identity of a model call: what is asked, of which model, as a hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel


def request_hash(
    model: str,
    messages: Sequence[BaseMessage],
    *,
    tools: Sequence[Any] = (),
    schema: type[BaseModel] | None = None,
    params: dict[str, Any] | None = None,
) -> str:
    """SHA-256 over everything that decides the answer; ids that differ from run to run are left out."""
    request = {
        "model": model,
        "messages": [_content(message) for message in messages],
        "tools": [convert_to_openai_tool(tool) for tool in tools],
        "schema": None if schema is None else schema.model_json_schema(),
        "params": {key: value for key, value in (params or {}).items() if value is not None},
    }
    text = json.dumps(request, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _content(message: BaseMessage) -> list[Any]:
    content: list[Any] = [message.type, message.content]
    if isinstance(message, AIMessage):
        content.append([[call["name"], call["args"]] for call in message.tool_calls])
    if isinstance(message, ToolMessage):
        content.append(message.status)
    return content
