"""client: where a run waits until the caller has carried out the calls of its own tools (client tools)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from agentkit.graph.context import RunContext
from agentkit.graph.state import RunState, View
from agentkit.tools import is_clients

QUESTION = "Carry these calls out and hand back their results."


async def client(state: RunState, runtime: Runtime[RunContext]) -> Command[Literal["tools"]]:
    """Interrupt with the calls that have no result in the log yet; the tools node later takes the results from
    there."""
    context = runtime.context
    done = {call.key for call in context.log.tool_calls(context.run_id)}
    calls = [call for call in _handed_over(context, View(state)) if call["id"] not in done]
    if calls:
        interrupt({"question": QUESTION, "calls": calls})
    return Command(goto="tools")


def _handed_over(context: RunContext, view: View) -> list[dict[str, Any]]:
    """The pending calls of client tools, each as `{"id", "tool", "arguments"}`."""
    turn = view.state["turn"]
    return [
        {"id": call_key(context.run_id, turn, position), "tool": call["name"], "arguments": call["args"]}
        for position, call in enumerate(view.pending_calls)
        if is_clients(context.tools.get(call["name"]))
    ]


def call_key(run_id: str, turn: int, position: int) -> str:
    """The key of a tool call in the log."""
    return f"{run_id}/{turn}/{position}"


def way_to_tools(context: RunContext, calls: Sequence[Mapping[str, Any]]) -> Literal["client", "tools"]:
    """The node where these calls go first."""
    return "client" if any(is_clients(context.tools.get(call["name"])) for call in calls) else "tools"
