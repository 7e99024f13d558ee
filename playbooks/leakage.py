"""Detects lessons that are not rules but repeat a single task, whose figures and answer help with no other task."""

from __future__ import annotations

from collections.abc import Sequence

from agentkit.checkers.labels import normalise, numbers
from agentkit.tasks import Task

_TELLING = 4
"""A line of a right answer with at least this many words is specific to its task; shorter ones, such as labels, also
occur in rules."""


def leaks(lesson: str, tasks: Sequence[Task]) -> bool:
    """Whether a lesson contains a line of a task's right answer, or two numbers from one task that the tasks don't all
    have in common."""
    text, figures = normalise(lesson), set(numbers(lesson))
    found = [set(numbers(f"{task.input}\n{task.target or ''}")) for task in tasks]
    shared = set.intersection(*found) if len(found) > 1 else set()
    lines = {normalise(line) for task in tasks for line in (task.target or "").splitlines()}
    return any(len(line.split()) >= _TELLING and line in text for line in lines) or any(
        len(figures & (own - shared)) > 1 for own in found
    )
