"""OpenAI's wire format, part by part, tolerant of how servers actually write it.

What can be read unambiguously is read; any other part is reported, in the log or as an invalid call.
"""

from __future__ import annotations

import json
import logging
import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages.ai import InputTokenDetails, UsageMetadata

from agentkit.json_types import JsonObject

log = logging.getLogger("agentkit.models")

MAX_CALLS = 64
"""Most tool calls in one answer. More are a model's error, and all of them would be started at once."""
MOST_TOKENS = 10**9
"""Most tokens that one answer can use; a larger count is a server's error."""
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")


def read_texts(given: Mapping[str, Any], name: str) -> tuple[str, str]:
    """The text of a message or delta, and reasoning that is sent separately."""
    text, thoughts = _parts(given.get("content"), name)
    apart = next((given[key] for key in _THOUGHTS if isinstance(given.get(key), str) and given[key]), "")
    return text, apart or thoughts


def _parts(content: object, name: str) -> tuple[str, str]:
    """Content is a text, nothing, or a list of parts; parts that are not text are named in the log."""
    if content is None or isinstance(content, str):
        return content or "", ""
    texts: list[str] = []
    thoughts: list[str] = []
    for part in content if isinstance(content, list) else [content]:
        kind = part.get("type", "text") if isinstance(part, dict) else "text"
        value = (
            part if isinstance(part, str) else (part.get("text") or part.get(kind)) if isinstance(part, dict) else None
        )
        if isinstance(value, list) and kind in _THOUGHTS:
            value = _parts(value, name)[0]
        if not isinstance(value, str):
            log.warning("%s: a part of the answer was left out: %s", name, str(kind)[:80] if part else "nothing")
        else:
            (thoughts if kind in _THOUGHTS else texts).append(value)
    return "".join(texts), "".join(thoughts)


def beside(given: Mapping[str, Any], thoughts: str) -> JsonObject:
    refused = given.get("refusal")
    found = {"reasoning_content": thoughts, "refusal": refused if isinstance(refused, str) else ""}
    return {key: value for key, value in found.items() if value}


def calls_of(given: Mapping[str, Any]) -> list[Any]:
    """The tool calls of a message or delta, including one in the older format, `function_call`."""
    calls = given.get("tool_calls")
    if isinstance(calls, dict):
        calls = [calls]
    found = list(calls) if isinstance(calls, list) else []
    return [*found, given["function_call"]] if isinstance(given.get("function_call"), dict) else found


def read_calls(calls: Sequence[Any], name: str) -> tuple[list[Any], list[Any]]:
    """Split calls into valid and invalid ones (with the problem), both in LangChain's format."""
    good, bad = [], []
    for call in calls[: MAX_CALLS + 1]:
        function = function_of(call)
        tool, arguments = function.get("name"), function.get("arguments")
        found, error = read_arguments(arguments)
        if not isinstance(tool, str) or not tool:
            error = "the call names no tool"
        identity = call.get("id") if isinstance(call, dict) and isinstance(call.get("id"), str) else None
        if error:
            log.info("%s: an invalid tool call: %s", name, error)
            shown = arguments if isinstance(arguments, str) else json.dumps(arguments, default=str)
            named = {"name": tool if isinstance(tool, str) else None, "args": shown, "id": identity}
            bad.append({**named, "error": error, "type": "invalid_tool_call"})
        else:
            good.append({"name": tool, "args": found, "id": identity or call_id(), "type": "tool_call"})
    return good, bad


def function_of(call: object) -> Mapping[str, Any]:
    if not isinstance(call, dict):
        return {"arguments": call}
    function = call.get("function")
    return function if isinstance(function, dict) else call


def read_arguments(value: object) -> tuple[JsonObject, str]:
    """The arguments of a call as an object, and what is wrong if they are not one.

    Servers send them as an object, as its JSON, as JSON of that JSON, or not at all if a tool takes none.
    """
    for _ in range(3):
        if value is None or (isinstance(value, str) and not value.strip()):
            return {}, ""
        if isinstance(value, dict):
            return value, ""
        if not isinstance(value, str):
            break
        try:
            value = json.loads(value, strict=False)
        except (ValueError, RecursionError) as error:
            return {}, f"its arguments are not JSON: {error}"
    return {}, f"its arguments must be a JSON object, not {json.dumps(value, default=str)[:60]}"


def call_id() -> str:
    return f"call_{uuid.uuid4().hex[:12]}"


def clean_usage(usage: object) -> JsonObject:
    """Token counts in OpenAI's format; anything that is not a valid number counts as 0."""
    given = usage if isinstance(usage, Mapping) else {}

    def count(*names: str, of: Mapping[str, Any] = given) -> int:
        return next((_tokens(of[name]) for name in names if of.get(name) is not None), 0)

    read, written = count("prompt_tokens", "input_tokens"), count("completion_tokens", "output_tokens")
    details = _mapping(given.get("prompt_tokens_details") or given.get("input_tokens_details"))
    said = _mapping(given.get("completion_tokens_details") or given.get("output_tokens_details"))
    cached = count("cached_tokens", of=details) or count("prompt_cache_hit_tokens", "cache_read_input_tokens")
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": {
            "cached_tokens": min(cached, read),
            "audio_tokens": count("audio_tokens", of=details),
        },
        "completion_tokens_details": {"audio_tokens": count("audio_tokens", of=said)},
    }


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _tokens(value: object) -> int:
    try:
        number = float(str(value))
    except ValueError:
        return 0
    return min(MOST_TOKENS, max(0, int(number))) if math.isfinite(number) else 0


def usage_metadata(usage: object) -> UsageMetadata:
    """The token counts of a response, including cached tokens."""
    clean = clean_usage(usage)
    return UsageMetadata(
        input_tokens=clean["prompt_tokens"],
        output_tokens=clean["completion_tokens"],
        total_tokens=clean["total_tokens"],
        input_token_details=InputTokenDetails(cache_read=clean["prompt_tokens_details"]["cached_tokens"]),
    )
