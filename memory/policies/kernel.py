"""Kernel Q (AgentFly §3.2, eq. 9): a case's value here is the mean outcome it had in similar states."""

from __future__ import annotations

import numpy as np

from agentkit.memory.bank import Bank, Ranking
from agentkit.memory.exposures import outcomes_by_case
from agentkit.memory.policies.base import pool, ranked
from agentkit.memory.query import Query


class KernelQ:
    """Q(s, c) = Σ k(s, sᵢ) rᵢ / Σ k(s, sᵢ), over the runs that were shown c and over c's own episode.

    Args:
        bandwidth: of the kernel k(s, s') = exp((cos − 1) / bandwidth).
        prior: the value of a case about which nothing is known in such a state.
        strength: the weight of that prior, so that no estimate rests on nothing.
        closeness: the weight of plain similarity; a case from a dissimilar state is worth little, however well it went.
    """

    name = "kernel"

    def __init__(
        self, *, bandwidth: float = 0.15, prior: float = 0.5, strength: float = 0.2, closeness: float = 1.0
    ) -> None:
        self.bandwidth, self.prior, self.strength, self.closeness = bandwidth, prior, strength, closeness

    def rank(self, query: Query, bank: Bank, k: int) -> Ranking:
        if not bank.size:
            return bank.nearest("state", query.state, k)
        positions = pool(query, bank)
        cosine = bank.vectors("state", positions) @ query.state
        rewards = bank.rewards(positions).astype(np.float64)
        weight = np.where(np.isnan(rewards), 0.0, np.exp((cosine - 1) / self.bandwidth))
        total = self.strength * self.prior + weight * np.nan_to_num(rewards)
        weight = weight + self.strength
        places = {seq: place for place, seq in enumerate(bank.seqs(positions))}
        for seq, vector, reward in outcomes_by_case(bank):
            if seq in places:
                near = float(np.exp((vector @ query.state - 1) / self.bandwidth))
                total[places[seq]] += near * reward
                weight[places[seq]] += near
        return ranked(positions, total / weight + self.closeness * cosine, k)
