"""Playbooks: contexts that accumulate, refine and organise strategies without collapse (ACE, arXiv 2510.04618)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentkit.embedding import HashEmbedder
    from agentkit.playbooks.bullets import Bullet
    from agentkit.playbooks.credit import Effect
    from agentkit.playbooks.guard import CollapseGuard
    from agentkit.playbooks.hook import PlaybookHook
    from agentkit.playbooks.learner import LearningPolicy, PlaybookLearner
    from agentkit.playbooks.operations import Add, Delta, Merge, Retire, Revive, Split, Update, Vote
    from agentkit.playbooks.playbook import Playbook
    from agentkit.playbooks.recaller import PlaybookRecaller
    from agentkit.playbooks.rendering import Renderer
    from agentkit.playbooks.selection import Economy
    from agentkit.playbooks.similarity import Duplicates, Index
    from agentkit.playbooks.storage import PlaybookStore
    from agentkit.playbooks.stream_gate import StreamGate
    from agentkit.playbooks.withholding import Withholding

_HOME = {
    "Add": "operations",
    "Bullet": "bullets",
    "CollapseGuard": "guard",
    "Delta": "operations",
    "Duplicates": "similarity",
    "Economy": "selection",
    "Effect": "credit",
    "HashEmbedder": ".embedding",
    "Index": "similarity",
    "LearningPolicy": "learner",
    "Merge": "operations",
    "Playbook": "playbook",
    "PlaybookHook": "hook",
    "PlaybookLearner": "learner",
    "PlaybookRecaller": "recaller",
    "PlaybookStore": "storage",
    "Renderer": "rendering",
    "Retire": "operations",
    "Revive": "operations",
    "Split": "operations",
    "StreamGate": "stream_gate",
    "Update": "operations",
    "Vote": "operations",
    "Withholding": "withholding",
}

__all__ = [
    "Add",
    "Bullet",
    "CollapseGuard",
    "Delta",
    "Duplicates",
    "Economy",
    "Effect",
    "HashEmbedder",
    "Index",
    "LearningPolicy",
    "Merge",
    "Playbook",
    "PlaybookHook",
    "PlaybookLearner",
    "PlaybookRecaller",
    "PlaybookStore",
    "Renderer",
    "Retire",
    "Revive",
    "Split",
    "StreamGate",
    "Update",
    "Vote",
    "Withholding",
]


def __getattr__(name: str) -> Any:
    """Public names are imported on first use, so that `import agentkit.playbooks` stays fast."""
    if name not in _HOME:
        raise AttributeError(f"module 'agentkit.playbooks' has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
