"""Weighs the model's choice: against the answers of the most similar solved tasks, or, where nothing is recalled,
against how much the input resembles each option."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentkit.confidence.likeness import TOLD, product
from agentkit.graph.context import RunContext
from agentkit.json_types import JsonObject

if TYPE_CHECKING:
    from agentkit.models import Reply
    from agentkit.models.logprobs import Logprobs

OPEN = 1.0
"""Similarity weight shared equally by all choices: one that nobody voted for can be right too."""
_LEAST = 1e-4
"""The probability assumed for a choice that is missing from the model's; probabilities are stored to this precision."""


@dataclass(frozen=True, kw_only=True)
class Weighed:
    """An answer after weighing.

    Attributes:
        told: the summary of the log-probabilities for it; None if they are not known.
        by: what changed them, "cases" or "likeness"; empty if nothing did.
        model: the model's own choice.
    """

    answer: str
    told: JsonObject | None
    by: str = ""
    model: str = ""

    def to_json(self) -> JsonObject:
        """What the run records of it, in `effort`."""
        return {"by": self.by, "model": self.model, "logprobs": self.told} if self.by else {}


async def weighed(context: RunContext, reply: Reply, text: str, *, first: bool, objected: bool) -> Weighed:
    """The answer after weighing.

    If the votes of cases overturn the answer, the model's certainty about the new one is unknown.

    Args:
        first: whether this is the model's answer at first sight: without thoughts or tools. Only such an answer is
            weighed by resemblance.
        objected: whether it answers an objection. Nothing is weighed then: what was objected to would win again.
    """
    told = None if reply.logprobs is None else reply.logprobs.to_json()
    form, blocks = context.task.answer_type, context.fixed_blocks()
    as_given = Weighed(answer=text, told=told)
    if objected or reply.logprobs is None or told is None or form is None or text not in told["choices"]:
        return as_given
    if votes := next((block.votes for block in blocks if block.votes), ()):
        best = likeliest(told["choices"], votes, form.choices or ())
        return as_given if best == text else Weighed(answer=best, told=None, by="cases", model=text)
    if not first:
        return as_given
    if alike := next((block.alike for block in blocks if block.alike), ()):
        found = product(reply.logprobs, dict(alike), temperature=TOLD)
        return as_given if found is None else _weighed(found, "cases", text)
    if context.likeness is None or any(block.text or block.turns or block.choices for block in blocks):
        return as_given
    found = await asyncio.to_thread(context.likeness.weigh, context.task, reply.logprobs)
    return as_given if found is None else _weighed(found, "likeness", text)


def _weighed(found: Logprobs, by: str, model: str) -> Weighed:
    return Weighed(answer=next(iter(found.choices)), told=found.to_json(), by=by, model=model)


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
