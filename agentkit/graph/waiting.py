"""What a waiting run asks for, and how a caller's tool results are taken in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentkit.errors import UserError
from agentkit.graph.nodes.client import QUESTION
from agentkit.store.run_log import RunLog, ToolCall
from agentkit.text import clean
from agentkit.tools.running import short_output

if TYPE_CHECKING:
    from langgraph.types import StateSnapshot


def question_of(snapshot: StateSnapshot) -> dict[str, Any] | None:
    """What a run asks, according to its last checkpoint; None if it is not waiting."""
    return next((dict(item.value) for task in snapshot.tasks for item in task.interrupts), None)


def calls_of(question: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The client tool calls that the caller must carry out; empty if a person is asked something else."""
    if question is None or question["question"] != QUESTION:
        return []
    return [dict(call) for call in question["calls"]]


def save_results(log: RunLog, run_id: str, calls: Sequence[Mapping[str, Any]], results: Mapping[str, str]) -> None:
    """Store tool results; an existing result is not overwritten.

    Raises:
        UserError: a result of a call that the run did not make.
    """
    known = {call.key for call in log.tool_calls(run_id)} | {call["id"] for call in calls}
    if unknown := sorted(set(results) - known):
        raise UserError(f"run {run_id} does not wait for a result of call {unknown[0]!r}")
    for call in calls:
        if (text := results.get(call["id"])) is not None:
            record = ToolCall(
                key=call["id"],
                tool=call["tool"],
                arguments=call["arguments"],
                result=short_output(clean(text)),
                ok=True,
                seconds=0.0,
            )
            log.save_tool_call(run_id, record)


def reply_to(log: RunLog, run_id: str, question: Mapping[str, Any], reply: Mapping[str, Any] | None) -> dict[str, Any]:
    """The value to resume a waiting run with: a person's reply, or the fact that all tool results are stored.

    Raises:
        UserError: neither is available.
    """
    calls = calls_of(question)
    if not calls and reply is None:
        raise UserError(f"run {run_id} waits for a person: agentkit resume {run_id} --accept  or  --reject")
    done = {call.key for call in log.tool_calls(run_id)}
    if missing := [call["tool"] for call in calls if call["id"] not in done]:
        raise UserError(f"run {run_id} waits for results of client tool calls: {', '.join(missing)}")
    return {"results": len(calls)} if calls else dict(reply or {})
