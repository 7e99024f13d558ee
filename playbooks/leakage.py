"""Whether a lesson is a rule or one task told again, whose figures and answer help with no other task."""

from __future__ import annotations

from collections.abc import Sequence

from agentkit.checkers.labels import normalise, numbers
from agentkit.tasks import Task

_TELLING = 4
"""Words from which a right answer is its own task's; shorter ones, such as labels, stand in rules too."""


def leaks(lesson: str, tasks: Sequence[Task]) -> bool:
    """Whether a lesson holds a line of a task's right answer, or two numbers of one task that not all of them share."""
    text, figures = normalise(lesson), set(numbers(lesson))
    found = [set(numbers(f"{task.input}\n{task.target or ''}")) for task in tasks]
    shared = set.intersection(*found) if len(found) > 1 else set()
    lines = {normalise(line) for task in tasks for line in (task.target or "").splitlines()}
    return any(len(line.split()) >= _TELLING and line in text for line in lines) or any(
        len(figures & (own - shared)) > 1 for own in found
    )
