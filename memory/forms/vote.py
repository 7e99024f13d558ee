"""A vote of the nearest cases: an answer without a model call, or nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from agentkit.memory.forms.base import Help, RecallQuestion
from agentkit.memory.neighbours import Neighbour

SHARE = 0.6
"""Share of the voters' total similarity that the winning answer must have."""
TRUST = 0.9
"""How often the nearest cases must have given the right answer, counting cases whose nearest neighbour is at least as
similar as the threshold. It is high because the model can't correct the answer: it is not asked, or left no other
choice."""
MIN_PAIRS = 12
"""A threshold must rest on at least this many pairs."""


class VoteForm:
    """The answer of the nearest cases, each weighted by its similarity; used only above the learnt threshold.

    Without a threshold, the first few right answers would be copied onto everything.
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
    """The answer with the largest total similarity, and its share."""
    weights: dict[str, float] = defaultdict(float)
    for item in voters:
        weights[item.answer] += item.likeness
    answer = max(weights, key=lambda name: weights[name])
    return answer, weights[answer] / (sum(weights.values()) or 1.0)


def threshold_of(pairs: Sequence[tuple[float, bool]]) -> float | None:
    """The lowest similarity above which the nearest cases have given the right answer often enough.

    Args:
        pairs: for each case, in hindsight: the similarity of its nearest earlier case, and whether the right answer was
            given.

    Returns:
        None if no similarity, with enough cases above it, is good enough. If answers differ from case to case, as
        queries do, no answer is ever elected.
    """
    best, right, ordered = None, 0, sorted(pairs, reverse=True)
    for count, (likeness, told) in enumerate(ordered, 1):
        right += told
        whole = count == len(ordered) or ordered[count][0] < likeness  # equally similar pairs count together
        if whole and count >= MIN_PAIRS and (right + 1) / (count + 2) >= TRUST:
            best = likeness
    return best
