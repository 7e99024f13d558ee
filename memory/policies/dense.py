"""Cosine similarity of states (AgentFly's non-parametric read), and of states with their entities masked."""

from __future__ import annotations

from agentkit.memory.bank import Bank, Ranking
from agentkit.memory.query import Query


class Dense:
    """The nearest states by cosine."""

    name = "dense"

    def rank(self, query: Query, bank: Bank, k: int) -> Ranking:
        return bank.nearest("state", query.state, k)


class MaskedDense:
    """The states with the most similar structure: names, quotations and numbers are masked on both sides."""

    name = "masked-dense"

    def rank(self, query: Query, bank: Bank, k: int) -> Ranking:
        return bank.nearest("masked", query.structure, k)
