"""Every provider that LiteLLM knows."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import AsyncIterator, Mapping
from functools import cache, lru_cache
from types import ModuleType
from typing import Any, cast

from agentkit.errors import ModelError
from agentkit.models.hosted import HostedChat
from agentkit.models.wire import headers_of, may_pass, one_line, overflow, retry_after


class LiteLLMChat(HostedChat):
    """Any model LiteLLM knows as `provider/model`."""

    @property
    def _llm_type(self) -> str:
        return "litellm"

    async def _complete(self, request: dict[str, Any]) -> Mapping[str, Any]:
        response = await self._call(request)
        hidden = getattr(response, "_hidden_params", None) or {}
        return {**response.model_dump(), "cost": float(hidden.get("response_cost") or 0.0)}

    async def _events(self, request: dict[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        stream = await self._call(request)
        try:
            async for event in stream:
                found = event.model_dump()
                yield {**found, "cost": price(self.full_name, found.get("usage"))}
        except Exception as error:
            raise as_model_error(error, self.full_name) from error

    async def _call(self, request: dict[str, Any]) -> Any:
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


def price(name: str, usage: Mapping[str, Any] | None) -> float:
    """Dollars for an answer with this usage, in OpenAI's form; 0 for a model without a known price."""
    rates = _rates(name) if usage else None
    if usage is None or rates is None:
        return 0.0
    details = usage.get("prompt_tokens_details") or {}
    if not rates or details.get("audio_tokens") or (usage.get("completion_tokens_details") or {}).get("audio_tokens"):
        litellm = load_litellm()
        return float(sum(litellm.cost_per_token(model=name, usage_object=litellm.Usage(**usage))))
    read, cached, written = rates
    again = details.get("cached_tokens") or 0
    fresh, said = usage["prompt_tokens"] - again, usage.get("completion_tokens") or 0
    return float(fresh * read + again * cached + said * written)


@lru_cache(maxsize=256)
def _rates(name: str) -> tuple[float, ...] | None:
    """Dollars a token read, read from the cache and written. Empty where a price is not that simple and LiteLLM, which
    takes a tenth of a call's time for it, has to be asked; None where it is not known."""
    litellm = load_litellm()
    if not {name, name.partition("/")[2]} & litellm.model_cost.keys():
        return None
    known = {key: value for key, value in litellm.get_model_info(name).items() if value}
    if any("_above_" in key or key == "tiered_pricing" for key in known) or "input_cost_per_token" not in known:
        return ()
    read = known["input_cost_per_token"]
    return read, known.get("cache_read_input_token_cost", read), known.get("output_cost_per_token", 0.0)


def as_model_error(error: Exception, name: str) -> ModelError:
    """What a LiteLLM exception means for us: whether to try again, when, and the line to show."""
    litellm = load_litellm()
    line = f"{name}: {one_line(getattr(error, 'message', None) or error) or type(error).__name__}"
    if isinstance(error, ModelError):
        return error
    if isinstance(error, litellm.ContextWindowExceededError) or "context size" in str(error):
        return overflow(line, 400)
    status = getattr(error, "status_code", None)
    retryable = (litellm.RateLimitError, litellm.Timeout, litellm.APIConnectionError, litellm.InternalServerError,
                 litellm.ServiceUnavailableError, litellm.BadGatewayError)  # fmt: skip
    again = isinstance(error, retryable) or may_pass(status)
    return ModelError(line, retryable=again, status=status, retry_after=retry_after(headers_of(error)))
