"""OpenTelemetry spans that follow the GenAI semantic conventions, using only the API package.

Without an SDK no spans are made. What models and tools are sent and return is recorded only if
`OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true`. Names follow version 1.41 of the semantic conventions
(development status).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode

from agentkit.json_types import JsonObject

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

_tracer = trace.get_tracer("agentkit", schema_url="https://opentelemetry.io/schemas/1.41.0")
_ROLES = {"human": "user", "ai": "assistant"}


@contextmanager
def span(operation: str, name: str, **attributes: str | int | float | None) -> Iterator[Span]:
    """A span `"{operation} {name}"`; see `set_attributes` for the attribute names.

    Operations in the conventions: `chat`, `execute_tool`, `invoke_agent`, `invoke_workflow`, `plan`, `embeddings`.
    """
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):  # no SDK; even an empty span costs time
        yield trace.INVALID_SPAN
        return
    with _tracer.start_as_current_span(f"{operation} {name}", record_exception=False) as current:
        current.set_attribute("gen_ai.operation.name", operation)
        set_attributes(current, **attributes)
        try:
            yield current
        except Exception as error:
            current.set_status(Status(StatusCode.ERROR, type(error).__name__))
            current.set_attribute("error.type", type(error).__name__)
            raise


def set_attributes(current: Span, **attributes: str | int | float | None) -> None:
    """Add `gen_ai.*` attributes: `usage__input_tokens=3` becomes `gen_ai.usage.input_tokens`."""
    for key, value in attributes.items():
        if value is not None:
            current.set_attribute("gen_ai." + key.replace("__", "."), value)


def set_messages(current: Span, *, asked: Sequence[BaseMessage], answer: BaseMessage) -> None:
    """Add a model's input and output messages, if content may be recorded."""
    if _records_content(current):
        ended = answer.response_metadata.get("finish_reason") or "stop"
        set_attributes(current, input__messages=_as_json([_parts(message) for message in asked]))
        set_attributes(current, output__messages=_as_json([_parts(answer) | {"finish_reason": ended}]))


def set_tool_call(current: Span, *, arguments: Any, result: str) -> None:
    """Add a tool's arguments and result, if content may be recorded."""
    if _records_content(current):
        set_attributes(current, tool__call__arguments=_as_json(arguments), tool__call__result=result)


def _records_content(current: Span) -> bool:
    wanted = os.environ.get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "").lower() == "true"
    return wanted and current.is_recording()


def _parts(message: BaseMessage) -> JsonObject:
    """A message in the format of the conventions' JSON schema."""
    said = [{"type": "text", "content": message.text}] if message.text else []
    if message.type == "tool":
        call: Any = message
        said = [{"type": "tool_call_response", "id": call.tool_call_id, "response": message.text}]
    made = [
        {"type": "tool_call", "id": call["id"], "name": call["name"], "arguments": call["args"]}
        for call in getattr(message, "tool_calls", ())
    ]
    return {"role": _ROLES.get(message.type, message.type), "parts": [*said, *made]}


def _as_json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, default=str)
