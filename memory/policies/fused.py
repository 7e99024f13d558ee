"""Several views at once: the standardised scores of the learnt map, the masked wording and the masked embedding."""

from __future__ import annotations

import numpy as np

from agentkit.memory.bank import Bank, Ranking, Scores
from agentkit.memory.flat import Positions
from agentkit.memory.policies.base import pool, ranked, standard
from agentkit.memory.policies.mapped import Mapped
from agentkit.memory.policies.terms import MaskedTerms
from agentkit.memory.query import Query

TRUST_AFTER = 60
"""From this many cases on, the learnt map weighs as much as either of the other views."""
MAX_WEIGHT = 12.0


class Fused:
    """The default: mainly similar wording while there are few cases, and increasingly the learnt map as there are
    more."""

    name = "fused"

    def __init__(self, mapped: Mapped | None = None) -> None:
        self.mapped, self.terms = mapped or Mapped(), MaskedTerms()

    def rank(self, query: Query, bank: Bank, k: int) -> Ranking:
        if not bank.size:
            return bank.nearest("state", query.state, k)
        candidates = pool(query, bank)
        return ranked(candidates, self.scores(query, bank, candidates), k)

    def scores(self, query: Query, bank: Bank, positions: Positions) -> Scores:
        alike = bank.vectors("masked", positions) @ query.structure
        total = standard(self.terms.scores(query, bank, positions)) + standard(alike)
        weight = min(MAX_WEIGHT, bank.size / TRUST_AFTER)
        scores: Scores = total + weight * standard(np.asarray(self.mapped.scores(query, bank, positions)))
        return scores
