"""Shell completion for the values of options. Each function imports only what it needs; an `AgentKitError` offers
nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import get_args

Complete = Callable[[str], list[str]]


def _begun(values: Iterable[str], begun: str) -> list[str]:
    return [value for value in values if value.startswith(begun)]


def models(begun: str) -> list[str]:
    """The chat models of the catalog, and the prefixes of other model names."""
    from agentkit.models.catalog import catalog

    known = [f"local/{name}" for name, entry in catalog().items() if entry.kind == "chat"]
    return _begun([*sorted(known), "hf/", "openai/", "anthropic/", "ollama/", "replay/"], begun)


def tools(begun: str) -> list[str]:
    """Built-in tools, completing the last name of a comma-separated list."""
    from agentkit.tools.loading import BUILT_IN

    head, comma, last = begun.rpartition(",")
    return [f"{head}{comma}{name}" for name in _begun(BUILT_IN, last.strip())]


def gates(begun: str) -> list[str]:
    from agentkit.settings import DailyGate

    return _begun(get_args(DailyGate), begun)


def efforts(begun: str) -> list[str]:
    return _begun(("auto", "instant", "reasoning", "agentic"), begun)


def policies(begun: str) -> list[str]:
    """Retrieval policies of a case memory."""
    from agentkit.memory import policy_names

    return _begun(policy_names(), begun)


def runs(begun: str) -> list[str]:
    """The newest runs; none if there is no database yet."""
    from agentkit.errors import AgentKitError
    from agentkit.settings import load_settings
    from agentkit.store import Store
    from agentkit.store.run_log import RunLog

    try:
        settings = load_settings()
        if settings.database is None and not (settings.home / "agentkit.db").exists():
            return []
        store = Store.open(settings.database_url, upgrade=False)
    except AgentKitError:
        return []
    try:
        return _begun((record.id for record in RunLog(store).runs(limit=100)), begun)
    finally:
        store.close()
