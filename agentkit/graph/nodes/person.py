"""approve and confirm: where a run waits for a person. Each interrupt is in a node of its own.

When the run is resumed, the node runs again from its first line, so nothing with a side effect may precede the
interrupt.
"""

from __future__ import annotations

from typing import Literal

from langchain_core.messages import ToolMessage
from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt
from pydantic import BaseModel

from agentkit.graph.context import RunContext
from agentkit.graph.nodes.client import way_to_tools
from agentkit.graph.nodes.evaluate import AfterEvaluate, decided, revision
from agentkit.graph.state import RunState, View
from agentkit.tasks import Feedback


class PersonReply(BaseModel):
    """What a person says: accept or not, why not, and a better answer if there is one."""

    accept: bool
    text: str = ""
    answer: str | None = None


async def approve(state: RunState, runtime: Runtime[RunContext]) -> Command[Literal["explore", "client", "tools"]]:
    """Ask whether the pending tool calls may run; refused calls are returned to the explorer as errors."""
    context, view = runtime.context, View(state)
    calls = [{"tool": call["name"], "arguments": call["args"]} for call in view.pending_calls]
    reply = PersonReply.model_validate(interrupt({"question": "May these tools be called?", "calls": calls}))
    if reply.accept:
        return Command(goto=way_to_tools(context, view.pending_calls))
    text = "error: a person refused this call" + (f": {reply.text}" if reply.text else "")
    refused = [ToolMessage(text, tool_call_id=call["id"], status="error") for call in view.pending_calls]
    return Command(update=view.added(refused), goto="explore")


async def confirm(state: RunState, runtime: Runtime[RunContext]) -> Command[AfterEvaluate]:
    """Ask whether the answer is right; the reply is feedback from the channel "user"."""
    context = runtime.context
    reply = PersonReply.model_validate(interrupt({"question": "Is this answer right?", "answer": state["answer"]}))
    feedback = Feedback(channel="user", score=float(reply.accept), text=reply.text)
    context.log.save_feedback(context.run_id, feedback, round=state["round"])
    if reply.answer is not None:
        return decided(context, {"outcome": "accept", "answer": reply.answer})
    if not reply.accept and state["round"] + 1 < context.options.max_rounds:
        return decided(context, revision(context, state, reply.text or "A person says the answer is wrong."))
    return decided(context, {"outcome": "accept" if reply.accept else "abstain"})
