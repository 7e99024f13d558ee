"""Second attempts with the right answer as a hint, so that something can be learned from what was never solved.

An agent that learns from its own successes alone learns nothing about the tasks it always fails. STaR calls the remedy
rationalization (Zelikman et al., arXiv 2203.14465, §3.2): the model is told the answer and must find the way to it. The
way counts only if it arrives by work: an attempt that writes the answer down is thrown away. Whether such ways help on
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
"""Digits wherever they stand, as in `USD5`: an answer hidden in a word is one too. `checkers.labels.numbers` reads what
an answer means to say, and leaves such digits and keeps signs."""


def hinted(task: Task, wrong: Episode) -> Task:
    """The task with its right answer below it. The wrong work is not shown, since small models copy it; what the
    checker says of its result is."""
    said = " ".join(f"{item.text[0].upper()}{item.text[1:]}." for item in wrong.feedback if item.text)
    asked = (_EXPRESSION if _number(task.target) is not None else _STEPS).format(target=task.target)
    hint = _KNOWN.format(target=task.target, said=f" {said}" if said else "", asked=asked)
    return task.model_copy(update={"input": f"{task.input}\n\n{hint}"})


def without_hint(episode: Episode, task: Task) -> Episode:
    """The episode of a hinted attempt, as if the task had been given without the hint."""
    return replace(episode, task=task)


def earned(episode: Episode, task: Task) -> bool:
    """Whether the work of an attempt led to the answer: there are tool calls or sub-tasks, and the answer stands in
    none of them unless the task itself names it."""
    work, target = "\n".join(episode.plan), task.target or ""
    if not work or not target:
        return False
    number = _number(target)
    if number is not None:
        return not _holds(work, number) or _holds(task.input, number)
    return target.casefold() not in work.casefold() or target.casefold() in task.input.casefold()


def _number(target: str | None) -> float | None:
    """The number that a target is; None where it is anything else."""
    found = _numbers(target or "")
    return found[0] if len(found) == 1 and not _NUMBER.sub("", target or "").strip(" .$€%-+") else None


def _numbers(text: str) -> list[float]:
    return [float(found.replace(",", "")) for found in _NUMBER.findall(text)]


def _holds(text: str, number: float) -> bool:
    return any(math.isclose(found, number, rel_tol=1e-9) for found in _numbers(text))
