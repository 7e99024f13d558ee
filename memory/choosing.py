"""Choosing a form of recall and the number of cases: learnt online from how runs went, for each kind of task. The mode
of a run, and whether it goes to a higher one, are learnt in the same way (`agentkit.routing`).

Each arm is a form with a size. It has a Beta belief about how often runs under it end right. Thompson sampling
(Chapelle and Li 2011) picks the arm whose sampled value minus the cost of its tokens is largest; the probability of
that choice is estimated by sampling many times, and logged. Two kinds of outcomes count for less. Older ones, because
the memory grows: what a few cases achieved says little about many. And those of tasks whose nearest case was nearer or
farther: what helps with a task that was solved before in other words can mislead on a task that resembles nothing.
`none` is an arm too, but what a model can do alone does not change as the memory grows, so all of its outcomes count
fully. It also has a minimum probability, so that we keep measuring whether memory helps at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np

DRAWS = 400
FLOOR = 0.04
"""Minimum probability of using no recall, if anything else is possible."""
FADE = 0.985
"""Factor by which an outcome's weight shrinks with each newer outcome of its kind."""
REACH = 0.15
"""Difference in the likeness of the nearest case at which an outcome counts exp(−½)."""
TOKEN_COST = 0.03
"""Success rate that an arm must add for as many extra tokens as the task has without recall."""


class RecallArm(NamedTuple):
    """A form with the number of cases it gets."""

    form: str
    k: int


Arm = TypeVar("Arm", bound=Hashable)


def without_recall(arm: object) -> bool:
    """Whether an arm is the task alone, without recall."""
    return isinstance(arm, RecallArm) and arm.form == "none"


@dataclass(frozen=True, kw_only=True)
class Seen(Generic[Arm]):
    """A past run: its arm, its outcome, the similarity between its task and the nearest case (if known), and its
    weight."""

    arm: Arm
    outcome: float
    likeness: float | None = None
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Belief:
    """What is believed about an arm, as counts of right and wrong runs."""

    right: float
    wrong: float

    @property
    def mean(self) -> float:
        return self.right / (self.right + self.wrong)


def beliefs(
    priors: Mapping[Arm, tuple[float, float]],
    seen: Sequence[Seen[Arm]],
    likeness: float = 0.0,
    *,
    lasting: Callable[[Arm], bool] = without_recall,
) -> dict[Arm, Belief]:
    """The belief about each arm.

    Args:
        priors: (right, wrong) by arm.
        seen: past runs of the same kind of task, oldest first.
        likeness: similarity of the task's nearest case.
        lasting: whether an arm's outcomes all count equally, no matter how old.
    """
    counts = {arm: np.array(prior, dtype=float) for arm, prior in priors.items()}
    for age, item in enumerate(reversed(seen)):
        if item.arm in counts:
            apart = 0.0 if item.likeness is None else (item.likeness - likeness) / REACH
            weight = 1.0 if lasting(item.arm) else FADE**age * math.exp(-apart * apart / 2)
            counts[item.arm] += item.weight * weight * np.array([item.outcome, 1 - item.outcome])
    return {arm: Belief(right=float(right), wrong=float(wrong)) for arm, (right, wrong) in counts.items()}


def choose_arm(
    known: Mapping[Arm, Belief],
    costs: Mapping[Arm, float],
    rng: np.random.Generator,
    *,
    price: float = TOKEN_COST,
    kept: Callable[[Arm], bool] = without_recall,
) -> tuple[Arm, float]:
    """An arm and the probability with which it was chosen.

    Args:
        known: beliefs about the available arms.
        costs: each arm's additional tokens relative to `none`, as a fraction; negative if it saves some.
        price: success rate that an arm must add for a cost of one.
        kept: whether an arm has the minimum probability `FLOOR`.
    """
    arms = list(known)
    drawn = np.stack([rng.beta(known[arm].right, known[arm].wrong, DRAWS) for arm in arms])
    drawn -= price * np.array([[costs.get(arm, 0.0)] for arm in arms])
    share = np.bincount(drawn.argmax(axis=0), minlength=len(arms)) / DRAWS
    share = share.astype(float)
    for place, arm in enumerate(arms):
        if kept(arm) and share[place] < FLOOR:
            share *= (1 - FLOOR) / (1 - share[place])
            share[place] = FLOOR
    share = share / share.sum()
    place = int(rng.choice(len(arms), p=share))
    return arms[place], float(share[place])
