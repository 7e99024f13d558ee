"""Training: a local model learns from its own runs; what it learns is an adapter, one more thing that evolves."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentkit.training.examples import Attempt, Example
    from agentkit.training.lora import LoraSettings
    from agentkit.training.recipes import Edits, Hints, Own, Recipe
    from agentkit.training.run import TrainConfig, TrainingReport, atrain_adapter, train_adapter

_HOMES = {
    "Attempt": "examples",
    "Edits": "recipes",
    "Example": "examples",
    "Hints": "recipes",
    "LoraSettings": "lora",
    "Own": "recipes",
    "Recipe": "recipes",
    "TrainConfig": "run",
    "TrainingReport": "run",
    "atrain_adapter": "run",
    "train_adapter": "run",
}

__all__ = [
    "Attempt",
    "Edits",
    "Example",
    "Hints",
    "LoraSettings",
    "Own",
    "Recipe",
    "TrainConfig",
    "TrainingReport",
    "atrain_adapter",
    "train_adapter",
]


def __getattr__(name: str) -> Any:
    """Public names are imported when first used: torch takes seconds to load."""
    if name not in _HOMES:
        raise AttributeError(f"module 'agentkit.training' has no attribute {name!r}")
    return getattr(import_module(f"agentkit.training.{_HOMES[name]}"), name)
