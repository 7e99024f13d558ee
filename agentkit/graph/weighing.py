"""A closed answer weighed against the answers of the nearest solved tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from agentkit.graph.context import RunContext
from agentkit.json_types import JsonObject

if TYPE_CHECKING:
    from agentkit.models import Reply

OPEN = 1.0
"""Likeness that is shared by all choices: what nobody voted for can be right too."""
_LEAST = 1e-4
"""The share of a choice that the model was not told to think of; shares are kept to as many digits."""


def weighed(context: RunContext, reply: Reply, text: str) -> tuple[str, JsonObject | None]:
    """The answer after the votes of the nearest cases, and the summary of how sure the model was of that answer.

    Where the votes turn the answer over nothing is known of how sure the model is of it.
    """
    told = None if reply.logprobs is None else reply.logprobs.to_json()
    votes = next((block.votes for block in context.fixed_blocks() if block.votes), ())
    form = context.task.answer_type
    if not votes or told is None or form is None or text not in told["choices"]:
        return text, told
    best = likeliest(told["choices"], votes, form.choices or ())
    return (text, told) if best == text else (best, None)


def likeliest(shares: Mapping[str, float], votes: Sequence[tuple[str, float]], choices: Sequence[str]) -> str:
    """The choice for which the product of both is largest: the model's share, and the share of the votes.

    Args:
        shares: how likely the model thought each choice; those it was not told of are missing.
        votes: answers of the nearest cases with their likeness.
    """
    weights = dict.fromkeys(choices, OPEN / max(1, len(choices)))
    for answer, likeness in votes:
        weights[answer] = weights.get(answer, 0.0) + likeness
    return max(choices, key=lambda choice: weights[choice] * max(_LEAST, shares.get(choice, 0.0)))
