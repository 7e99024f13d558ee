"""Effort: how much a run may spend on a task, and what decides it (after A²FM, arXiv 2510.12838 §3).

`instant` is one call that gives the answer alone: the very prompt of a bare call. `reasoning` thinks first. `agentic`
has tools and plans. `auto` lets a `Router` choose: by rules alone (`Rules`), or by outcomes
(`agentkit.routing.LearnedRouter`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from agentkit.errors import UserError
from agentkit.json_types import JsonObject
from agentkit.tasks import Task
from agentkit.tools import is_arithmetic

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

Mode = Literal["instant", "reasoning", "agentic"]
Effort = Literal["instant", "reasoning", "agentic", "auto"]
Samples = int | Literal["auto"]
"""How many answers are asked for; "auto" stops when another one is not worth it."""
MOST = 8
"""Answers that "auto" asks for at most."""
LIMIT = 64
"""Answers that may be asked for."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What a router knows of a run before its first call.

    Attributes:
        run_id: seeds what is drawn at random.
        task: without its target and its checker.
        tools: names of the tools that can matter to it.
        planning: whether the user offers plans.
        model: who answers.
        explores: whether a mode may be tried to see what it is worth: not in runs that nothing is learnt from.
        resumed: whether the run goes on where an earlier process left it.
        evaluator: who checks answers.
    """

    run_id: str
    task: Task
    tools: tuple[str, ...]
    planning: bool
    model: str
    explores: bool = True
    resumed: bool = False
    evaluator: str = ""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The mode that a run takes.

    Attributes:
        probability: with which it was chosen, for learning from outcomes.
        why: in a few words, for  agentkit runs show.
    """

    mode: Mode
    why: str
    probability: float = 1.0

    def to_json(self) -> JsonObject:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Asking:
    """Whether the evaluator is asked about an answer, and why."""

    asked: bool
    why: str

    def to_json(self) -> JsonObject:
        return asdict(self)


class Router(Protocol):
    """Chooses the mode of runs whose effort is `auto`."""

    @property
    def name(self) -> str: ...

    def choose(self, situation: Situation) -> Decision:
        """The mode to begin with. Asked again after a crash, it decides the same of the same run."""
        ...


class Thrift(Protocol):
    """Says after an answer whether more is to be spent on it. Asked again of the same run, it says the same."""

    def higher(self, situation: Situation, confidence: float) -> Decision | None:
        """What becomes of a run that answered at once: it begins again in a higher mode, or stays "instant".

        Args:
            confidence: how likely the answer is right.

        Returns:
            None where no higher mode was measured.
        """
        ...

    def asks(self, situation: Situation, confidence: float | None) -> Asking | None:
        """Whether the evaluator is asked, where the user left that open; None where nothing was measured."""
        ...

    def may_change(self, situation: Situation) -> bool:
        """Whether either could come about: then no answer is told before it is final."""
        ...


class Rules:
    """The router that has learnt nothing: the cheapest mode that can do the task."""

    name = "rules"

    def choose(self, situation: Situation) -> Decision:
        if situation.planning:
            return Decision(mode="agentic", why="plans are offered")
        if situation.tools:
            return Decision(mode="agentic", why=f"tools can matter: {', '.join(situation.tools)}")
        return Decision(mode="instant", why="no tool can matter")


def decide(effort: Effort, router: Router, situation: Situation) -> Decision:
    """The mode of a run: the one that was asked for, or the router's."""
    return router.choose(situation) if effort == "auto" else Decision(mode=effort, why="asked for")


def known_effort(effort: str) -> Effort:
    """Raises UserError where there is no such effort."""
    if effort not in get_args(Effort):
        raise UserError(f"unknown effort {effort!r}: use {', '.join(get_args(Effort))}")
    return effort  # type: ignore[return-value]


def known_samples(samples: int | str) -> Samples:
    """Raises UserError where it is neither "auto" nor a number of answers."""
    if samples == "auto":
        return "auto"
    if isinstance(samples, str) and samples.isdigit():
        samples = int(samples)
    if isinstance(samples, bool) or not isinstance(samples, int) or not 1 <= samples <= LIMIT:
        raise UserError(f"samples must be auto or a number from 1 to {LIMIT}, not {samples!r}")
    return samples


def tools_that_matter(task: Task, tools: Mapping[str, BaseTool]) -> tuple[str, ...]:
    """Of the tools on offer those that can help with a task.

    Those for arithmetic do where there is some to do. Of them, one whose result is the answer is offered where the task
    wants a number and nothing else, and there alone it stands for the others: one call instead of two, and the digits
    are those that the task asks for.
    """
    calculating = [name for name, tool in tools.items() if is_arithmetic(tool)] if _calculates(task) else []
    answering = [name for name in calculating if tools[name].return_direct]
    if answering and len(answering) < len(calculating):
        wanted = wants_number(task)
        calculating = [name for name in calculating if (name in answering) == wanted]
    return tuple(
        name for name, tool in tools.items() if not is_arithmetic(tool) or name in calculating or _named(name, task)
    )


def wants_number(task: Task) -> bool:
    """Whether a task says that its answer is a number and nothing else: by its form, or in words."""
    form = task.answer_type
    if form is not None:
        return form.numeric
    return bool(_NUMBER_WANTED.search(f"{task.instructions or ''}\n{task.input}"))


def beyond_the_head(task: Task) -> bool:
    """Whether a task holds numbers that nobody multiplies without pen and paper: five digits or more between the two
    longest, and more than one in each. Years are not counted."""
    digits = sorted(len(re.sub(r"\D", "", number)) for number in _NUMBER.findall(task.text) if not _YEAR.match(number))
    return _calculates(task) and digits[-2:-1] > [1] and sum(digits[-2:]) >= 5


_YEAR = re.compile(r"(1[5-9]|20)\d\d[.,]?$")
_NUMBER = re.compile(r"(?<![\w.])[-+]?\$?\d[\d,]*\.?\d*")
_NUMBER_WANTED = re.compile(
    r"(?i)\b(?:a numer(?:ic|ical) (?:answer|value)|(?:with|as) (?:the|a|one) (?:single )?number\b"
    r"|the (?:number|value) alone|only (?:the|a) (?:number|value)|(?:number|value) only)"
)
_CODE = re.compile(r"```|>>>|^\s*(def|class|import|from|SELECT|CREATE TABLE)\s", re.MULTILINE)


def _named(name: str, task: Task) -> bool:
    """Whether the user speaks of the tool."""
    said = f"{task.instructions or ''}\n{task.input}".casefold()
    return name.replace("_", " ") in said or name in said


def _calculates(task: Task) -> bool:
    """Whether there are numbers to calculate with, and the answer can be one: it is none where code is at hand."""
    form = task.answer_type
    if form is not None and not form.numeric:
        return False
    told = f"{task.instructions or ''}\n{task.input}"
    return len(_NUMBER.findall(task.text)) > 1 and not _CODE.search(told)
