"""What hosted models share: OpenAI's chat format, which LiteLLM uses for every provider."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.messages import BaseMessage
from langchain_core.messages.utils import convert_to_openai_messages
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool

from agentkit.aio import run_sync
from agentkit.json_types import JsonObject
from agentkit.models.base import NamedChat, atell, tell
from agentkit.models.pricing import load_litellm, price
from agentkit.models.replies import read_message
from agentkit.models.streams import StreamReader

SETTINGS = ("temperature", "max_tokens", "seed", "top_p", "logprobs", "top_logprobs")
"""Request parameters that are plain values."""
_GIVEN = ("tools", "tool_choice", "response_format")


class HostedChat(NamedChat):
    """A model behind HTTP. Parameters that the provider does not support are omitted.

    Args:
        api_base: a URL other than the provider's, such as your own server.
        api_key: None uses the provider's environment variable.
        request_timeout: seconds until a request is abandoned.
    """

    api_base: str | None = None
    api_key: str | None = None
    request_timeout: float = 600.0

    @abstractmethod
    async def _complete(self, request: JsonObject) -> Mapping[str, Any]:
        """The provider's response to a request, both in OpenAI's format, with the price in dollars as `cost`.

        Raises:
            ModelError: the request failed for any reason.
        """

    @abstractmethod
    def _events(self, request: JsonObject) -> AsyncIterator[Mapping[str, Any]]:
        """The events of a streamed response."""

    @property
    def takes_images(self) -> bool:
        """Whether LiteLLM lists it as accepting images; True for unknown models and for your own servers."""
        if self.api_base is not None:
            return True
        known = load_litellm().model_cost
        found = known.get(self.full_name) or known.get(self.full_name.partition("/")[2])
        return found is None or bool(found.get("supports_vision"))

    @property
    def _identifying_params(self) -> JsonObject:
        return {"model": self.full_name, "api_base": self.api_base}

    def bind_tools(self, tools: Sequence[Any], *, tool_choice: Any = None, **kwargs: Any) -> Any:
        """Offer tools; `tool_choice` is "auto", "any" (or "required", True), "none", or a tool's name."""
        formatted = [convert_to_openai_tool(tool) for tool in tools]
        return super().bind_tools(formatted, tool_choice=_choice(tool_choice, formatted), **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return run_sync(self._agenerate(messages, stop, None, **kwargs))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        response = await self._complete(self._request(messages, stop, kwargs))
        return ChatResult(generations=[ChatGeneration(message=read_message(response, self.full_name))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        source = self._astream(messages, stop, None, **kwargs)

        async def step() -> ChatGenerationChunk | None:
            return await anext(source, None)

        while (chunk := run_sync(step())) is not None:
            tell(run_manager, chunk)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        options = {"stream": True, "stream_options": {"include_usage": True}}
        reader = StreamReader(self.full_name)
        async for event in self._events(self._request(messages, stop, kwargs) | options):
            if (chunk := reader.read(event)) is not None:
                await atell(run_manager, chunk)
                yield chunk
        yield reader.end(price(self.full_name, reader.usage))

    def _request(self, messages: Sequence[BaseMessage], stop: list[str] | None, kwargs: JsonObject) -> JsonObject:
        given = {name: kwargs.get(name, getattr(self, name, None)) for name in SETTINGS}
        given |= {name: kwargs[name] for name in _GIVEN if name in kwargs} | {"stop": stop or self.stop or None}
        given = {name: value for name, value in given.items() if value is not None}
        return {"messages": convert_to_openai_messages(list(messages)), **given}


def _choice(choice: Any, tools: list[JsonObject]) -> Any:
    if choice in ("any", True):
        return "required"
    names = {tool["function"]["name"] for tool in tools}
    return {"type": "function", "function": {"name": choice}} if choice in names else choice
