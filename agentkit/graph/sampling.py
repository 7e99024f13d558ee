"""Several answers to one task, voted on; how many are asked for can follow from how they agree.

Self-consistency (Wang et al., arXiv 2203.11171) with the early end of `agentkit.statistics.voting`. The first answer is
the run's ordinary one; the others are drawn at a temperature, each with a seed of its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentkit.checkers import final_answer, get_checker
from agentkit.errors import DataError, InvalidOutput
from agentkit.graph.effort import MOST
from agentkit.json_types import JsonObject
from agentkit.statistics.voting import worth_another

if TYPE_CHECKING:
    from agentkit.graph.context import RunContext
    from agentkit.models import Reply

TEMPERATURE = 0.7
"""Of all answers but the first, where the user sets none: what self-consistency was published with."""
_SHORT = 8
"""Tokens of an open answer up to which its probability tells how likely another one is the same."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One answer.

    Attributes:
        scope: the place in the run that its call has in the journal.
        told: whether its log-probabilities tell how likely another sample would be the same: not where thoughts lead to
            the answer, which it then follows from.
    """

    text: str
    reply: Reply
    scope: str
    told: bool = False


Draw = Callable[[int], Awaitable[Sample]]
"""Asks for the answer of this number, from 1; raises InvalidOutput where none came of it."""


@dataclass(frozen=True, kw_only=True)
class Voted:
    """What came of it: the answer that most gave, the first of equals.

    Attributes:
        winner: the first sample with that answer.
        agree: how many gave it.
        drawn: how many answers there were.
    """

    winner: Sample
    agree: int
    drawn: int

    def to_json(self) -> JsonObject:
        return {"drawn": self.drawn, "agree": self.agree, "scope": self.winner.scope}


async def vote(context: RunContext, first: Sample, draw: Draw) -> Voted:
    """Have as many answers as the run's options ask for, and count which are the same.

    A sample that a crash interrupted is asked for again, and no other: what was answered stands in the journal.
    """
    samples = context.options.samples
    most = MOST if samples == "auto" else samples
    share = _share(first) if samples == "auto" else None
    groups: list[list[Sample]] = [[first]]
    for number in range(1, most):
        if samples == "auto" and not worth_another([len(group) for group in groups], most, share=share):
            break
        try:
            another = await draw(number)
        except InvalidOutput:  # no answer, and no vote
            continue
        for group in groups:
            if await same(context, another.text, group[0].text):
                group.append(another)
                break
        else:
            groups.append([another])
    won = max(groups, key=len)
    return Voted(winner=won[0], agree=len(won), drawn=sum(map(len, groups)))


async def same(context: RunContext, one: str, other: str) -> bool:
    """Whether two answers are the same to whoever will check them.

    The task's checker says so, where it compares answers; else the form of the answer, by value; else their words, by
    what the checker `exact` ignores, and numbers by their value.
    """
    if one == other:
        return True
    task, checker = context.task, context.checker
    if checker is not None and checker.needs_target and checker.channel == "label":
        try:
            return (await checker.check(one, task.model_copy(update={"target": other}))).score == 1
        except DataError:  # an answer that can't be a target, such as words to a checker of numbers
            return False
    if task.answer_type is not None:
        try:
            return task.answer_type.same(one, other)
        except ValueError:
            return False
    if (await get_checker("exact").check(one, task.model_copy(update={"target": other}))).score == 1:
        return True
    return _amount(one) == _amount(other) is not None


_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")


def _amount(text: str) -> tuple[float, str] | None:
    """The one number in an answer and the words about it; None where there is none, or several."""
    said = final_answer(text)
    found = _NUMBER.findall(said)
    if len(found) != 1:
        return None
    return float(found[0].replace(",", "")), " ".join(re.findall(r"[^\W\d]+|%", _NUMBER.sub(" ", said).casefold()))


def _share(first: Sample) -> float | None:
    """How likely another sample gives the first one's answer, as far as its log-probabilities tell."""
    told = first.reply.logprobs
    if told is None or not first.told:
        return None
    if told.choices:
        return next(iter(told.choices.values()))
    answer = told.answer()
    return math.exp(answer.total) if answer is not None and answer.tokens <= _SHORT else None
