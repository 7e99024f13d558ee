"""What all of AgentKit's own chat models share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.base import LangSmithParams
from langchain_core.utils.function_calling import convert_to_openai_tool


class NamedChat(BaseChatModel):
    """A chat model that `load_model` made.

    Args:
        full_name: the name it was loaded by, `kind/model`.
        temperature: 0 is greedy.
        max_tokens: of one answer.
        seed: for sampling.
        stop: texts that end an answer and are not part of it.
    """

    full_name: str
    temperature: float | None = 0.0
    max_tokens: int | None = None
    seed: int | None = None
    stop: list[str] | None = None

    def bind_tools(self, tools: Sequence[Any], *, tool_choice: Any = None, **kwargs: Any) -> Any:
        """Offer tools; `tool_choice` is "auto", "any" (or "required", True), "none", or a tool's name."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], tool_choice=tool_choice, **kwargs)

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop or self.stop, **kwargs)
        provider, _, model = self.full_name.partition("/")
        params["ls_provider"] = provider
        params["ls_model_name"] = kwargs.get("model") or model
        return params
