"""Models: local, hosted or recorded. Each is a `BaseChatModel` and is called through a `Caller`."""

from agentkit.embedding import Embedder
from agentkit.models.budget import Budget, Meter, Usage
from agentkit.models.caller import Caller, Reply, Retry
from agentkit.models.embedders import load_embedder
from agentkit.models.journal import Journal, MemoryJournal, SqlJournal, StoredCall
from agentkit.models.limits import Limits
from agentkit.models.load import load_model
from agentkit.models.requests import request_hash

__all__ = [
    "Budget",
    "Caller",
    "Embedder",
    "Journal",
    "Limits",
    "MemoryJournal",
    "Meter",
    "Reply",
    "Retry",
    "SqlJournal",
    "StoredCall",
    "Usage",
    "load_embedder",
    "load_model",
    "request_hash",
]
