from __future__ import annotations

from pathlib import Path

import pytest

from tests.models.tiny_gguf import make_tiny_gguf


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file of random weights."""
    for name in ("xllamacpp", "gguf", "torch", "transformers", "peft"):
        pytest.importorskip(name, reason="the training extra is not installed")
    path = tmp_path_factory.mktemp("tiny") / "tiny.gguf"
    make_tiny_gguf(path, context=512)
    return path
