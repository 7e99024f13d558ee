"""Many processes and machines, with Ray: the database is the single source of truth; each worker has its own models."""

from __future__ import annotations

from agentkit.distributed.cluster import Cluster
from agentkit.distributed.embedding import embedder_on
from agentkit.distributed.papers import DuoNames, curate_on
from agentkit.distributed.reading import read_on
from agentkit.distributed.rollouts import evaluate_on, rollouts_on

__all__ = ["Cluster", "DuoNames", "curate_on", "embedder_on", "evaluate_on", "read_on", "rollouts_on"]
