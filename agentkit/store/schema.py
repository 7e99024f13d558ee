"""The metadata with every table of the store."""

from agentkit.store import cases, changes, curation, evolution, files, playbooks, runs
from agentkit.store.base import Base

TABLES = (runs, changes, playbooks, cases, curation, evolution, files)
metadata = Base.metadata

__all__ = ["TABLES", "metadata"]
