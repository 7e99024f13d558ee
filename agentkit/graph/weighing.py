"""Weighs the model's choice against the answers of the most similar solved tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from agentkit.graph.context import RunContext
from agentkit.json_types import JsonObject

if TYPE_CHECKING:
    from agentkit.models import Reply

OPEN = 1.0
"""Similarity weight shared equally by all choices: one that nobody voted for can be right too."""
_LEAST = 1e-4
"""The probability assumed for a choice that is missing from the model's; probabilities are stored to this precision."""


def weighed(context: RunContext, reply: Reply, text: str) -> tuple[str, JsonObject | None]:
    """The answer after the votes of similar cases, and the summary of the model's log-probabilities for that answer.

    If the votes overturn the answer, the model's certainty about the new one is unknown (None).
    """
    told = None if reply.logprobs is None else reply.logprobs.to_json()
    votes = next((block.votes for block in context.fixed_blocks() if block.votes), ())
    form = context.task.answer_type
    if not votes or told is None or form is None or text not in told["choices"]:
        return text, told
    best = likeliest(told["choices"], votes, form.choices or ())
    return (text, told) if best == text else (best, None)


def likeliest(shares: Mapping[str, float], votes: Sequence[tuple[str, float]], choices: Sequence[str]) -> str:
    """The choice with the largest product of the model's probability and its share of the votes.

    Args:
        shares: the model's probability of each choice; choices it did not report are missing.
        votes: answers of similar cases with their similarity.
    """
    weights = dict.fromkeys(choices, OPEN / max(1, len(choices)))
    for answer, likeness in votes:
        weights[answer] = weights.get(answer, 0.0) + likeness
    return max(choices, key=lambda choice: weights[choice] * max(_LEAST, shares.get(choice, 0.0)))
