"""Case memory: an agent adapts from its own episodes without changing the model's weights (arXiv 2508.16153)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentkit.embedding import Embedder, HashEmbedder
    from agentkit.memory.case import Case, Filters, Hit
    from agentkit.memory.form_recaller import FormRecaller, FormSettings
    from agentkit.memory.learner import MemoryLearner
    from agentkit.memory.memory import CaseMemory
    from agentkit.memory.opening import open_cases
    from agentkit.memory.policies import POLICIES, Policy, load_policy, policy_names
    from agentkit.memory.policy_store import PolicyStore
    from agentkit.memory.recaller import MemoryRecaller, RecallSettings

_HOME = {
    "Case": "case",
    "Filters": "case",
    "Hit": "case",
    "Embedder": ".embedding",
    "HashEmbedder": ".embedding",
    "MemoryLearner": "learner",
    "CaseMemory": "memory",
    "POLICIES": "policies",
    "Policy": "policies",
    "load_policy": "policies",
    "policy_names": "policies",
    "PolicyStore": "policy_store",
    "MemoryRecaller": "recaller",
    "RecallSettings": "recaller",
    "open_cases": "opening",
    "FormRecaller": "form_recaller",
    "FormSettings": "form_recaller",
}

__all__ = [
    "POLICIES",
    "Case",
    "CaseMemory",
    "Embedder",
    "Filters",
    "FormRecaller",
    "FormSettings",
    "HashEmbedder",
    "Hit",
    "MemoryLearner",
    "MemoryRecaller",
    "Policy",
    "PolicyStore",
    "RecallSettings",
    "load_policy",
    "open_cases",
    "policy_names",
]


def __getattr__(name: str) -> Any:
    """Public names are imported on first use, so that `import agentkit.memory` stays fast."""
    if name not in _HOME:
        raise AttributeError(f"module 'agentkit.memory' has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
