"""AgentKit: agents that get better with use, and show the proof.

    from agentkit import Agent

    with Agent("local/qwen2.5-coder-1.5b", tools=["calculator"]) as agent:
        print(agent.run("What is 391 * 27? Use the calculator.").answer)

The names below are imported on first use, so that `import agentkit` stays fast.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

_here = Path(__file__).parent
if not (_here / "memory").exists():  # a source checkout, where the sub-packages are siblings of this folder
    __path__.append(str(_here.parent))

if TYPE_CHECKING:
    from agentkit.agent import Agent
    from agentkit.errors import AgentKitError
    from agentkit.evolution import aevolve, evolve
    from agentkit.ledger import Change, Ledger, Verdict
    from agentkit.models import Budget, load_embedder, load_model
    from agentkit.result import Result
    from agentkit.settings import Settings, load_settings
    from agentkit.store import Store
    from agentkit.tasks import Feedback, Task, load_tasks
    from agentkit.tools import tool

_HOMES = {
    "Agent": "agent",
    "AgentKitError": "errors",
    "Budget": "models",
    "Change": "ledger",
    "Feedback": "tasks",
    "Ledger": "ledger",
    "Result": "result",
    "Settings": "settings",
    "Store": "store",
    "Task": "tasks",
    "Verdict": "ledger",
    "aevolve": "evolution",
    "evolve": "evolution",
    "load_embedder": "models",
    "load_model": "models",
    "load_settings": "settings",
    "load_tasks": "tasks",
    "tool": "tools",
}

__all__ = [
    "Agent",
    "AgentKitError",
    "Budget",
    "Change",
    "Feedback",
    "Ledger",
    "Result",
    "Settings",
    "Store",
    "Task",
    "Verdict",
    "aevolve",
    "evolve",
    "load_embedder",
    "load_model",
    "load_settings",
    "load_tasks",
    "tool",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'agentkit' has no attribute {name!r}")
    return getattr(import_module(f"agentkit.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
