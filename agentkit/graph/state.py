"""The state of a run: ids and simple values. Tasks, playbooks, cases and documents stay in the store."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias, TypedDict

from langchain_core.messages import AIMessage, AnyMessage

from agentkit.json_types import JsonObject
from agentkit.tasks import Task

Outcome = Literal["accept", "revise", "abstain", "decline", "ask"]

StateUpdate: TypeAlias = JsonObject
"""The fields of a `RunState` that a node changes."""


class RunState(TypedDict, total=False):
    """The content of a checkpoint.

    Attributes:
        run_id: the run's id, also used as the LangGraph thread id.
        turn: how many turns the explorer has taken, over all rounds.
        round: the number of the current answer, from 0.
        since: the turn at which this round began.
        start: how many messages, from the first, belong to an attempt in a cheaper mode and are no longer shown.
        messages: the planner's conversation after its prompt; the prompt itself is rebuilt from the store.
        plan: the sub-tasks of the current plan.
        findings: `[sub-task, result]` pairs, in order; the paper calls this the sub-task memory.
        work: the executor's conversation on the current sub-task; the paper's tool memory.
        answer: the current answer; None while there is none.
        used: ids of the bullets and cases that the explorer mentioned.
        effort: the `Decision` on the run's mode, as JSON, plus later decisions: `tools` that could help, the answer
            `before` it went to a higher mode, `earlier` answers that were revised, the vote over `samples`, whether the
            `evaluator` was asked. Runs from older versions have none and count as agentic.
        logprobs: the summary of the log-probabilities of the answer's call, as JSON; None if the model returned none.
        confidence: the probability that the answer is right; None if unknown.
        outcome: the evaluator's decision.
        objection: why the answer must be revised.
        sources: where outside text in the task, the recalled context or the trajectory came from; a run with no sources
            is trusted.
    """

    run_id: str
    turn: int
    round: int
    since: int
    start: int
    messages: Annotated[list[AnyMessage], operator.add]
    plan: list[str]
    findings: list[list[str]]
    work: list[AnyMessage]
    answer: str | None
    used: list[str]
    outcome: Outcome | None
    objection: str
    sources: list[str]
    effort: JsonObject
    logprobs: JsonObject | None
    confidence: float | None


def first_state(run_id: str, task: Task) -> RunState:
    """The initial state of a run."""
    return {"run_id": run_id, "messages": [], "turn": 0, "round": 0, "since": 0, "sources": task.outside}


def with_sources(state: RunState, found: Iterable[str]) -> list[str]:
    """The run's sources of outside text, extended by those given."""
    return sorted({*state.get("sources", []), *found})


@dataclass(frozen=True)
class View:
    """Read-only queries on a state, used by the nodes."""

    state: RunState
    plan: list[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "plan", self.state.get("plan", []))

    @property
    def mode(self) -> str:
        """The run's mode: "instant", "reasoning" or "agentic"."""
        return str(self.state.get("effort", {}).get("mode", "agentic"))

    @property
    def executing(self) -> bool:
        """Whether a sub-task of a plan is in progress."""
        return len(self.findings) < len(self.plan)

    @property
    def subtask(self) -> str:
        return self.plan[len(self.findings)]

    @property
    def findings(self) -> list[list[str]]:
        return self.state.get("findings", [])

    @property
    def conversation(self) -> list[AnyMessage]:
        if self.executing:
            return self.state.get("work", [])
        return self.state.get("messages", [])[self.state.get("start", 0) :]

    def added(self, messages: Sequence[AnyMessage]) -> dict[str, Any]:
        """The update that appends messages to the current conversation."""
        return {"work": [*self.conversation, *messages]} if self.executing else {"messages": list(messages)}

    @property
    def pending_calls(self) -> list[JsonObject]:
        """Tool calls of the last message that have no result yet."""
        last = self.conversation[-1] if self.conversation else None
        return [dict(call) for call in last.tool_calls] if isinstance(last, AIMessage) else []

    @property
    def going_in_circles(self) -> bool:
        """Whether the last tool call of this conversation is an exact repetition of an earlier one."""
        turns = [message.tool_calls for message in self.conversation if isinstance(message, AIMessage)]
        made = [[(call["name"], call["args"]) for call in calls] for calls in turns if calls]
        return len(made) > 1 and made[-1] in made[:-1]
