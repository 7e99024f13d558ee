"""explore: one turn of the explorer, as planner or as executor of a sub-task."""

from __future__ import annotations

from typing import Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langgraph.runtime import Runtime
from langgraph.types import Command
from pydantic import ValidationError

from agentkit.graph.asking import ask
from agentkit.graph.context import RunContext
from agentkit.graph.events import Answered, Planned, SubtaskDone
from agentkit.graph.state import RunState, View
from agentkit.protocols import ModelReply
from agentkit.roles.explorer import Plan, executor_messages

PLAN = Plan.__name__
"""The call that is not a tool: splitting the task."""


async def explore(
    state: RunState, runtime: Runtime[RunContext]
) -> Command[Literal["explore", "approve", "tools", "evaluate"]]:
    """Ask the explorer once; the reply is an answer, a plan, or calls of tools.

    An answer is evaluated, calls are carried out, and a plan or a finished sub-task is explored further.
    """
    context, view = runtime.context, View(state)
    if (known := _recalled(context, state)) is not None:
        return Command(update=known, goto="evaluate")
    reply = await _turn(context, view)
    update: dict[str, Any] = {"turn": state["turn"] + 1}
    calls = reply.message.tool_calls
    if plan := next((call for call in calls if call["name"] == PLAN), None):
        return Command(update=update | _planned(context, view, plan), goto="explore")
    tools = [call for call in calls if call["name"] in context.tools]
    if tools and reply.parsed is None:
        message = AIMessage(reply.message.text, tool_calls=tools)
        watched = any(call["name"] in context.options.approve for call in tools)
        return Command(update=update | view.added([message]), goto="approve" if watched else "tools")
    text, used = _final(context, reply)
    if view.executing:
        return Command(update=update | _subtask_done(context, view, text), goto="explore")
    context.emit(Answered(run_id=context.run_id, answer=text, round=state["round"]))
    update |= {"messages": [AIMessage(text)], "answer": text, "used": used}
    return Command(update=update, goto="evaluate")


def _recalled(context: RunContext, state: RunState) -> dict[str, Any] | None:
    """The answer that learnt context gives by itself, before any call; it is evaluated as any other."""
    answer = next((item.answer for item in context.fixed_blocks() if item.answer is not None), None)
    if answer is None or state["turn"]:
        return None
    context.emit(Answered(run_id=context.run_id, answer=answer, round=state["round"]))
    return {"turn": 1, "messages": [AIMessage(answer)], "answer": answer, "used": []}


async def _turn(context: RunContext, view: View) -> Any:
    """The model call: free to use tools until the last step that the answer may take, then it must answer.

    A model that repeats a call it has made already has nothing left to learn from tools, and must answer too.
    """
    state, options, program = view.state, context.options, context.program
    left = options.max_steps - (state["turn"] - state["since"])
    prompt: list[BaseMessage]
    if view.executing:
        findings = [(done, result) for done, result in view.findings]
        prompt = executor_messages(context.task, view.subtask, findings)
    else:
        prompt = program.explorer_messages(context.task, context.fixed_blocks(), planning=options.planning)
    tools: list[Any] = list(context.tools.values()) if left > 1 and not view.going_in_circles else []
    if options.planning and not view.executing and left > 2:
        tools.append(Plan)
    role = "executor" if view.executing else "explorer"
    messages = [*prompt, *view.conversation]
    scope = f"explore:{state['turn']}"
    return await ask(
        context, role, messages, scope=scope, turn=state["turn"], tools=tools, schema=program.answer_schema
    )


def _final(context: RunContext, reply: ModelReply) -> tuple[str, list[str]]:
    if reply.parsed is not None:
        return context.program.read_answer(reply.parsed)
    return reply.text.strip(), []


def _planned(context: RunContext, view: View, call: Any) -> dict[str, Any]:
    message = AIMessage("", tool_calls=[call])
    try:
        plan = Plan.model_validate(call["args"])
    except ValidationError as error:
        mend = ToolMessage(f"error: not a plan: {error.errors()[0]['msg']}", tool_call_id=call["id"])
        return {"messages": [message, mend]}
    context.emit(Planned(run_id=context.run_id, subtasks=tuple(plan.subtasks)))
    done = [subtask for subtask, _ in view.findings]
    return {"messages": [message], "plan": done + plan.subtasks, "work": []}


def _subtask_done(context: RunContext, view: View, result: str) -> dict[str, Any]:
    context.emit(SubtaskDone(run_id=context.run_id, subtask=view.subtask, result=result))
    findings = [*view.findings, [view.subtask, result]]
    update: dict[str, Any] = {"findings": findings, "work": []}
    if len(findings) == len(view.plan):
        call = _plan_call(view.state)
        report = "\n".join(f"{number}. {done}: {found}" for number, (done, found) in enumerate(findings, 1))
        update["messages"] = [ToolMessage(report, tool_call_id=call)]
    return update


def _plan_call(state: RunState) -> str:
    """The id of the plan call that the planner is waiting for."""
    last = state["messages"][-1]
    assert isinstance(last, AIMessage)
    return str(last.tool_calls[0]["id"])
