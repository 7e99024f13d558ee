"""What a run that waits asks for, and the results that whoever asked hands back."""

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
    """What a run asks, by its last checkpoint; None where it does not wait."""
    return next((dict(item.value) for task in snapshot.tasks for item in task.interrupts), None)


def calls_of(question: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The calls that whoever asked is to carry out; none where a person is asked something else."""
    if question is None or question["question"] != QUESTION:
        return []
    return [dict(call) for call in question["calls"]]


def save_results(log: RunLog, run_id: str, calls: Sequence[Mapping[str, Any]], results: Mapping[str, str]) -> None:
    """Write results down; one that is there already stays.

    Raises:
        UserError: results of calls that the run did not make.
    """
    known = {call.key for call in log.tool_calls(run_id)} | {call["id"] for call in calls}
    if unknown := sorted(set(results) - known):
        raise UserError(f"run {run_id} waits for no result of the call {unknown[0]!r}")
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
    """What a waiting run is given to go on with: a person's reply, or word that all results are there.

    Raises:
        UserError: there is neither.
    """
    calls = calls_of(question)
    if not calls and reply is None:
        raise UserError(f"run {run_id} waits for a person: agentkit resume {run_id} --accept  or  --reject")
    done = {call.key for call in log.tool_calls(run_id)}
    if missing := [call["tool"] for call in calls if call["id"] not in done]:
        raise UserError(f"run {run_id} waits for the results of calls of its client: {', '.join(missing)}")
    return {"results": len(calls)} if calls else dict(reply or {})
