"""Which examples are kept where fewer are wanted: hard ones, unlike ones, ones that need their context, or any."""

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
"""The bare model's mean loss a token on each example's answer; with True, to the prompt without what was recalled."""


@dataclass(frozen=True, kw_only=True)
class Keep:
    """So many of the examples are kept.

    Attributes:
        by: `difficulty` keeps those on whose answers the bare model's loss is largest, which a check has found right
            (D3); `diversity` those whose questions are farthest from each other; `context` those whose answers depend
            most on what was recalled, so that the model does not unlearn to use it; `random` any, to compare with.
    """

    count: int
    by: By = "difficulty"


def known_keep(count: int | None, by: str) -> Keep | None:
    """Raises UserError where nothing can be kept by that."""
    if by not in get_args(By):
        raise UserError(f"nothing is kept by {by!r}: there are {', '.join(get_args(By))}")
    return None if count is None else Keep(count=count, by=cast("By", by))


def kept(examples: Sequence[Example], wanted: Keep, *, losses: Losses, seed: int) -> list[Example]:
    """The examples that are kept, in the order in which they came.

    Raises:
        UserError: by context, and nothing was recalled for any of them.
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
    """How much larger each loss is without what was recalled."""
    if not any(example.bare for example in examples):
        raise UserError("nothing was recalled for any example: keep by difficulty or diversity")
    without = losses([(example, True) for example in examples])
    return [bare - loss for bare, loss in zip(without, with_context, strict=True)]


def _far_apart(texts: Sequence[str], count: int) -> list[int]:
    """Begin with the first text, and add the one that is farthest from all that are chosen."""
    vectors = np.asarray(HashEmbedder(stems=True).embed_documents(list(texts)))
    chosen = [0]
    nearest = vectors @ vectors[0]
    while len(chosen) < count:
        nearest[chosen] = np.inf
        chosen.append(int(nearest.argmin()))
        nearest = np.maximum(nearest, vectors @ vectors[chosen[-1]])
    return chosen
