"""What tests of memory share."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentkit.memory import CaseMemory, HashEmbedder
from agentkit.store import Store


@pytest.fixture
def memory(store: Store, tmp_path: Path) -> CaseMemory:
    return CaseMemory.open(store, embedder=HashEmbedder(), home=tmp_path)


@pytest.fixture
def any_memory(any_store: Store, tmp_path: Path) -> CaseMemory:
    return CaseMemory.open(any_store, embedder=HashEmbedder(), home=tmp_path)
