"""What a form of recall is: one way in which solved tasks help with a new one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from agentkit.memory.neighbours import Neighbour
from agentkit.tasks import Task


@dataclass(frozen=True, kw_only=True)
class RecallQuestion:
    """What a form works with.

    Attributes:
        task: the new task, without its target.
        choices: the answers there are, where its answer is closed.
        near: cases with known right answers, most alike first.
        threshold: the likeness from which the nearest case's answer can be relied on; None where none could be found.
        covered: the likeness from which the right answer is among those of the nearest cases; None likewise.
    """

    task: Task
    choices: tuple[str, ...] = ()
    near: Sequence[Neighbour] = ()
    threshold: float | None = None
    covered: float | None = None

    @property
    def comparable(self) -> bool:
        """Whether answers of cases can tell the task's: cases are remembered without files, and what was answered
        about another file says nothing about this one."""
        return not self.task.files


@dataclass(frozen=True, kw_only=True)
class Help:
    """What a form gives to a run; what is empty is not given.

    Attributes:
        cases: those it rests on, in the order they are shown.
        text: a block of the prompt.
        turns: of the chat before the task: an input, and its answer in the very format that is wanted.
        choices: the answers that are left to choose from.
        votes: answers of cases with their likeness, to be weighed against what the model thinks of the choices.
        answer: the answer itself; no model is asked.
    """

    cases: tuple[Neighbour, ...] = ()
    text: str = ""
    turns: tuple[tuple[str, str], ...] = ()
    choices: tuple[str, ...] = ()
    votes: tuple[tuple[str, float], ...] = ()
    answer: str | None = None


class Form(Protocol):
    """One way of recall.

    Attributes:
        name: as choices are logged.
        sizes: how many cases it can be given.
        prior: (right, wrong) runs that its success is believed to be worth before any is seen.
    """

    @property
    def name(self) -> str: ...
    @property
    def sizes(self) -> tuple[int, ...]: ...
    @property
    def prior(self) -> tuple[float, float]: ...

    def help(self, asked: RecallQuestion, k: int) -> Help | None:
        """What k cases give to the task; None where this form does not fit it, or has too little to rest on."""
        ...
