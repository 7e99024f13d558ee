"""What the published chat-model suites are told about our models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from agentkit.errors import ModelFileError
from agentkit.models.catalog import model_file

SMALL, TINY = "qwen2.5-coder-1.5b", "smollm2-135m"


def need(name: str) -> Path:
    """The model's file; skips where it is not in the cache."""
    try:
        return model_file(name)
    except ModelFileError as error:
        pytest.skip(str(error))


WANTED = pytest.mark.skipif(
    "MODEL_SUITES" not in os.environ,
    reason="minutes for each kind of model: MODEL_SUITES=1 python -m pytest tests/models -m model",
)


class Unit(ChatModelUnitTests):
    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def structured_output_kwargs(self) -> dict[str, Any]:
        return {"method": "function_calling"}


class Integration(ChatModelIntegrationTests):
    """Sub-classes name the class and its arguments. Answers are short: what is tested is their form."""

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        return {"temperature": 0, "max_tokens": 300}  # a small model can take this long to end a JSON string

    @property
    def supported_usage_metadata_details(self) -> dict[str, Any]:
        return {"invoke": [], "stream": []}
