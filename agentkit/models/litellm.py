"""Hosted models, and every server that speaks their protocols, through LiteLLM."""

from __future__ import annotations

import gc
import json
import os
import warnings
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import cache
from types import ModuleType
from typing import Any, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.utils import convert_to_openai_messages
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool

from agentkit.aio import run_sync
from agentkit.errors import ContextOverflow, MissingKey, ModelError, ModelNotFound
from agentkit.models.base import NamedChat
from agentkit.models.wire import retry_after, usage_metadata

_PARAMETERS = ("temperature", "max_tokens", "seed", "top_p", "logprobs", "top_logprobs", "response_format")


class LiteLLMChat(NamedChat):
    """Any model LiteLLM knows as `provider/model`.

    Parameters that the provider does not know are left out.

    Args:
        api_base: another address than the provider's, such as a server of your own.
        api_key: None takes the provider's environment variable.
        request_timeout: seconds until a request is given up.
    """

    api_base: str | None = None
    api_key: str | None = None
    request_timeout: float = 600.0

    @property
    def _llm_type(self) -> str:
        return "litellm"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.full_name, "api_base": self.api_base}

    def bind_tools(self, tools: Sequence[Any], *, tool_choice: Any = None, **kwargs: Any) -> Any:
        """Offer tools; `tool_choice` is "auto", "any" (or "required", True), "none", or a tool's name."""
        formatted = [convert_to_openai_tool(tool) for tool in tools]
        return super().bind_tools(formatted, tool_choice=_choice(tool_choice, formatted), **kwargs)

    def _generate(self, messages: list[BaseMessage], stop: list[str] | None = None,
                  run_manager: CallbackManagerForLLMRun | None = None, **kwargs: Any) -> ChatResult:  # fmt: skip
        return run_sync(self._agenerate(messages, stop, None, **kwargs))

    async def _agenerate(self, messages: list[BaseMessage], stop: list[str] | None = None,
                         run_manager: AsyncCallbackManagerForLLMRun | None = None, **kwargs: Any
                         ) -> ChatResult:  # fmt: skip
        response = await self._request(messages, stop, kwargs)
        choice = response.choices[0]
        message = _message(choice.message)
        message.usage_metadata = usage_metadata(_dict(response.usage))
        message.response_metadata = {
            "model_name": self.full_name,
            "finish_reason": choice.finish_reason,
            "cost": _cost(response),
        }
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(self, messages: list[BaseMessage], stop: list[str] | None = None,
                run_manager: CallbackManagerForLLMRun | None = None, **kwargs: Any
                ) -> Iterator[ChatGenerationChunk]:  # fmt: skip
        source = self._astream(messages, stop, None, **kwargs)

        async def step() -> ChatGenerationChunk | None:
            return await anext(source, None)

        while (chunk := run_sync(step())) is not None:
            if run_manager and chunk.text:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(self, messages: list[BaseMessage], stop: list[str] | None = None,
                       run_manager: AsyncCallbackManagerForLLMRun | None = None, **kwargs: Any
                       ) -> AsyncIterator[ChatGenerationChunk]:  # fmt: skip
        options = {"stream": True, "stream_options": {"include_usage": True}}
        async for event in self._events(messages, stop, {**kwargs, **options}):
            chunk = _chunk(event, self.full_name)
            if run_manager and chunk.text:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _events(self, messages: Sequence[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
                      ) -> AsyncIterator[Any]:  # fmt: skip
        stream = await self._request(messages, stop, kwargs)
        try:
            async for event in stream:
                yield event
        except Exception as error:
            raise as_model_error(error, self.full_name) from error

    async def _request(self, messages: Sequence[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]) -> Any:
        given = {name: kwargs.get(name, getattr(self, name, None)) for name in _PARAMETERS}
        given |= {name: kwargs[name] for name in ("tools", "tool_choice", "stream", "stream_options") if name in kwargs}
        given = {name: value for name, value in given.items() if value is not None}
        if stops := stop or self.stop:
            given["stop"] = stops
        litellm = load_litellm()
        try:
            return await litellm.acompletion(
                model=self.full_name,
                messages=convert_to_openai_messages(list(messages)),
                api_base=self.api_base,
                api_key=self.api_key,
                timeout=self.request_timeout,
                num_retries=0,
                max_retries=0,
                drop_params=True,
                **given,
            )
        except Exception as error:
            raise as_model_error(error, self.full_name) from error


@cache
def load_litellm() -> ModuleType:
    """Import LiteLLM, which takes seconds, without its fetching a price list from the network.

    What its import has made lives as long as the process. It is taken out of the garbage collector's sight, whose full
    collections would otherwise walk it again and again: a quarter of the processor time of a busy run.
    """
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    warnings.filterwarnings("ignore", r"Item '\w+' on TypedDict class", UserWarning)  # built at its first call
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    gc.collect()
    gc.freeze()
    return cast("ModuleType", litellm)


def open_litellm(name: str, **options: Any) -> LiteLLMChat:
    """Check that LiteLLM knows the provider and has its key, before any request.

    Raises:
        ModelNotFound: no such provider.
        MissingKey: names the environment variables that are not set.
    """
    litellm = load_litellm()
    try:
        _model, provider, _key, _base = litellm.get_llm_provider(name, api_base=options.get("api_base"))
    except Exception as error:
        raise ModelNotFound(
            f"unknown model {name!r}: no such provider; use provider/model, local/NAME or hf/REPO"
        ) from error
    if options.get("api_base"):  # a server of one's own need not have keys, but clients insist on one
        key_name = f"{provider.upper()}_API_KEY"
        options = {"api_key": os.environ.get(key_name) or "none", **options}
    elif not options.get("api_key"):
        needed = litellm.validate_environment(name)
        if missing := needed.get("missing_keys"):
            raise MissingKey(f"{name} needs {' and '.join(missing)} in the environment (provider {provider})")
    return LiteLLMChat(full_name=name, **options)


def as_model_error(error: Exception, name: str) -> ModelError:
    """What a LiteLLM exception means for us: whether to try again, when, and the line to show."""
    litellm = load_litellm()
    line = f"{name}: {_first_line(error)}"
    if isinstance(error, ModelError):
        return error
    if isinstance(error, litellm.ContextWindowExceededError) or "context size" in str(error):
        return ContextOverflow(f"{line}; shorten the prompt or take a model with a larger context", status=400)
    status = getattr(error, "status_code", None)
    retryable = (litellm.RateLimitError, litellm.Timeout, litellm.APIConnectionError, litellm.InternalServerError,
                 litellm.ServiceUnavailableError, litellm.BadGatewayError)  # fmt: skip
    again = isinstance(error, retryable) or status in (408, 409, 429) or (status or 0) >= 500
    return ModelError(line, retryable=again, status=status, retry_after=retry_after(error))


def _first_line(error: Exception) -> str:
    return str(getattr(error, "message", None) or error).strip().split("\n")[0][:300] or type(error).__name__


def _choice(choice: Any, tools: list[dict[str, Any]]) -> Any:
    if choice in ("any", True):
        return "required"
    names = {tool["function"]["name"] for tool in tools}
    return {"type": "function", "function": {"name": choice}} if choice in names else choice


def _message(message: Any) -> AIMessage:
    calls, invalid = [], []
    for call in message.tool_calls or []:
        try:
            arguments = json.loads(call.function.arguments or "{}")
            calls.append({"name": call.function.name, "args": arguments, "id": call.id})
        except json.JSONDecodeError as error:
            invalid.append({"name": call.function.name, "args": call.function.arguments, "id": call.id,
                            "error": str(error)})  # fmt: skip
    return AIMessage(message.content or "", tool_calls=calls, invalid_tool_calls=invalid)


def _chunk(event: Any, name: str) -> ChatGenerationChunk:
    usage = getattr(event, "usage", None)
    if not event.choices:
        message = AIMessageChunk(content="", usage_metadata=usage_metadata(_dict(usage)))
        message.response_metadata = {"cost": _stream_cost(name, usage)}
        return ChatGenerationChunk(message=message)
    choice = event.choices[0]
    calls = [
        {"name": call.function.name, "args": call.function.arguments, "id": call.id, "index": call.index}
        for call in choice.delta.tool_calls or []
    ]
    message = AIMessageChunk(content=choice.delta.content or "", tool_call_chunks=calls)
    if usage:
        message.usage_metadata = usage_metadata(_dict(usage))
        message.response_metadata = {"cost": _stream_cost(name, usage)}
    if choice.finish_reason:
        message.response_metadata |= {"model_name": name, "finish_reason": choice.finish_reason}
    return ChatGenerationChunk(message=message)


def _cost(response: Any) -> float:
    hidden = getattr(response, "_hidden_params", None) or {}
    return float(hidden.get("response_cost") or 0.0)


def _stream_cost(name: str, usage: Any) -> float:
    """Dollars of a streamed answer; 0 for a model without a known price."""
    litellm = load_litellm()
    if usage is None or not {name, name.partition("/")[2]} & litellm.model_cost.keys():
        return 0.0
    written = litellm.cost_per_token(
        model=name, prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens
    )
    return float(sum(written))


def _dict(usage: Any) -> dict[str, Any]:
    return {} if usage is None else usage.model_dump()
