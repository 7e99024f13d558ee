"""`hf/` under the published chat-model suites."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel

from agentkit.models import load_model
from agentkit.models.transformers import TransformersChat
from tests.models.conformance import TINY, Integration, Unit, need


class TestUnit(Unit):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return TransformersChat

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"full_name": "hf/tiny", "repo": "tiny"}


@pytest.mark.model
class TestIntegration(Integration):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return TransformersChat

    @pytest.fixture
    def model(self, request: Any) -> BaseChatModel:
        need(TINY)
        extra: dict[str, Any] = getattr(request, "param", None) or {}
        return load_model(f"hf/{TINY}", max_tokens=100, **extra)
