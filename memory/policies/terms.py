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
    """Cosine of TF-IDF vectors; document frequencies are those of the bank only."""

    name = "masked-terms"

    def rank(self, query: Query, bank: Bank, k: int) -> Ranking:
        allowed = bank.allowed
        return ranked(allowed, self.scores(query, bank, allowed), k)

    def scores(self, query: Query, bank: Bank, positions: Positions) -> Scores:
        """The cosine for each position, shape (n,)."""
        matrix, inverse = weighed(bank)
        one = weigh(sparse([terms(query.masked)]), inverse)
        scores: Scores = np.asarray((matrix[positions] @ one.T).todense()).ravel()
        return scores


_REFIT = 1.1
"""Word frequencies are recounted after the memory has grown by this factor."""


def weighed(bank: Bank) -> tuple[Any, Any]:
    """(TF-IDF of all positions, inverse document frequencies within the namespace); a new case costs only its own
    row."""
    from scipy.sparse import vstack

    key, matrix, epoch = ("terms", bank.filters.namespace), text_features(bank).state, bank.mirror.epoch
    known = bank.mirror.fits.get(key)
    if known is None or known[0] != epoch or not known[2].shape[0] <= matrix.shape[0] <= _REFIT * known[1]:
        inverse = inverse_frequency(matrix[bank.allowed])
        known = bank.mirror.fits[key] = (epoch, matrix.shape[0], weigh(matrix, inverse), inverse)
    _, fitted, rows, inverse = known
    if rows.shape[0] < matrix.shape[0]:
        rows = vstack([rows, weigh(matrix[rows.shape[0] :], inverse)], format="csr")
        bank.mirror.fits[key] = (epoch, fitted, rows, inverse)
    return rows, inverse
