"""`replay/FILE` models: a real model's answers, recorded to a file and replayed from it."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import PrivateAttr

from agentkit.errors import DataError
from agentkit.json_types import JsonObject
from agentkit.models.journal import response_of
from agentkit.models.requests import request_hash
from agentkit.tasks import read_jsonl


class OfflineChat(BaseChatModel):
    """A model without a connection; subclasses supply the answers."""

    name: str | None = None

    @property
    def _llm_type(self) -> str:
        return "agentkit-testing"

    @property
    def full_name(self) -> str:
        return self.name or f"test/{type(self).__name__}"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        message = self._answer(messages, stop=stop, **kwargs)
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._generate(messages, stop, **kwargs)

    def _answer(self, messages: list[BaseMessage], **kwargs: Any) -> AIMessage:
        raise NotImplementedError


class RecordedModel(OfflineChat):
    """Replays a real model's answers from a JSONL file, and records those that are missing.

    Answers are looked up by the request's hash and by how often it has been made, so replay does not depend on order or
    concurrency.

    Args:
        path: the recording.
        model: the real model; with None it only replays, and a request that is not in the file is an error.
        log: a file that gets one line per call.
    """

    path: Path
    model: BaseChatModel | None = None
    log: str | None = None
    _recorded: dict[str, JsonObject] = PrivateAttr(default_factory=dict)
    _held: bool = PrivateAttr(default=False)
    _seen: Counter[str] = PrivateAttr(default_factory=Counter)
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    def __init__(self, path: str | Path, model: BaseChatModel | None = None, **kwargs: Any) -> None:
        super().__init__(path=Path(path), model=model, **kwargs)
        if self.path.exists() or model is None:
            self._recorded = {row["key"]: row for _, row in read_jsonl(self.path)}
            self._held = any(row.get("constrained") for row in self._recorded.values())

    @property
    def full_name(self) -> str:
        return self.name or f"replay/{self.path.name}"

    @property
    def constrained(self) -> bool:
        """Whether the recorded model decodes answers under their schema."""
        if self.model is not None:
            return bool(getattr(self.model, "constrained", False))
        return self._held

    def _answer(self, messages: list[BaseMessage], **kwargs: Any) -> AIMessage:
        tools = kwargs.get("tools") or []
        params = {key: kwargs.get(key) for key in ("stop", "seed", "tool_choice", "response_format")}
        digest = request_hash("", messages, tools=tools, params=params)
        with self._lock:
            self._seen[digest] += 1
            key = f"{digest}/{self._seen[digest]}"
        row = self._recorded.get(key)
        if row is None and self.model is None:
            row = self._recorded.get(f"{digest}/1")
        if row is None:
            row = self._record(key, messages, kwargs)
        if self.log:
            append_line(self.log, {"key": key})
        return AIMessage(**row["response"], usage_metadata=row["usage"])

    def _record(self, key: str, messages: list[BaseMessage], kwargs: JsonObject) -> JsonObject:
        if self.model is None:
            last = str(messages[-1].content)[:60].replace("\n", " ")
            raise DataError(f"no recorded answer to the request that ends {last!r}", path=self.path)
        given = {name: value for name, value in kwargs.items() if value is not None}
        message = self.model.invoke(messages, **given)
        usage = message.usage_metadata or UsageMetadata(input_tokens=0, output_tokens=0, total_tokens=0)
        row: JsonObject = {"key": key, "response": response_of(message), "usage": dict(usage)}
        if self.constrained:
            row["constrained"] = True
        with self._lock:
            append_line(self.path, row)
            self._recorded[key] = row
        return row


def append_line(path: str | Path, row: JsonObject) -> None:
    """Append one whole line; safe when several processes append."""
    line = (json.dumps(row, ensure_ascii=False) + "\n").encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)
