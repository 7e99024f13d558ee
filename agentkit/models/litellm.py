"""Every provider that LiteLLM supports."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

from agentkit.errors import AgentKitError, ContextOverflow
from agentkit.json_types import JsonObject
from agentkit.models.hosted import HostedChat
from agentkit.models.pricing import dollars, load_litellm
from agentkit.models.refusals import headers_of, overflow, refusal
from agentkit.tls import certificate_problem

_PREFIX = re.compile(r"^(?:(?:litellm\.)?\w*(?:Error|Exception)\s*[:-]\s*)+")
"""The prefix that LiteLLM puts before a provider's own message: "litellm.BadRequestError: OpenAIException - "."""


class LiteLLMChat(HostedChat):
    """Any model that LiteLLM knows as `provider/model`."""

    @property
    def _llm_type(self) -> str:
        return "litellm"

    async def _complete(self, request: JsonObject) -> Mapping[str, Any]:
        response = await self._call(request)
        hidden = getattr(response, "_hidden_params", None) or {}
        return {**response.model_dump(), "cost": dollars(hidden.get("response_cost"))}

    async def _events(self, request: JsonObject) -> AsyncIterator[Mapping[str, Any]]:
        stream = await self._call(request)
        try:
            async for event in stream:
                yield event.model_dump()
        except Exception as error:
            raise as_model_error(error, self.full_name) from error

    async def _call(self, request: JsonObject) -> Any:
        try:
            return await load_litellm().acompletion(
                model=self.full_name,
                api_base=self.api_base,
                api_key=self.api_key,
                timeout=self.request_timeout,
                num_retries=0,
                max_retries=0,
                drop_params=True,
                **request,
            )
        except Exception as error:
            raise as_model_error(error, self.full_name) from error


def as_model_error(error: Exception, name: str) -> AgentKitError:
    """Convert a LiteLLM exception: whether to retry, when, and the message to show."""
    if isinstance(error, AgentKitError):
        return error
    if getattr(error, "status_code", None) in (None, 500) and (problem := certificate_problem()) is not None:
        return problem
    litellm = load_litellm()
    said = _PREFIX.sub("", str(getattr(error, "message", None) or error).strip()) or type(error).__name__
    status = getattr(error, "status_code", None)
    found = refusal(name, status if isinstance(status, int) else None, said, headers_of(error))
    if isinstance(error, litellm.ContextWindowExceededError) and not isinstance(found, ContextOverflow):
        return overflow(str(found), 400)
    return found
