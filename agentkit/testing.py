"""Models for tests, yours and ours: scripted, recorded, counted. None of them opens a connection."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatResult
from pydantic import PrivateAttr

from agentkit.models.recorded import OfflineChat, RecordedModel, append_line

Reply = str | dict[str, Any] | AIMessage | Exception
"""A text, `{"tool": name, "arguments": {…}}` or a list of such in an AIMessage, or an error to raise."""


class ScriptedModel(OfflineChat):
    """A model that answers from a script.

    Args:
        replies: a list of replies given in turn (the last one is repeated), or a function of the messages and the names
            of the available tools. A dictionary without `"tool"` is a structured answer; where plain text is wanted,
            its `"answer"` is returned.
        log: a file that gets one line per call, so that calls can be counted across processes that are killed.
    """

    replies: Any
    log: str | None = None
    latency: float = 0.0
    _given: int = PrivateAttr(default=0)
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    def __init__(
        self, replies: Sequence[Reply] | Callable[[list[BaseMessage], list[str]], Reply], **kwargs: Any
    ) -> None:
        super().__init__(replies=replies, **kwargs)

    @property
    def calls(self) -> int:
        """How many calls were made."""
        return self._given

    async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
        if self.latency:
            await asyncio.sleep(self.latency)
        kwargs.pop("run_manager", None)
        return self._generate(*args, **kwargs)

    def _answer(self, messages: list[BaseMessage], **kwargs: Any) -> AIMessage:
        names = _callable(kwargs.get("tools") or [], kwargs.get("tool_choice"))
        with self._lock:
            position, self._given = self._given, self._given + 1
        reply = self.replies(messages, names) if callable(self.replies) else self._scripted(position)
        if self.log:
            append_line(self.log, {"messages": len(messages), "tools": names})
        if isinstance(reply, Exception):
            raise reply
        return _message(reply, messages, position, names)

    def _scripted(self, position: int) -> Reply:
        reply: Reply = self.replies[min(position, len(self.replies) - 1)]
        return reply


def _callable(tools: Sequence[Any], choice: Any) -> list[str]:
    """Names of the tools that may be called."""
    names = [tool["function"]["name"] for tool in tools]
    return [] if choice == "none" else [choice] if choice in names else names


def _message(reply: Reply, messages: list[BaseMessage], position: int, names: list[str]) -> AIMessage:
    if isinstance(reply, AIMessage):
        return reply
    assert not isinstance(reply, Exception)
    if (
        isinstance(reply, dict)
        and "tool" not in reply
        and "answer" not in names
        and isinstance(reply.get("answer"), str)
    ):
        reply = str(reply["answer"])
    text = reply if isinstance(reply, str) else ""
    calls = []
    if isinstance(reply, dict):
        name, arguments = reply.get("tool", "answer"), reply.get("arguments", reply)
        if names and name not in names:
            raise AssertionError(f"the script calls {name!r}, on offer are {names}")
        calls = [{"name": name, "args": arguments, "id": f"call_{position}"}]
    size = sum(len(str(message.content)) for message in messages) // 4
    written = len(json.dumps(reply)) // 4 + 1
    usage = UsageMetadata(input_tokens=size, output_tokens=written, total_tokens=size + written)
    return AIMessage(text, tool_calls=calls, usage_metadata=usage)


def count_lines(path: str | Path) -> int:
    """How many calls a log file records."""
    return len(Path(path).read_bytes().splitlines()) if Path(path).exists() else 0


@contextmanager
def no_network() -> Iterator[None]:
    """While this is active, connecting to another machine raises AssertionError; loopback and Unix sockets work."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a connection to {address[0]}:{address[1]} was attempted under no_network()")
        real(self, address)

    with mock.patch.object(socket.socket, "connect", connect):
        yield


__all__ = ["RecordedModel", "Reply", "ScriptedModel", "count_lines", "no_network"]
