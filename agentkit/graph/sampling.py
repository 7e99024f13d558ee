"""Self-consistency: several answers to one task, decided by vote; how many are drawn can depend on how well they agree.

After Wang et al. (arXiv 2203.11171), with the early stopping of `agentkit.statistics.voting`. The first answer is the
run's ordinary one; the others are drawn at a temperature, each with its own seed.
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
"""Temperature of all answers but the first, unless the user sets one; the value used in the paper."""
_SHORT = 8
"""Longest free-text answer, in tokens, whose probability is a usable estimate that another sample will match it."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One answer.

    Attributes:
        scope: the journal scope of the call that produced it.
        told: whether its log-probabilities predict how likely another sample matches. They don't if reasoning precedes
            the answer, since then the answer depends on the reasoning.
    """

    text: str
    reply: Reply
    scope: str
    told: bool = False


Draw = Callable[[int], Awaitable[Sample]]
"""Draws the answer with this number, from 1; raises InvalidOutput if the model gave no valid answer."""


@dataclass(frozen=True, kw_only=True)
class Voted:
    """The result of a vote: the most frequent answer; in a tie, the one drawn first.

    Attributes:
        winner: the first sample with that answer.
        agree: how many samples gave it.
        drawn: how many samples there were.
    """

    winner: Sample
    agree: int
    drawn: int

    def to_json(self) -> JsonObject:
        return {"drawn": self.drawn, "agree": self.agree, "scope": self.winner.scope}


async def vote(context: RunContext, first: Sample, draw: Draw) -> Voted:
    """Draw as many answers as the run's options ask for, and count which are the same.

    After a crash only the interrupted sample is drawn again; the others are in the journal.
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
        except InvalidOutput:  # no answer, so no vote
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
    """Whether two answers are equal in the eyes of whoever will check them.

    Decided by the task's checker if it compares answers; else by value, if the answer has a form; else by the text,
    ignoring what the checker `exact` ignores and comparing numbers by value.
    """
    if one == other:
        return True
    task, checker = context.task, context.checker
    if checker is not None and checker.needs_target and checker.channel == "label":
        try:
            return (await checker.check(one, task.model_copy(update={"target": other}))).score == 1
        except DataError:  # an answer that is not a valid target, such as words for a numeric checker
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
    """The only number in an answer and the words around it; None if there is no number or more than one."""
    said = final_answer(text)
    found = _NUMBER.findall(said)
    if len(found) != 1:
        return None
    return float(found[0].replace(",", "")), " ".join(re.findall(r"[^\W\d]+|%", _NUMBER.sub(" ", said).casefold()))


def _share(first: Sample) -> float | None:
    """The estimated probability that another sample gives the first one's answer; None if it can't be estimated."""
    told = first.reply.logprobs
    if told is None or not first.told:
        return None
    if told.choices:
        return next(iter(told.choices.values()))
    answer = told.answer()
    return math.exp(answer.total) if answer is not None and answer.tokens <= _SHORT else None
