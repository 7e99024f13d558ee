"""A vote of the nearest cases: an answer without a model call, or none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from agentkit.memory.forms.base import Help, RecallQuestion
from agentkit.memory.neighbours import Neighbour

SHARE = 0.6
"""Of the likeness of the voters that the first answer must have."""
TRUST = 0.9
"""How often the nearest cases, where the first is at least as alike as the threshold, have told the right answer: no
model is asked that could mend it, or it can't give any other."""
MIN_PAIRS = 12
"""Pairs on which a threshold rests."""


class VoteForm:
    """The answer of the nearest cases, each weighing as much as it is alike, above the learned threshold alone.

    Without a threshold the first few right answers are copied onto everything.
    """

    name = "vote"
    sizes = (5,)
    prior = (4.0, 1.0)

    def help(self, asked: RecallQuestion, k: int) -> Help | None:
        threshold = asked.threshold
        if threshold is None or not asked.comparable or not asked.near or asked.near[0].likeness < threshold:
            return None
        voters = [item for item in asked.near[:k] if item.likeness >= 0.8 * threshold]
        answer, share = elected(voters)
        if share < SHARE or (asked.choices and answer not in asked.choices):
            return None
        return Help(cases=tuple(item for item in voters if item.answer == answer), answer=answer)


def elected(voters: Sequence[Neighbour]) -> tuple[str, float]:
    """The answer with the most likeness behind it, and its share."""
    weights: dict[str, float] = defaultdict(float)
    for item in voters:
        weights[item.answer] += item.likeness
    answer = max(weights, key=lambda name: weights[name])
    return answer, weights[answer] / (sum(weights.values()) or 1.0)


def threshold_of(pairs: Sequence[tuple[float, bool]]) -> float | None:
    """The least likeness from which the nearest cases have told the right answer often enough.

    Args:
        pairs: for cases that came before: how alike their nearest case was, and whether the right answer was told.

    Returns:
        None where no likeness, with enough cases above it, is good enough: where answers differ from case to case, as
        queries do, nothing is ever elected.
    """
    best, right, ordered = None, 0, sorted(pairs, reverse=True)
    for count, (likeness, told) in enumerate(ordered, 1):
        right += told
        whole = count == len(ordered) or ordered[count][0] < likeness  # all that are as alike count together
        if whole and count >= MIN_PAIRS and (right + 1) / (count + 2) >= TRUST:
            best = likeness
    return best
