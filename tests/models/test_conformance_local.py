"""`local/` under the published chat-model suites."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel

from agentkit.models.llamacpp import LlamaCppChat
from tests.models.conformance import SMALL, WANTED, Integration, Unit, need


class TestUnit(Unit):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return LlamaCppChat

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"full_name": "local/tiny", "path": Path("tiny.gguf")}


@WANTED
@pytest.mark.model
class TestIntegration(Integration):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return LlamaCppChat

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "full_name": f"local/{SMALL}",
            "path": need(SMALL),
            "n_ctx": 4096,
            "n_threads": 1,  # two threads beside another busy process are many times slower
        }
