"""Training: a local model learns from its own runs. The result is an adapter, which evolves like everything else."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentkit.training.examples import Attempt, Example
    from agentkit.training.filters import Keep
    from agentkit.training.learner import AdapterLessons, adapter_part
    from agentkit.training.lora import LoraSettings
    from agentkit.training.probes import general_probes
    from agentkit.training.recipes import Calls, Edits, Hints, Own, Recipe, Refine, Refinement, Tree
    from agentkit.training.run import TrainConfig, TrainingReport, atrain_adapter, train_adapter
    from agentkit.training.upkeep import Forgotten, compare, forget, merge

_HOMES = {
    "AdapterLessons": "learner",
    "Attempt": "examples",
    "Calls": "recipes",
    "Edits": "recipes",
    "Example": "examples",
    "Forgotten": "upkeep",
    "Hints": "recipes",
    "Keep": "filters",
    "LoraSettings": "lora",
    "Own": "recipes",
    "Recipe": "recipes",
    "Refine": "recipes",
    "Refinement": "recipes",
    "TrainConfig": "run",
    "TrainingReport": "run",
    "Tree": "recipes",
    "adapter_part": "learner",
    "atrain_adapter": "run",
    "compare": "upkeep",
    "forget": "upkeep",
    "general_probes": "probes",
    "merge": "upkeep",
    "train_adapter": "run",
}

__all__ = [
    "AdapterLessons",
    "Attempt",
    "Calls",
    "Edits",
    "Example",
    "Forgotten",
    "Hints",
    "Keep",
    "LoraSettings",
    "Own",
    "Recipe",
    "Refine",
    "Refinement",
    "TrainConfig",
    "TrainingReport",
    "Tree",
    "adapter_part",
    "atrain_adapter",
    "compare",
    "forget",
    "general_probes",
    "merge",
    "train_adapter",
]


def __getattr__(name: str) -> Any:
    """Import public names on first use: torch takes seconds to load."""
    if name not in _HOMES:
        raise AttributeError(f"module 'agentkit.training' has no attribute {name!r}")
    return getattr(import_module(f"agentkit.training.{_HOMES[name]}"), name)
