"""Reading and validating models' responses at the point where they come in.

A response that can't be read raises `ModelError`; the call still counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage

from agentkit.errors import Declined, ModelError
from agentkit.models.refusals import refusal
from agentkit.models.wire import MAX_CALLS, beside, call_id, calls_of, read_calls, read_texts, usage_metadata

_FILTERED = {
    "content_filter",
    "content_filtered",
    "safety",
    "recitation",
    "blocklist",
    "prohibited_content",
    "spii",
    "sensitive",
    "guardrail_intervened",
}
_REFUSED = {"refusal", "refused"}


def read_message(response: Mapping[str, Any], name: str) -> AIMessage:
    """Convert a chat completion to a message, with its usage and finish reason.

    Raises:
        ModelError: the response is an error, or not a completion; retryable unless it says otherwise.
    """
    choice = first_choice(response, name)
    given = choice.get("message") or choice.get("delta")  # some gateways answer in the streaming format
    finish = _finish(choice)
    if not isinstance(given, dict):
        if isinstance(choice.get("text"), str):
            given = {"content": choice["text"]}
        elif finish is not None and finish.lower() in _FILTERED | _REFUSED:
            given = {}
        else:
            raise ModelError(f"{name}: the answer holds no message", retryable=True)
    text, thoughts = read_texts(given, name)
    calls, invalid = read_calls(calls_of(given), name)
    message = AIMessage(text, tool_calls=calls, invalid_tool_calls=invalid, additional_kwargs=beside(given, thoughts))
    message.usage_metadata = usage_metadata(response.get("usage"))
    message.response_metadata = {"model_name": name, "finish_reason": finish, "cost": response.get("cost", 0.0)}
    if choice.get("logprobs"):
        message.response_metadata["logprobs"] = choice["logprobs"]
    return message


def check(message: AIMessage, name: str) -> AIMessage:
    """Validate the message of any chat model, and make sure that each of its calls has a unique id.

    Raises:
        Declined: the model refused, or a filter blocked the answer.
        ModelError: the answer is empty or has too many calls; retryable unless it hit the token limit.
    """
    metadata = message.response_metadata
    finish = str(metadata.get("finish_reason") or metadata.get("stop_reason") or "").lower()
    refused = message.additional_kwargs.get("refusal")
    if finish in _FILTERED:
        raise Declined(f"{name}: the provider's filter blocked the answer (finish_reason {finish})")
    if refused or finish in _REFUSED:
        said = " ".join(str(refused or message.text).split())[:300]
        raise Declined(f"{name} refused to answer" + (f": {said}" if said else ""))
    calls = [*message.tool_calls, *message.invalid_tool_calls]
    if len(calls) > MAX_CALLS:
        raise ModelError(f"{name} made {len(calls)} tool calls in one answer; {MAX_CALLS} are allowed", retryable=True)
    if not calls and not message.text.strip() and not thoughts_of(message):
        raise _empty(name, finish)
    return _identified(message)


def cut_off(message: AIMessage) -> bool:
    """Whether the answer was cut off by the token limit."""
    metadata = message.response_metadata
    return (metadata.get("finish_reason") or metadata.get("stop_reason")) in ("length", "max_tokens", "MAX_TOKENS")


def ran_on(message: AIMessage, schema: object, tools: Sequence[object]) -> bool:
    """Whether a model decoding under a grammar failed to stop: it was cut off before the structure was complete, or it
    was caught in a loop.

    Plain text that was cut off may just be a long answer, so there only a loop counts.
    """
    calls = [*message.tool_calls, *message.invalid_tool_calls]
    text = message.text or " ".join(str(call["args"]) for call in calls)
    formed = schema is not None or (bool(tools) and bool(calls))
    return (cut_off(message) and (formed or loops(text))) or (formed and loops(text))


_LOOP = re.compile(r"(.{2,80}?)\1{11,}", re.DOTALL)
_LOOPING = 150
_LOOKED_AT = 4_000
"""How many characters at the end of a text are searched for a loop."""


def loops(text: str) -> bool:
    """Whether a text repeats the same thing twelve times in a row, over at least 150 characters."""
    return any(
        len(found[0]) >= _LOOPING and any(char.isalnum() for char in found[1])
        for found in _LOOP.finditer(text[-_LOOKED_AT:])
    )


def thoughts_of(message: AIMessage) -> str:
    """What a reasoning model wrote separately from its answer."""
    found = message.additional_kwargs.get("reasoning_content")
    return found if isinstance(found, str) else ""


def _empty(name: str, finish: str) -> ModelError:
    if finish in ("length", "max_tokens"):
        return ModelError(f"{name}: the answer was cut off by the token limit before it began; raise max_tokens")
    return ModelError(f"{name} gave an empty answer", retryable=True)


def _identified(message: AIMessage) -> AIMessage:
    """The message with a unique id for each call."""
    ids = [call["id"] for call in message.tool_calls]
    if all(ids) and len(set(ids)) == len(ids):
        return message
    return message.model_copy(update={"tool_calls": [{**call, "id": call_id()} for call in message.tool_calls]})


def first_choice(response: object, name: str) -> Mapping[str, Any]:
    """The first choice of a completion or stream event; AgentKit never asks for more than one.

    Raises:
        ModelError: there is no choice.
    """
    if not isinstance(response, Mapping):
        raise ModelError(f"{name}: the answer is not a JSON object", retryable=True)
    choices = response.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        if choices[0].get("error"):
            raise refusal(name, None, {"error": choices[0]["error"]})
        return choices[0]
    if any(response.get(key) for key in ("error", "errors", "detail", "message")):
        raise refusal(name, None, dict(response))
    blocked = response.get("promptFeedback") or response.get("prompt_filter_results")
    if blocked and not choices:
        raise Declined(f"{name}: the provider's filter blocked the prompt: {json.dumps(blocked)[:200]}")
    raise ModelError(f"{name}: the answer holds no choices", retryable=True)


def _finish(choice: Mapping[str, Any]) -> str | None:
    found = choice.get("finish_reason")
    return found if isinstance(found, str) and found else None
