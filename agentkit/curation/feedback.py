"""Deprecated: these names live in `agentkit.curation.kb.episodes`; this module goes with the next version."""

from agentkit.curation.kb.episodes import learn, reviewed

__all__ = ["learn", "reviewed"]
