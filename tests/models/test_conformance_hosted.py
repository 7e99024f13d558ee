"""`openai/` under the published chat-model suites, against the server that `agentkit models serve` opens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel

from agentkit.models import load_model
from agentkit.models.catalog import model_file
from agentkit.models.litellm import LiteLLMChat
from tests.models.conformance import TINY, Integration, Unit, need


class TestUnit(Unit):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return LiteLLMChat

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"full_name": "openai/tiny", "api_base": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """The address of a running server."""
    need(TINY)
    from agentkit.models.llamacpp import Options, server_for

    options = Options(model_file(TINY), 4096, None, 999, api_key="", alias=TINY)
    yield f"{server_for(options).address}/v1"


@pytest.mark.model
class TestIntegration(Integration):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return LiteLLMChat

    @pytest.fixture
    def model(self, request: Any, served: str) -> BaseChatModel:
        extra: dict[str, Any] = getattr(request, "param", None) or {}
        return load_model(f"openai/{TINY}", api_base=served, max_tokens=100, **extra)
