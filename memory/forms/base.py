"""The interface of a form of recall: one way in which solved tasks help with a new one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from agentkit.memory.neighbours import Neighbour
from agentkit.tasks import Task

Inputs = Sequence[tuple[str, str]]
"""Inputs with an answer to each."""
Resemblance = Callable[[Inputs, Inputs], Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class RecallQuestion:
    """The input of a form.

    Attributes:
        task: the new task, without its target.
        choices: the possible answers, if the answer is closed.
        near: cases with known right answers, most similar first.
        threshold: the similarity above which the nearest case's answer can be relied on; None if none could be found.
        covered: the similarity above which the right answer is among those of the nearest cases; None if none could be
            found.
        refuting: cases whose answers were wrong and whose right ones are not known, most similar first.
        resemblance: how much the task's input resembles each choice, given inputs with right and with wrong answers;
            None if there are few choices, or no embedder that compares them.
    """

    task: Task
    choices: tuple[str, ...] = ()
    near: Sequence[Neighbour] = ()
    threshold: float | None = None
    covered: float | None = None
    refuting: Sequence[Neighbour] = ()
    resemblance: Resemblance | None = None

    @property
    def comparable(self) -> bool:
        """Whether the answers of cases apply to this task: cases are stored without files, and an answer about another
        file says nothing about this one."""
        return not self.task.files


@dataclass(frozen=True, kw_only=True)
class Help:
    """What a form gives to a run; empty parts are not used.

    Attributes:
        cases: those it is based on, in the order they are shown.
        text: a block for the prompt.
        turns: chat turns to place before the task: an input, and its answer in exactly the required format.
        choices: the answers that remain to choose from.
        votes: answers of cases with their similarity, to be weighed against the model's probabilities for the choices.
        alike: how much the input resembles the choices that it resembles most, to be weighed likewise.
        answer: the answer itself, if no model needs to be asked.
    """

    cases: tuple[Neighbour, ...] = ()
    text: str = ""
    turns: tuple[tuple[str, str], ...] = ()
    choices: tuple[str, ...] = ()
    votes: tuple[tuple[str, float], ...] = ()
    alike: tuple[tuple[str, float], ...] = ()
    answer: str | None = None


class Form(Protocol):
    """One form of recall.

    Attributes:
        name: used when choices are logged.
        sizes: the numbers of cases that it can be given.
        prior: (right, wrong): the number of runs that the prior belief about its success is worth.
    """

    @property
    def name(self) -> str: ...
    @property
    def sizes(self) -> tuple[int, ...]: ...
    @property
    def prior(self) -> tuple[float, float]: ...

    def help(self, asked: RecallQuestion, k: int) -> Help | None:
        """What k cases contribute to the task; None if this form does not suit it, or has too little to go on."""
        ...
