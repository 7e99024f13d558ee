"""Typed events of a run, in the order in which they happen."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from pydantic_core import to_jsonable_python

from agentkit.json_types import JsonObject
from agentkit.protocols import Learnt
from agentkit.tasks import Feedback


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events; `to_json` adds a `type`, the class name in snake case."""

    run_id: str

    def to_json(self) -> JsonObject:
        """The event as JSON values."""
        name = type(self).__name__
        kind = "".join(f"_{char.lower()}" if char.isupper() else char for char in name).lstrip("_")
        return {"type": kind, **to_jsonable_python(asdict(self))}


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event):
    """A run began, or continues (`resumed`)."""

    task_id: str
    model: str
    resumed: bool = False


@dataclass(frozen=True, kw_only=True)
class Recalled(Event):
    """A block of learnt context was fixed for the run."""

    kind: str
    target: str
    version: int
    shown: int


@dataclass(frozen=True, kw_only=True)
class EffortChosen(Event):
    """How much the run may spend on its task: "instant", "reasoning" or "agentic", and why."""

    mode: str
    why: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class ModelStarted(Event):
    """A role's model was called; `turn` counts the explorer's turns or the evaluator's rounds."""

    role: str
    turn: int


@dataclass(frozen=True, kw_only=True)
class ModelEnded(Event):
    """A role's model replied. `replayed` if the reply came from the journal of an interrupted run."""

    role: str
    turn: int
    text: str
    model: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost: float
    seconds: float
    replayed: bool


@dataclass(frozen=True, kw_only=True)
class Planned(Event):
    """The explorer split the task into sub-tasks."""

    subtasks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SubtaskDone(Event):
    """The executor finished a sub-task."""

    subtask: str
    result: str


@dataclass(frozen=True, kw_only=True)
class ToolStarted(Event):
    """A tool was called."""

    tool: str
    arguments: JsonObject


@dataclass(frozen=True, kw_only=True)
class ToolEnded(Event):
    """A tool returned, or failed (`ok` is False and `text` says why)."""

    tool: str
    text: str
    ok: bool
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Words(Event):
    """A piece of the answer as it is written: everything from character `at` on is replaced by `text`.

    Only streams have these events, and only for runs whose answer can't be replaced afterwards: without tools, without
    an answer form, and without any check.
    """

    text: str
    at: int


@dataclass(frozen=True, kw_only=True)
class Answered(Event):
    """The explorer gave an answer."""

    answer: str
    round: int


@dataclass(frozen=True, kw_only=True)
class Evaluated(Event):
    """The answer was checked."""

    outcome: str
    feedback: Feedback
    round: int


@dataclass(frozen=True, kw_only=True)
class Asked(Event):
    """The run waits for a person; continue with `Agent.resume(run_id, reply)`."""

    question: str
    details: JsonObject


@dataclass(frozen=True, kw_only=True)
class LearningDone(Event):
    """A learner has processed the run."""

    learner: str
    learnt: Learnt


@dataclass(frozen=True, kw_only=True)
class RunEnded(Event):
    """The run is over."""

    status: str
    answer: str | None
    seconds: float
