"""Every table of the store in one metadata."""

from agentkit.store import cases, changes, curation, evolution, playbooks, runs
from agentkit.store.base import Base

TABLES = (runs, changes, playbooks, cases, curation, evolution)
metadata = Base.metadata

__all__ = ["TABLES", "metadata"]
