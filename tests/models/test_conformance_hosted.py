"""Hosted models under the published suites of chat models; `openai/` against what `agentkit models serve` opens."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel

from agentkit.models.litellm import LiteLLMChat
from agentkit.models.openai import OpenAIChat
from tests.models.conformance import SMALL, WANTED, Integration, Unit, need


class TestUnit(Unit):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return OpenAIChat

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"full_name": "openai/tiny", "api_base": "http://127.0.0.1:9"}


class TestLiteLLM(Unit):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return LiteLLMChat

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"full_name": "mistral/tiny", "api_key": "none"}


def served() -> str:
    """The address of a running server, one for the whole process."""
    from agentkit.models.llamacpp import server_for, serving

    need(SMALL)
    return f"{server_for(serving(SMALL, n_ctx=4096)).address}/v1"


@WANTED
@pytest.mark.model
class TestIntegration(Integration):
    @property
    def structured_output_kwargs(self) -> dict[str, Any]:
        return {"method": "json_schema"}  # what this server holds a model to

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return OpenAIChat

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"full_name": f"openai/{SMALL}", "api_base": served(), "api_key": "none"}
