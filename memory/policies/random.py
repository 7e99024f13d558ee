"""Random cases: the control that every other policy has to beat."""

from __future__ import annotations

import hashlib

import numpy as np

from agentkit.memory.bank import Bank, Ranking
from agentkit.memory.query import Query


class Random:
    """Random cases, drawn from the query's seed, so that a repeated run gets the same ones."""

    name = "random"

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def rank(self, query: Query, bank: Bank, k: int) -> Ranking:
        digest = hashlib.blake2b(f"{self.seed}:{query.seed}".encode(), digest_size=8).digest()
        rng = np.random.default_rng(int.from_bytes(digest, "little"))
        chosen = rng.permutation(bank.allowed)[:k]
        return Ranking(positions=chosen, scores=np.zeros(len(chosen), dtype=np.float32))
