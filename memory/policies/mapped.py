"""A learnt map from a question to the shape of its plan: ridge regression, fitted in milliseconds, without rewards.

A case helps a planner if its *plan* fits, not if its question looks similar. From a question's state, structure and
wording, the map predicts what its plan will be like (the skeleton's embedding and wording, the number of steps); cases
are scored by how well their plan fits that prediction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentkit.memory.bank import Bank, Ranking, Scores
from agentkit.memory.features import MAX_STEPS, inverse_frequency, sparse, terms, text_features, weigh
from agentkit.memory.flat import Positions
from agentkit.memory.policies.base import pool, ranked
from agentkit.memory.policies.terms import weighed
from agentkit.memory.query import Query

Array = NDArray[np.floating]
TERMS, STEPS = 0.7, 1.0
"""Weights of a plan's wording and of its number of steps, relative to its embedding."""
RIDGE = 2.0
FIT_ON = 2000
"""The map is fitted to this many of the newest cases; the time to solve it grows with the cube."""
_REFIT = 1.1
"""The map is refitted after the memory has grown by this factor."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A fitted map in dual form."""

    train: Positions
    inverse: Array
    """(K + λI)⁻¹, shape (n, n)."""
    dual: Any
    """(K + λI)⁻¹ Y by part: embedding (n, d), wording (n, w) and steps (n, s)."""
    plan_terms: Any
    stamp: tuple[str, int, str]
    rows: int


class Mapped:
    """Ranks cases by how well their plan fits the plan that the question seems to need.

    Args:
        refit: refit only after the memory has grown by this factor; 1.0 refits after every case.
    """

    name = "mapped"

    def __init__(
        self, *, ridge: float = RIDGE, terms: float = TERMS, steps: float = STEPS, refit: float = _REFIT
    ) -> None:
        self.ridge, self.terms, self.steps, self.refit = ridge, terms, steps, refit

    def rank(self, query: Query, bank: Bank, k: int) -> Ranking:
        if not bank.size:
            return bank.nearest("state", query.state, k)
        candidates = pool(query, bank)
        return ranked(candidates, self.scores(query, bank, candidates), k)

    def scores(self, query: Query, bank: Bank, positions: Positions) -> Scores:
        """How well each position's plan fits the predicted plan, shape (n,).

        Cases that the bank excludes, such as the query's own, are also removed from the map, exactly.
        """
        fit = self.fitted(bank)
        weights = _without(fit, self._kernel(query, bank, fit.train), ~bank.mask[fit.train])
        embedding, wording, steps = (weights @ part for part in fit.dual)
        features = text_features(bank)
        scores: Scores = bank.vectors("plan", positions) @ embedding
        scores = scores + self.terms**2 * (fit.plan_terms[positions] @ wording)
        total: Scores = scores + self.steps**2 * steps[features.steps[positions]]
        return total

    def fitted(self, bank: Bank) -> Fit:
        """The map for the bank's namespace, refitted if the memory has changed enough."""
        key = ("map", bank.filters.namespace, self.ridge, self.terms, self.steps)
        known: Fit | None = bank.mirror.fits.get(key)
        if known is not None and _fresh(known, bank, self.refit):
            return known
        fit = bank.mirror.fits[key] = self._fit(bank)
        return fit

    def _fit(self, bank: Bank) -> Fit:
        from scipy.linalg import cho_factor, cho_solve

        train = _training(bank)
        features = text_features(bank)
        plan_terms = weigh(features.plan, inverse_frequency(features.plan[train]))
        plan_terms = plan_terms[:, np.unique(plan_terms[train].indices)].tocsr()  # drop terms that no plan contains
        kernel = self._gram(bank, train)
        inverse = cho_solve(cho_factor(kernel + self.ridge * np.eye(len(train))), np.eye(len(train)))
        steps = np.eye(MAX_STEPS + 1)[features.steps[train]]
        dual = (inverse @ bank.vectors("plan", train), plan_terms[train].T.dot(inverse).T, inverse @ steps)
        return Fit(
            train=train, inverse=inverse, dual=dual, plan_terms=plan_terms, stamp=bank.key, rows=bank.mirror.size
        )

    def _gram(self, bank: Bank, train: Positions) -> Array:
        state, masked = bank.vectors("state", train), bank.vectors("masked", train)
        wording = weighed(bank)[0][train]
        gram: Array = (1 + state @ state.T + masked @ masked.T).astype(np.float64)
        gram += (wording @ wording.T).toarray()
        return gram

    def _kernel(self, query: Query, bank: Bank, train: Positions) -> Array:
        matrix, inverse = weighed(bank)
        wording = matrix[train] @ weigh(sparse([terms(query.masked)]), inverse).T
        near = bank.vectors("state", train) @ query.state + bank.vectors("masked", train) @ query.structure
        total: Array = 1.0 + near + wording.toarray().ravel()
        return total


def _training(bank: Bank) -> Positions:
    """The newest cases of the namespace that did not fail: a failed plan says little about the right one."""
    from dataclasses import replace

    everything = bank.mirror.mask(replace(bank.filters, exclude_state=None, exclude=()))
    reward = bank.mirror.column("reward")
    good = np.flatnonzero(everything & ~(reward < 0.5))
    return (good if len(good) else np.flatnonzero(everything))[-FIT_ON:]


def _fresh(fit: Fit, bank: Bank, refit: float) -> bool:
    if fit.stamp == bank.key:
        return True
    grown = bank.mirror.size > refit * fit.rows or fit.plan_terms.shape[0] < bank.mirror.size
    return not grown and fit.stamp[0] == bank.mirror.epoch


def _without(fit: Fit, kernel: Array, left_out: NDArray[np.bool_]) -> Array:
    """Kernel weights for the prediction of a map fitted without some of its cases (block downdate)."""
    gone = np.flatnonzero(left_out)
    if not len(gone):
        return kernel
    part = fit.inverse[:, gone]
    kernel = np.where(left_out, 0.0, kernel)
    correction = np.linalg.solve(part[gone], (kernel @ part))
    weights: Array = kernel.copy()
    weights[gone] -= correction
    return weights
