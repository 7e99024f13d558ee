"""The state of a run: ids and small primitives. Tasks, playbooks, cases and documents stay in the store."""

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
    """What a checkpoint holds.

    Attributes:
        run_id: the run, which is also the LangGraph thread.
        turn: how many times the explorer has spoken, over all rounds.
        round: the number of the current answer, from 0.
        since: the turn at which this round began.
        start: how many of the messages belong to an answer in a cheaper mode, which is not shown any more.
        messages: the planner's conversation after its prompt; the prompt itself is built from the store.
        plan: the sub-tasks of the current plan.
        findings: `[sub-task, result]` pairs, in order: the sub-task memory.
        work: the executor's conversation on the current sub-task: the tool memory.
        answer: the current answer, None while there is none.
        used: ids of bullets and cases that the explorer named.
        effort: the `Decision` that chose the run's mode, as JSON, and what was decided after it: `tools` that could
            matter, the answer `before` it went up, `earlier` answers that were revised, the vote on `samples`, whether
            the `evaluator` was asked. Runs of older versions have none and are agentic.
        logprobs: the summary of the call that gave the answer, as JSON; None where the model told nothing.
        confidence: how likely the answer is right; None where that is not known.
        outcome: what the evaluator decided.
        objection: why the answer is to be revised.
        sources: where text from outside came from that stands in the task, in what was recalled or in the trajectory;
            a run without any is trusted.
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
    """The state in which a run begins."""
    return {"run_id": run_id, "messages": [], "turn": 0, "round": 0, "since": 0, "sources": task.outside}


def with_sources(state: RunState, found: Iterable[str]) -> list[str]:
    """The run's sources of text from outside with further ones."""
    return sorted({*state.get("sources", []), *found})


@dataclass(frozen=True)
class View:
    """Questions that nodes ask of a state."""

    state: RunState
    plan: list[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "plan", self.state.get("plan", []))

    @property
    def mode(self) -> str:
        """How much the run may spend: "instant", "reasoning" or "agentic"."""
        return str(self.state.get("effort", {}).get("mode", "agentic"))

    @property
    def executing(self) -> bool:
        """Whether a sub-task of a plan is being carried out."""
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
        """The update that adds messages to the conversation."""
        return {"work": [*self.conversation, *messages]} if self.executing else {"messages": list(messages)}

    @property
    def pending_calls(self) -> list[JsonObject]:
        """Tool calls of the last message that have no result yet."""
        last = self.conversation[-1] if self.conversation else None
        return [dict(call) for call in last.tool_calls] if isinstance(last, AIMessage) else []

    @property
    def going_in_circles(self) -> bool:
        """Whether the last tool call of this conversation repeats an earlier one to the letter."""
        turns = [message.tool_calls for message in self.conversation if isinstance(message, AIMessage)]
        made = [[(call["name"], call["args"]) for call in calls] for calls in turns if calls]
        return len(made) > 1 and made[-1] in made[:-1]
