"""Which form of recall to take, and with how many cases: learned online from how runs went, for each kind of task.
Which mode a run takes, and whether it goes up, is learned in the same way (`agentkit.routing`).

Each arm, a form with a size, has a Beta belief of how often runs under it end right. Thompson sampling (Chapelle and Li
2011): the arm whose drawn value, less what its tokens cost, is greatest is taken; the chance of that is estimated by
drawing many times, and logged. Older outcomes count for less, because the memory grows: what few cases did for a task
says little about many. So do those of tasks whose nearest case was nearer, or farther: what helps with a task that was
solved before in other words can mislead with one that nothing is like. `none` is an arm like the others, but what a
model can do alone does not change as the memory grows, so that all its outcomes count; and it has a least chance of its
own, so that whether memory helps at all stays known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np

DRAWS = 400
FLOOR = 0.04
"""Least chance of taking no recall, where anything else can be taken."""
FADE = 0.985
"""What is left of an outcome's weight with each newer one of its kind."""
REACH = 0.15
"""Difference in the likeness of the nearest case at which an outcome counts exp(−½)."""
TOKEN_COST = 0.03
"""Success that an arm must add for as many tokens as the task has without recall."""


class RecallArm(NamedTuple):
    """A form and how many cases it is given."""

    form: str
    k: int


Arm = TypeVar("Arm", bound=Hashable)


def without_recall(arm: object) -> bool:
    """Whether an arm is the task alone."""
    return isinstance(arm, RecallArm) and arm.form == "none"


@dataclass(frozen=True, kw_only=True)
class Seen(Generic[Arm]):
    """A past run: the arm it took, how it ended, how like its task the nearest case was, where that is known, and how
    much it counts."""

    arm: Arm
    outcome: float
    likeness: float | None = None
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Belief:
    """What is known of an arm, as counts of right and wrong runs."""

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
    """What is believed of each arm.

    Args:
        priors: (right, wrong) by arm.
        seen: past runs of the same kind of task, oldest first.
        likeness: of the task's nearest case.
        lasting: whether an arm's outcomes count alike, however old.
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
        known: beliefs of the arms that can be taken.
        costs: tokens of each arm over those of `none`, as a share of them; below zero where it saves some.
        price: success that an arm must add for a cost of one.
        kept: whether an arm has the least chance of `FLOOR`.
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
