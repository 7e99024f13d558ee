"""Streamed answers in OpenAI's format: server-sent events, and the variants in which servers stream tool calls."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from agentkit.errors import ModelError
from agentkit.json_types import JsonObject
from agentkit.models.refusals import refusal
from agentkit.models.replies import first_choice
from agentkit.models.wire import MAX_CALLS, beside, calls_of, clean_usage, function_of, read_texts, usage_metadata
from agentkit.text import clean

_FIELDS = (b":", b"event:", b"id:", b"retry:")
"""Lines of an event stream that carry no data."""


async def read_events(lines: AsyncIterable[bytes], name: str) -> AsyncIterator[JsonObject]:
    """Yield the JSON objects of an event stream until it ends.

    An object may span several `data:` lines, or be the whole body of a server that does not stream.

    Raises:
        ModelError: the stream contains something that is not JSON, reports an error, or ends before the answer does.
    """
    held, ended = b"", False
    async for line in lines:
        data = line.strip().removeprefix(b"\xef\xbb\xbf")
        if data.startswith(b"data:"):
            data = data[5:].strip()
        elif data.startswith(_FIELDS):
            continue
        if data == b"[DONE]":
            ended = True
            break
        held += data
        if not held or (event := _json(held)) is None:
            continue
        held = b""
        if isinstance(event, dict):
            ended = ended or _is_last(event)
            yield event
        else:
            raise refusal(name, None, event)
    if held:
        raise refusal(name, None, held)
    if not ended:
        raise ModelError(f"{name}: the stream ended before the answer did", retryable=True)


def _json(data: bytes) -> Any:
    """The JSON value, or None if it is not complete yet."""
    if data[:1] not in b"{[":
        return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _is_last(event: Mapping[str, Any]) -> bool:
    choices = event.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return isinstance(first, dict) and bool(first.get("finish_reason") or first.get("message"))


@dataclass
class _Call:
    """A tool call, as far as it has been received."""

    position: int
    index: str | None
    id: str | None = None
    name: str = ""
    text: str = ""

    @property
    def is_whole(self) -> bool:
        return self.text[:1] == "{" and _json(self.text.encode(errors="replace")) is not None


class StreamReader:
    """Converts the events of one streamed answer into chunks that add up to the message.

    Calls are distinguished by index or else by id. A name that is sent again is not appended twice, and a token count
    that is sent again replaces the earlier one.

    Args:
        name: the model's name.
    """

    def __init__(self, name: str) -> None:
        self._name, self._calls = name, list[_Call]()
        self._usage: JsonObject | None = None
        self._finish: str | None = None
        self._half, self._any = "", False
        self._logprobs = list[JsonObject]()

    @property
    def usage(self) -> JsonObject | None:
        """Token counts in OpenAI's format; None if the server sent none."""
        return self._usage

    def read(self, event: Mapping[str, Any]) -> ChatGenerationChunk | None:
        """The chunk for an event; None if the event contains no part of the answer.

        Raises:
            ModelError: the event is an error, or there are too many calls.
        """
        if event.get("usage"):
            self._usage = _larger(self._usage or {}, clean_usage(event["usage"]))
        if not event.get("choices") and not event.get("error") and ("choices" in event or event.get("usage")):
            return None
        choice = first_choice(event, self._name)
        self._any = True
        if isinstance(reason := choice.get("finish_reason"), str) and reason:
            self._finish = reason
        self._logprobs += _logprobs_of(choice)
        given = choice.get("delta") or choice.get("message")
        if not isinstance(given, dict):
            return None
        text, thoughts = read_texts(given, self._name)
        calls = [piece for call in calls_of(given) if (piece := self._piece(call)) is not None]
        message = AIMessageChunk(
            content=self._whole(text), tool_call_chunks=calls, additional_kwargs=beside(given, thoughts)
        )
        return ChatGenerationChunk(message=message)

    def end(self, cost: float | None) -> ChatGenerationChunk:
        """The last chunk: the finish reason, the usage, and the price in dollars.

        Raises:
            ModelError: the stream was empty.
        """
        if not self._any:
            raise ModelError(f"{self._name}: the stream contained no answer", retryable=True)
        message = AIMessageChunk(content=clean(self._half))
        message.response_metadata = {"model_name": self._name, "finish_reason": self._finish}
        if cost is not None:
            message.response_metadata["cost"] = cost
        if self._logprobs:
            message.response_metadata["logprobs"] = {"content": self._logprobs}
        if self._usage is not None:
            message.usage_metadata = usage_metadata(self._usage)
        return ChatGenerationChunk(message=message)

    def _whole(self, text: str) -> str:
        """The text, joined with half a character left over from the previous piece; a half at the end is held back in
        turn."""
        text, self._half = self._half + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return clean(text)

    def _piece(self, call: object) -> JsonObject:
        function, found = function_of(call), call if isinstance(call, dict) else {}
        name, text = function.get("name"), function.get("arguments")
        name = name if isinstance(name, str) else ""
        text = text if isinstance(text, str) else "" if text is None else json.dumps(text)
        identity = found["id"] if isinstance(found.get("id"), str) and found["id"] else None
        index = str(found["index"]) if str(found.get("index")).isdecimal() else None
        known = self._known(index, identity, opens=bool(name and text))
        new, first = (name[len(known.name) :] if name.startswith(known.name) else name), known.id is None
        known.name, known.text, known.id = known.name + new, known.text + text, known.id or identity
        shown = identity if first else None
        return {"name": new or None, "args": text, "id": shown, "index": known.position, "type": "tool_call_chunk"}

    def _known(self, index: str | None, identity: str | None, *, opens: bool) -> _Call:
        """The call that a piece belongs to: by id, else by index, else the last one.

        If ids don't decide, a piece that `opens` a call (a name with arguments) after a complete one starts the next
        call.
        """
        same = [call for call in self._calls if identity is not None and call.id == identity]
        if not same and (index is not None or identity is None):
            last = [call for call in self._calls if index is None or call.index == index][-1:]
            same = [call for call in last if not (identity and call.id) and not (opens and call.is_whole)]
        if same:
            return same[0]
        if len(self._calls) == MAX_CALLS:
            raise ModelError(f"{self._name}: more than {MAX_CALLS} tool calls in one answer", retryable=True)
        self._calls.append(_Call(len(self._calls), index))
        return self._calls[-1]


def _logprobs_of(choice: Mapping[str, Any]) -> list[JsonObject]:
    """The tokens of a piece with their log-probabilities; empty if the server sends none."""
    told = choice.get("logprobs")
    tokens = told.get("content") if isinstance(told, dict) else None
    return [token for token in tokens if isinstance(token, dict)] if isinstance(tokens, list) else []


def _larger(first: Mapping[str, Any], second: Mapping[str, Any]) -> JsonObject:
    """The larger of each count: counts may grow from event to event, or be spread over several."""
    return {
        key: _larger(first.get(key) or {}, value) if isinstance(value, dict) else max(first.get(key) or 0, value)
        for key, value in second.items()
    }
