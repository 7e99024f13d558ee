"""TF-IDF over the words and word pairs of masked states: the wording of a question without its names."""

from __future__ import annotations

from typing import Any

import numpy as np

from agentkit.memory.bank import Bank, Ranking, Scores
from agentkit.memory.features import inverse_frequency, sparse, terms, text_features, weigh
from agentkit.memory.flat import Positions
from agentkit.memory.policies.base import ranked
from agentkit.memory.query import Query


class MaskedTerms:
    """Cosine of TF-IDF vectors; frequencies are those of the bank alone."""

    name = "masked-terms"

    def rank(self, query: Query, bank: Bank, k: int) -> Ranking:
        allowed = bank.allowed
        return ranked(allowed, self.scores(query, bank, allowed), k)

    def scores(self, query: Query, bank: Bank, positions: Positions) -> Scores:
        """Cosine for each position, shape (n,)."""
        matrix, inverse = weighed(bank)
        one = weigh(sparse([terms(query.masked)]), inverse)
        scores: Scores = np.asarray((matrix[positions] @ one.T).todense()).ravel()
        return scores


def weighed(bank: Bank) -> tuple[Any, Any]:
    """(TF-IDF of all positions, inverse frequencies within the namespace), kept until the memory changes."""
    key = ("terms", *bank.key)
    fits = bank.mirror.fits
    if key not in fits:
        for old in [known for known in fits if known[0] == "terms"]:
            del fits[old]
        matrix = text_features(bank).state
        inverse = inverse_frequency(matrix[bank.allowed])
        fits[key] = (weigh(matrix, inverse), inverse)
    found: tuple[Any, Any] = fits[key]
    return found
