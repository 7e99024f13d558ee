"""Many processes and many machines, by Ray: the database stays the one truth, and each worker has models of its own."""

from __future__ import annotations

from agentkit.distributed.cluster import Cluster
from agentkit.distributed.embedding import embedder_on
from agentkit.distributed.papers import DuoNames, curate_on
from agentkit.distributed.reading import read_on
from agentkit.distributed.rollouts import evaluate_on, rollouts_on

__all__ = ["Cluster", "DuoNames", "curate_on", "embedder_on", "evaluate_on", "read_on", "rollouts_on"]
