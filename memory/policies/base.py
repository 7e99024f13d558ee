"""The interface of a retrieval policy."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from agentkit.memory.bank import Bank, Ranking, Scores
from agentkit.memory.flat import Positions, top
from agentkit.memory.query import Query


class Policy(Protocol):
    """Chooses cases for a state: μ(c | s, M) of AgentFly (arXiv 2508.16153 §3)."""

    name: str

    def rank(self, query: Query, bank: Bank, k: int) -> Ranking:
        """The k best cases of the bank, best first; fewer if the bank has fewer."""
        ...


POOL = 1024
"""A policy that scores cases one by one takes this many candidates from the fast searches."""


def pool(query: Query, bank: Bank, size: int = POOL) -> Positions:
    """Candidates: all cases of a small bank, otherwise the nearest by state and by masked state."""
    if bank.size <= size:
        return bank.allowed
    near = bank.nearest("state", query.state, size // 2).positions
    alike = bank.nearest("masked", query.structure, size // 2).positions
    return np.union1d(near, alike)


def ranked(positions: Positions, scores: Scores, k: int) -> Ranking:
    found, best = (
        top(positions, np.asarray(scores, dtype=np.float32), min(k, len(positions)))
        if len(positions)
        else (positions, np.zeros(0, dtype=np.float32))
    )
    return Ranking(positions=found, scores=best)


def standard(scores: Scores) -> Scores:
    """Scores standardised to mean 0 and deviation 1, so that those of several policies can be added."""
    spread = float(np.std(scores)) if len(scores) else 0.0
    result: Scores = (scores - np.mean(scores)) / (spread or 1.0) if len(scores) else scores
    return result
