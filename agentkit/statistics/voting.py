"""When a vote can stop early: when the remaining votes would hardly change who leads.

Adaptive consistency (Aggarwal et al., "Let's Sample Step by Step", arXiv 2305.11860, §3) stops a vote as soon as the
leader is probably the majority among all possible answers, using a Beta belief about the two most frequent ones. Here
the number of votes is limited, so the question is only whether the leader would still lead at the end. That is a
Beta-Binomial tail over the remaining votes, and it stops sooner.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, exp, lgamma

KEEPS = 0.95
"""The vote stops once the leader keeps its lead with this probability."""
BELIEVED = 6.0
"""A share that is known beforehand counts as much as this many votes."""


def keeps_lead(votes: Sequence[int], most: int, *, share: float | None = None) -> float:
    """The probability that the leader would still lead after all votes; a tie counts as leading.

    Args:
        votes: the counts of the answers so far, at least one; their order does not matter.
        most: the largest possible number of votes.
        share: a prior estimate of how likely another vote is for the leader; None if there is none.
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
    """Whether another vote has more than a small chance of changing the outcome."""
    return keeps_lead(votes, most, share=share) < keeps


def _chance(hits: int, n: int, a: float, b: float) -> float:
    """The probability of this many hits out of n under a Beta-Binomial distribution."""
    return comb(n, hits) * exp(_log_beta(hits + a, n - hits + b) - _log_beta(a, b))


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
