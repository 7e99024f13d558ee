"""tools: carries out the tool calls of the explorer's last turn, each exactly once."""

from __future__ import annotations

from typing import Any, Literal

from langchain_core.messages import AIMessage, ToolMessage
from langgraph.runtime import Runtime
from langgraph.types import Command

from agentkit import faults
from agentkit.aio import together
from agentkit.answer_type import AnswerType
from agentkit.graph.context import RunContext
from agentkit.graph.events import Answered, ToolEnded, ToolStarted
from agentkit.graph.nodes.client import call_key
from agentkit.graph.state import RunState, View, with_sources
from agentkit.roles.blocks import block
from agentkit.store.run_log import ToolCall
from agentkit.tools import reads_outside, run_tool


async def tools(state: RunState, runtime: Runtime[RunContext]) -> Command[Literal["explore", "evaluate"]]:
    """Run the pending calls concurrently; the result of a call completed before a crash is taken from the log.

    The results go back to the explorer, unless a tool is marked `return_direct` (a LangChain attribute): then its
    result is the answer, which saves a turn, if it has the form that the task's answer must have.
    """
    context, view = runtime.context, View(state)
    calls = view.pending_calls
    done = {call.key: call for call in context.log.tool_calls(context.run_id)}
    keys = [call_key(context.run_id, state["turn"], position) for position in range(len(calls))]
    jobs = [_call(context, key, call, done.get(key)) for key, call in zip(keys, calls, strict=True)]
    results = await together(jobs)
    messages = [
        ToolMessage(block("result", result.result), tool_call_id=call["id"], status="success" if result.ok else "error")
        for call, result in zip(calls, results, strict=True)
    ]
    read = (result.tool for result in results if reads_outside(context.tools.get(result.tool)))
    sources = with_sources(state, (f"tool:{name}" for name in read))
    only = results[0] if len(results) == 1 and results[0].ok and not view.executing else None
    if only is not None and context.tools[only.tool].return_direct and _fits(context.task.answer_type, only.result):
        text = only.result
        context.emit(Answered(run_id=context.run_id, answer=text, round=state["round"]))
        answered = view.added([*messages, AIMessage(text)]) | {"sources": sources, "answer": text, "used": []}
        return Command(update=answered, goto="evaluate")
    return Command(update=view.added(messages) | {"sources": sources}, goto="explore")


def _fits(form: AnswerType | None, text: str) -> bool:
    if form is not None:
        try:
            form.read(text)
        except ValueError:
            return False
    return True


async def _call(context: RunContext, key: str, call: dict[str, Any], done: ToolCall | None) -> ToolCall:
    if done is not None:
        return done
    tool, arguments = context.tools[call["name"]], call["args"]
    context.emit(ToolStarted(run_id=context.run_id, tool=tool.name, arguments=arguments))
    faults.point("before:tool.call")
    result = await run_tool(tool, arguments, timeout=context.options.tool_timeout)
    record = ToolCall(
        key=key, tool=tool.name, arguments=arguments, result=result.text, ok=result.ok, seconds=result.seconds
    )
    context.log.save_tool_call(context.run_id, record)
    faults.point("after:tool.call")
    event = ToolEnded(run_id=context.run_id, tool=tool.name, text=result.text, ok=result.ok, seconds=result.seconds)
    context.emit(event)
    return record
