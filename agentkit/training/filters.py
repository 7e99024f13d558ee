"""Choosing a subset of the examples: the hardest, the most diverse, those that need their context, or a random one."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np

from agentkit.embedding import HashEmbedder
from agentkit.errors import UserError
from agentkit.training.examples import Example

By = Literal["difficulty", "diversity", "context", "random"]
Losses = Callable[[Sequence[tuple[Example, bool]]], list[float]]
"""The bare model's mean loss per token on each example's answer; if True, for the prompt without recalled context."""


@dataclass(frozen=True, kw_only=True)
class Keep:
    """How many examples are kept, and by which criterion.

    Attributes:
        by: `difficulty` keeps those on whose answers, found right by a check, the bare model has the largest loss (D3);
            `diversity` those whose questions are farthest apart; `context` those whose answers depend most on recalled
            context, so that the model does not unlearn to use it; `random` a random sample, for comparison.
    """

    count: int
    by: By = "difficulty"


def known_keep(count: int | None, by: str) -> Keep | None:
    """What to keep; None if `count` is None, which keeps all. Raise UserError if the criterion is unknown."""
    if by not in get_args(By):
        raise UserError(f"no criterion {by!r} to keep examples by: there are {', '.join(get_args(By))}")
    return None if count is None else Keep(count=count, by=cast("By", by))


def kept(examples: Sequence[Example], wanted: Keep, *, losses: Losses, seed: int) -> list[Example]:
    """The examples that are kept, in their original order.

    Raises:
        UserError: the criterion is context, and none of the examples has recalled context.
    """
    if len(examples) <= wanted.count:
        return list(examples)
    if wanted.by == "random":
        places = random.Random(seed).sample(range(len(examples)), wanted.count)
    elif wanted.by == "diversity":
        places = _far_apart([example.chat[-1][1] for example in examples], wanted.count)
    else:
        score = losses([(example, False) for example in examples])
        if wanted.by == "context":
            score = _dependence(examples, score, losses)
        places = sorted(range(len(examples)), key=lambda place: (-score[place], place))[: wanted.count]
    return [examples[place] for place in sorted(places)]


def _dependence(examples: Sequence[Example], with_context: Sequence[float], losses: Losses) -> list[float]:
    """How much larger each loss is without the recalled context."""
    if not any(example.bare for example in examples):
        raise UserError("nothing was recalled for any example: keep by difficulty or diversity")
    without = losses([(example, True) for example in examples])
    return [bare - loss for bare, loss in zip(without, with_context, strict=True)]


def _far_apart(texts: Sequence[str], count: int) -> list[int]:
    """Start with the first text, and keep adding the one farthest from all those chosen."""
    vectors = np.asarray(HashEmbedder(stems=True).embed_documents(list(texts)))
    chosen = [0]
    nearest = vectors @ vectors[0]
    while len(chosen) < count:
        nearest[chosen] = np.inf
        chosen.append(int(nearest.argmin()))
        nearest = np.maximum(nearest, vectors @ vectors[chosen[-1]])
    return chosen
