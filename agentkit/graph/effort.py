"""Effort: how much a run may spend on a task, and who decides (after A²FM, arXiv 2510.12838 §3).

`instant` is one call that returns only the answer, with exactly the prompt of a bare model call. `reasoning` thinks
first. `agentic` has tools and plans. `auto` lets a `Router` choose: by rules alone (`Rules`), or by past outcomes
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
"""How many answers to ask for; "auto" stops when another one is not worth its cost."""
MOST = 8
"""The most answers that "auto" asks for."""
LIMIT = 64
"""The most answers that a user may ask for."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What a router knows about a run before its first call.

    Attributes:
        run_id: seeds random draws.
        task: without its target and checker.
        tools: names of the tools that could help with it.
        planning: whether the user allows plans.
        model: the model that answers.
        explores: whether a mode may be tried just to measure it; not in runs that nothing is learnt from.
        resumed: whether the run continues one that an earlier process began.
        evaluator: the model that checks answers.
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
    """The mode that a run uses.

    Attributes:
        probability: the probability with which it was chosen, needed for learning from outcomes.
        why: a few words, shown by `agentkit runs show`.
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
        """The mode to begin with. Called again after a crash, it must decide the same for the same run."""
        ...


class Thrift(Protocol):
    """Decides after an answer whether to spend more on it. Called again for the same run, it decides the same."""

    def higher(self, situation: Situation, confidence: float) -> Decision | None:
        """Whether a run that answered in "instant" mode starts again in a higher mode or stays "instant".

        Args:
            confidence: the probability that the answer is right.

        Returns:
            None if no higher mode has been measured.
        """
        ...

    def asks(self, situation: Situation, confidence: float | None) -> Asking | None:
        """Whether to ask the evaluator when the user left that open; None if nothing has been measured."""
        ...

    def may_change(self, situation: Situation) -> bool:
        """Whether either could happen; if so, answers are not streamed before they are final."""
        ...


class Rules:
    """The router without learning: the cheapest mode that can do the task."""

    name = "rules"

    def choose(self, situation: Situation) -> Decision:
        if situation.planning:
            return Decision(mode="agentic", why="plans are offered")
        if situation.tools:
            return Decision(mode="agentic", why=f"tools can matter: {', '.join(situation.tools)}")
        return Decision(mode="instant", why="no tool can matter")


def decide(effort: Effort, router: Router, situation: Situation) -> Decision:
    """The mode of a run: the one that was asked for, or the router's choice."""
    return router.choose(situation) if effort == "auto" else Decision(mode=effort, why="asked for")


def known_effort(effort: str) -> Effort:
    """Raises UserError if there is no such effort."""
    if effort not in get_args(Effort):
        raise UserError(f"unknown effort {effort!r}: use {', '.join(get_args(Effort))}")
    return effort  # type: ignore[return-value]


def known_samples(samples: int | str) -> Samples:
    """Raises UserError if it is neither "auto" nor a valid number of answers."""
    if samples == "auto":
        return "auto"
    if isinstance(samples, str) and samples.isdigit():
        samples = int(samples)
    if isinstance(samples, bool) or not isinstance(samples, int) or not 1 <= samples <= LIMIT:
        raise UserError(f"samples must be auto or a number from 1 to {LIMIT}, not {samples!r}")
    return samples


def tools_that_matter(task: Task, tools: Mapping[str, BaseTool]) -> tuple[str, ...]:
    """The names of those tools that could help with a task.

    Arithmetic tools count only if there is something to calculate. Among them, a tool whose result is the answer itself
    is offered only if the task wants nothing but a number, and then it replaces the others: it takes one call instead
    of two, and rounds as the task asks.
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
    """Whether a task says, by its form or in words, that its answer is just a number."""
    form = task.answer_type
    if form is not None:
        return form.numeric and form.choices is None
    return bool(_NUMBER_WANTED.search(f"{task.instructions or ''}\n{task.input}"))


def beyond_the_head(task: Task) -> bool:
    """Whether a task has numbers too large to multiply in one's head: the two longest have five or more digits
    together, and each has more than one. Years are not counted; `1875 tiles` is no year."""
    found = (match for match in _NUMBER.finditer(task.text) if not _is_year(match))
    digits = sorted(len(re.sub(r"\D", "", match[0])) for match in found)
    return _calculates(task) and digits[-2:-1] > [1] and sum(digits[-2:]) >= 5


def _is_year(number: re.Match[str]) -> bool:
    return _YEAR.match(number[0]) is not None and _COUNTED.match(number.string, number.end()) is None


_YEAR = re.compile(r"(1[5-9]|20)\d\d[.,]?$")
_COUNTED = re.compile(r" [a-z]{3,}s\b")
"""A noun in the plural, of which a number says how many."""
_NUMBER = re.compile(r"(?<![\w.])[-+]?\$?\d[\d,]*\.?\d*")
_NUMBER_WANTED = re.compile(
    r"(?i)\b(?:a numer(?:ic|ical) (?:answer|value)|(?:with|as) (?:the|a|one) (?:single )?number\b"
    r"|the (?:number|value) alone|only (?:the|a) (?:number|value)|(?:number|value) only)"
)
_CODE = re.compile(r"```|>>>|^\s*(def|class|import|from|SELECT|CREATE TABLE)\s", re.MULTILINE)


def _named(name: str, task: Task) -> bool:
    """Whether the task mentions the tool by name, other than as one of the answers to choose from."""
    form = task.answer_type
    choices = form.choices if form is not None else None
    if name in {str(choice).casefold().replace(" ", "_") for choice in choices or ()}:
        return False
    said = f"{task.instructions or ''}\n{task.input}".casefold()
    return name.replace("_", " ") in said or name in said


def _calculates(task: Task) -> bool:
    """Whether there are numbers to calculate with and the answer could be one. Tasks that contain code don't count."""
    form = task.answer_type
    if form is not None and not form.numeric:
        return False
    told = f"{task.instructions or ''}\n{task.input}"
    return len(_NUMBER.findall(task.text)) > 1 and not _CODE.search(told)
