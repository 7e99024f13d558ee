"""A vote of the nearest cases: an answer without a model call, or none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from agentkit.memory.forms.base import Help, RecallQuestion
from agentkit.memory.neighbours import Neighbour

SHARE = 0.6
"""Of the likeness of the voters that the first answer must have."""
TRUST = 0.8
"""How often the answers of neighbours at least as alike as the threshold have agreed with the right one."""
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
        if threshold is None or not asked.near or asked.near[0].likeness < threshold:
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
    """The least likeness from which a nearest neighbour's answer has been right often enough.

    Args:
        pairs: for cases that came before: how alike their nearest case was, and whether its answer was theirs.

    Returns:
        None where no likeness, with enough cases above it, is good enough: where answers differ from case to case, as
        queries do, nothing is ever elected.
    """
    best, right = None, 0
    for count, (likeness, agreed) in enumerate(sorted(pairs, reverse=True), 1):
        right += agreed
        if count >= MIN_PAIRS and (right + 1) / (count + 2) >= TRUST:
            best = likeness
    return best
