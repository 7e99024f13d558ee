"""When a vote can end early: votes that are still to come would hardly change who leads.

Adaptive consistency (Aggarwal et al., "Let's Sample Step by Step", arXiv 2305.11860, §3) ends a vote as soon as the
leader is likely to be the majority of all possible answers, by a Beta belief of the two most frequent ones. Here the
vote has a fixed longest length, so the question is only whether the leader would still lead at its end: a Beta-Binomial
tail of the votes that are left, which ends a vote sooner.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, exp, lgamma

KEEPS = 0.95
"""Chance that the leader keeps its lead from which on nobody else is asked."""
BELIEVED = 6.0
"""Votes that a share known beforehand counts for."""


def keeps_lead(votes: Sequence[int], most: int, *, share: float | None = None) -> float:
    """The chance that the leader would still lead after all votes; a tie is the leader's.

    Args:
        votes: of each answer so far, at least one; the order does not matter.
        most: votes that the vote has at most.
        share: how likely another vote was said to be one for the leader, before any was cast; None where nothing was.
    """
    ranked = sorted(votes, reverse=True)
    first, second = ranked[0], (ranked[1] if len(ranked) > 1 else 0)
    left = most - sum(votes)
    if left <= 0 or first >= second + left:
        return 1.0
    known = 0.0 if share is None else BELIEVED
    right = first + 1 + known * (share or 0.0)
    wrong = second + 1 + known * (1 - (share or 0.0))
    return min(
        1.0, sum(_chance(more, left, right, wrong) for more in range(left + 1) if first + more >= second + left - more)
    )


def worth_another(votes: Sequence[int], most: int, *, share: float | None = None, keeps: float = KEEPS) -> bool:
    """Whether another vote could still change the outcome with more than a small chance."""
    return keeps_lead(votes, most, share=share) < keeps


def _chance(hits: int, n: int, a: float, b: float) -> float:
    """Of so many hits among n under a Beta-Binomial distribution."""
    return comb(n, hits) * exp(_log_beta(hits + a, n - hits + b) - _log_beta(a, b))


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
