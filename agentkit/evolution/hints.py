"""Retries with the right answer as a hint, so that something can be learnt from tasks that were never solved.

An agent that only learns from its own successes learns nothing about the tasks it always fails. STaR calls the remedy
rationalization (Zelikman et al., arXiv 2203.14465, §3.2): the model is told the answer and must find the way to it. A
way only counts if it derives the answer; an attempt that merely writes it down is discarded. Whether such ways help on
other tasks is for the gate to find out.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace

from agentkit.protocols import Episode
from agentkit.tasks import Task

_KNOWN = "(For this question the right answer is known: it is {target}.{said} {asked})"
_EXPRESSION = "Write the expression whose value is exactly {target}."
_STEPS = "Find the steps whose result is exactly that, and take nothing from the answer itself."
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:[eE][+-]?\d+)?")
"""Digits wherever they occur, as in `USD5`: an answer hidden in a word counts too. In contrast,
`checkers.labels.numbers` reads the number that an answer means: it skips such digits and keeps signs."""


def hinted(task: Task, wrong: Episode) -> Task:
    """The task with its right answer appended. The wrong work is not shown, since small models copy it; the checker's
    comment on its result is."""
    said = " ".join(f"{item.text[0].upper()}{item.text[1:]}." for item in wrong.feedback if item.text)
    asked = (_EXPRESSION if _number(task.target) is not None else _STEPS).format(target=task.target)
    hint = _KNOWN.format(target=task.target, said=f" {said}" if said else "", asked=asked)
    return task.model_copy(update={"input": f"{task.input}\n\n{hint}"})


def without_hint(episode: Episode, task: Task) -> Episode:
    """The episode of a hinted attempt, as if the task had been given without the hint."""
    return replace(episode, task=task)


def earned(episode: Episode, task: Task) -> bool:
    """Whether an attempt derived the answer: it has tool calls or sub-tasks, and none of them contains the answer
    unless the task itself does."""
    work, target = "\n".join(episode.plan), task.target or ""
    if not work or not target:
        return False
    number = _number(target)
    if number is not None:
        return not _holds(work, number) or _holds(task.input, number)
    return target.casefold() not in work.casefold() or target.casefold() in task.input.casefold()


def _number(target: str | None) -> float | None:
    """The target as a number; None if it is anything else."""
    found = _numbers(target or "")
    return found[0] if len(found) == 1 and not _NUMBER.sub("", target or "").strip(" .$€%-+") else None


def _numbers(text: str) -> list[float]:
    return [float(found.replace(",", "")) for found in _NUMBER.findall(text)]


def _holds(text: str, number: float) -> bool:
    return any(math.isclose(found, number, rel_tol=1e-9) for found in _numbers(text))
