"""Effort: how much a run may spend on a task, and what decides it (after A²FM, arXiv 2510.12838 §3).

`instant` is one call that gives the answer alone: the very prompt of a bare call. `reasoning` thinks first. `agentic`
has tools and plans. `auto` lets a `Router` choose; the default one knows rules alone, others may learn from outcomes.
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


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What a router knows of a run before its first call.

    Attributes:
        run_id: seeds what is drawn at random.
        task: without its target and its checker.
        tools: names of the tools that can matter to it.
        planning: whether the user offers plans.
        model: who answers.
    """

    run_id: str
    task: Task
    tools: tuple[str, ...]
    planning: bool
    model: str


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


class Router(Protocol):
    """Chooses the mode of runs whose effort is `auto`."""

    @property
    def name(self) -> str: ...

    def choose(self, situation: Situation) -> Decision:
        """The mode to begin with. Asked again after a crash, it decides the same of the same run."""
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


def tools_that_matter(task: Task, tools: Mapping[str, BaseTool]) -> tuple[str, ...]:
    """Of the tools on offer those that can help with a task: all but those for arithmetic where there is none to do."""
    return tuple(
        name for name, tool in tools.items() if _named(name, task) or not is_arithmetic(tool) or _calculates(task)
    )


def beyond_the_head(task: Task) -> bool:
    """Whether a task holds numbers that nobody multiplies without pen and paper: five digits or more between the two
    longest, and more than one in each. Years are not counted."""
    digits = sorted(len(re.sub(r"\D", "", number)) for number in _NUMBER.findall(task.text) if not _YEAR.match(number))
    return _calculates(task) and digits[-2:-1] > [1] and sum(digits[-2:]) >= 5


_YEAR = re.compile(r"(1[5-9]|20)\d\d[.,]?$")
_NUMBER = re.compile(r"(?<![\w.])[-+]?\$?\d[\d,]*\.?\d*")
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
