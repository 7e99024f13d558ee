"""Evolution: an agent learns from tasks, every change is tested before it takes effect, and a report shows the gain."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentkit.evolution.config import EvolveConfig
    from agentkit.evolution.loop import Evolution
    from agentkit.evolution.protocols import Evolvable
    from agentkit.evolution.run import EvolutionReport, aevolve, evolve, evolve_agent

_HOMES = {
    "Evolution": "loop",
    "Evolvable": "protocols",
    "EvolveConfig": "config",
    "EvolutionReport": "run",
    "aevolve": "run",
    "evolve": "run",
    "evolve_agent": "run",
}

__all__ = ["Evolution", "EvolutionReport", "Evolvable", "EvolveConfig", "aevolve", "evolve", "evolve_agent"]


def __getattr__(name: str) -> Any:
    """Public names are imported on first use, so that `import agentkit.evolution` stays fast."""
    if name not in _HOMES:
        raise AttributeError(f"module 'agentkit.evolution' has no attribute {name!r}")
    return getattr(import_module(f"agentkit.evolution.{_HOMES[name]}"), name)
