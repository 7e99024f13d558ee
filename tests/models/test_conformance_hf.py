"""`hf/` under the published chat-model suites."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel

from agentkit.models.transformers import TransformersChat
from tests.models.conformance import SMALL, WANTED, Integration, Unit, need


class TestUnit(Unit):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return TransformersChat

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"full_name": "hf/tiny", "repo": "tiny"}


@WANTED
@pytest.mark.model
class TestIntegration(Integration):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return TransformersChat

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"full_name": f"hf/{SMALL}", "repo": str(need(SMALL).parent), "gguf_file": need(SMALL).name}
