"""`local/` under the published chat-model suites."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel

from agentkit.models import load_model
from agentkit.models.llamacpp import LlamaCppChat
from tests.models.conformance import TINY, Integration, Unit, need


class TestUnit(Unit):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return LlamaCppChat

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"full_name": "local/tiny", "path": Path("tiny.gguf")}


@pytest.mark.model
class TestIntegration(Integration):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return LlamaCppChat

    @pytest.fixture
    def model(self, request: Any) -> BaseChatModel:
        need(TINY)
        extra: dict[str, Any] = getattr(request, "param", None) or {}
        return load_model(f"local/{TINY}", n_ctx=4096, max_tokens=100, **extra)
