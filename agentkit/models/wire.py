"""OpenAI's wire format and what HTTP says of a failure, as far as several models share them."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.outputs import ChatGenerationChunk

from agentkit.errors import ContextOverflow


def usage_metadata(usage: Mapping[str, Any]) -> UsageMetadata:
    """Token counts of a response, the cached ones among them."""
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    prompt, written = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    return UsageMetadata(
        input_tokens=prompt,
        output_tokens=written,
        total_tokens=prompt + written,
        input_token_details=InputTokenDetails(cache_read=cached),
    )


def to_chunk(event: Mapping[str, Any], name: str) -> ChatGenerationChunk:
    """One event of a streamed answer of the model `name`; an event with its usage may hold its `cost` in dollars."""
    choice = event["choices"][0] if event.get("choices") else {}
    delta = choice.get("delta") or {}
    calls = [
        {"name": call["function"].get("name"), "args": call["function"].get("arguments"), "id": call.get("id"),
         "index": call["index"]}
        for call in delta.get("tool_calls") or []
    ]  # fmt: skip
    message = AIMessageChunk(content=delta.get("content") or "", tool_call_chunks=calls)
    if event.get("usage"):
        message.usage_metadata = usage_metadata(event["usage"])
        message.response_metadata = {"cost": event["cost"]} if "cost" in event else {}
    if choice.get("finish_reason"):
        message.response_metadata |= {"model_name": name, "finish_reason": choice["finish_reason"]}
    return ChatGenerationChunk(message=message)


def one_line(text: object) -> str:
    """The first line of what an error says; empty where it says nothing."""
    return str(text).strip().partition("\n")[0][:300]


def may_pass(status: int | None) -> bool:
    """Whether what was refused with this HTTP status may be accepted the next time."""
    return status in (408, 409, 429) or (status or 0) >= 500


def overflow(line: str, status: int) -> ContextOverflow:
    """The error for a prompt that a provider found too long, which it says in `line`."""
    return ContextOverflow(f"{line}; shorten the prompt or take a model with a larger context", status=status)


def headers_of(error: Exception) -> Mapping[str, str]:
    """The headers of the response that an exception of LiteLLM, httpx or an SDK on it came with."""
    response = getattr(error, "response", None)
    return getattr(error, "litellm_response_headers", None) or getattr(response, "headers", None) or {}


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a provider asked us to wait, in either form of the header (RFC 9110, 10.2.3)."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
