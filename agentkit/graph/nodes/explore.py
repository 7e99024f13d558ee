"""explore: one turn of the explorer, either as the planner or as the executor of a sub-task."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langgraph.runtime import Runtime
from langgraph.types import Command
from pydantic import ValidationError

from agentkit.answer_type import AnswerType
from agentkit.graph.asking import ask
from agentkit.graph.context import RunContext
from agentkit.graph.effort import beyond_the_head, tools_that_matter
from agentkit.graph.events import Answered, Planned, SubtaskDone
from agentkit.graph.nodes.client import way_to_tools
from agentkit.graph.sampling import Sample, vote
from agentkit.graph.spending import chosen, nothing_follows
from agentkit.graph.state import RunState, StateUpdate, View
from agentkit.graph.weighing import weighed
from agentkit.models.speech import spoken
from agentkit.roles.explorer import Approach, Plan, executor_messages
from agentkit.tools import is_arithmetic

if TYPE_CHECKING:
    from agentkit.models import Reply
    from agentkit.tasks import Task

PLAN = Plan.__name__
"""The name of the call that splits the task; it is not a real tool."""


async def explore(
    state: RunState, runtime: Runtime[RunContext]
) -> Command[Literal["explore", "approve", "client", "tools", "evaluate"]]:
    """Ask the explorer once; the reply is an answer, a plan, or tool calls.

    Answers go to evaluate and tool calls to tools; a plan or a finished sub-task comes back here.
    """
    context, view = runtime.context, View(chosen(runtime.context, state))
    if (known := _recalled(context, view)) is not None:
        return Command(update=known, goto="evaluate")
    means = _means(context, view)
    reply = await _turn(context, view, means)
    update: dict[str, Any] = {"turn": state["turn"] + 1, "effort": view.state["effort"]}
    calls = reply.message.tool_calls
    if plan := next((call for call in calls if call["name"] == PLAN), None):
        return Command(update=update | _planned(context, view, plan), goto="explore")
    made = [call for call in calls if call["name"] in context.tools]
    if made and reply.parsed is None:
        message = AIMessage(reply.message.text, tool_calls=made)
        watched = any(call["name"] in context.options.approve for call in made)
        return Command(
            update=update | view.added([message]), goto="approve" if watched else way_to_tools(context, made)
        )
    if view.executing:
        return Command(update=update | _subtask_done(context, view, reply.text.strip()), goto="explore")
    return Command(update=update | await _answered(context, view, means, reply), goto="evaluate")


async def _answered(context: RunContext, view: View, means: _Means, reply: Reply) -> StateUpdate:
    """The update with an answer: that of the reply, or the majority's if several replies are drawn."""

    def sample(reply: Reply, number: int) -> Sample:
        text = context.program.read_answer(context.task, reply, means.work)
        bare = not means.work.reason and not means.tools
        return Sample(text=text, reply=reply, scope=_scope(view.state["turn"], number), told=bare)

    async def draw(number: int) -> Sample:
        return sample(await _turn(context, view, replace(means, must_answer=True), number), number)

    effort, won = view.state["effort"], sample(reply, 0)
    if context.options.samples != 1:
        voted = await vote(context, won, draw)
        effort, won = {**effort, "samples": voted.to_json()}, voted.winner
    first, objected = not (means.work.reason or means.tools), view.state["round"] > 0
    found = await weighed(context, won.reply, won.text, first=first, objected=objected)
    effort = {name: value for name, value in effort.items() if name != "weighed"}
    effort |= {"weighed": found.to_json()} if found.by else {}
    context.emit(Answered(run_id=context.run_id, answer=found.answer, round=view.state["round"]))
    said = AIMessage(found.answer, id=won.reply.message.id)  # with the same id LangGraph's streams don't repeat it
    used = _named(context, won.reply.text)
    return {"messages": [said], "answer": found.answer, "used": used, "logprobs": found.told, "effort": effort}


def _recalled(context: RunContext, view: View) -> dict[str, Any] | None:
    """An answer that recalled context provides without any model call; it is evaluated like any other."""
    answer = next((item.answer for item in context.fixed_blocks() if item.answer is not None), None)
    if answer is None or view.state["turn"]:
        return None
    context.emit(Answered(run_id=context.run_id, answer=answer, round=view.state["round"]))
    return {"turn": 1, "effort": view.state["effort"], "messages": [AIMessage(answer)], "answer": answer, "used": []}


@dataclass(frozen=True)
class _Means:
    """How the explorer works in this turn, with which tools, and whether it must answer without calling one."""

    work: Approach
    tools: Sequence[Any] = ()
    must_answer: bool = False


def _means(context: RunContext, view: View) -> _Means:
    """Tools that could help may be called until the last step that the answer may take.

    A model that repeats one of its calls has nothing left to learn from tools, so it must answer too.
    """
    state, options = view.state, context.options
    if view.mode != "agentic":
        return _Means(Approach(reason=view.mode == "reasoning"))
    names = list(context.tools)
    if options.effort == "auto" and not options.planning:
        names = list(tools_that_matter(context.task, context.tools))
    tools: list[Any] = [context.tools[name] for name in names]
    left = options.max_steps - (state["turn"] - state["since"])
    must_answer = left <= 1 or view.going_in_circles
    planning = options.planning and not view.executing
    if planning and left > 2:
        tools.append(Plan)
    calculate = any(is_arithmetic(context.tools[name]) for name in names) and beyond_the_head(context.task)
    return _Means(Approach(tools=bool(names), planning=planning, calculate=calculate), tools, must_answer)


def _scope(turn: int, sample: int) -> str:
    """The journal scope of a turn's call: the turn, and the number of the sample if several answers are drawn."""
    return f"explore:{turn}:sample:{sample}" if sample else f"explore:{turn}"


async def _turn(context: RunContext, view: View, means: _Means, sample: int = 0) -> Reply:
    prompt: list[BaseMessage]
    if view.executing:
        findings = [(done, result) for done, result in view.findings]
        prompt, form = executor_messages(context.task, view.subtask, findings), None
    else:
        prompt = context.program.explorer_messages(context.task, context.fixed_blocks(), means.work)
        form = context.program.answer_form(_narrowed(context, view), means.work)
        form = form.backed_by(context.form) if isinstance(form, AnswerType) else form
    role = "executor" if view.executing else "explorer"
    turn = view.state["turn"]
    messages = [*prompt, *view.conversation]
    hears = None if view.executing or form is not None or sample else _hearing(context, means)
    return await ask(
        context,
        role,
        messages,
        scope=_scope(turn, sample),
        turn=turn,
        sample=sample,
        tools=means.tools,
        schema=form,
        must_answer=means.must_answer,
        on_token=hears,
    )


def _narrowed(context: RunContext, view: View) -> Task:
    """The task with only the choices that recall shortlisted; with all of them after an answer was rejected."""
    short = next((item.choices for item in context.fixed_blocks() if item.choices), ())
    if not short or view.state["round"]:
        return context.task
    return context.task.model_copy(update={"choices": short, "answer_schema": None})


def _hearing(context: RunContext, means: _Means) -> Callable[[str], None] | None:
    """A callback that passes the reply on as it is written; None unless its words can only be the run's answer."""
    tell, options = context.on_words, context.options
    revised = context.checker is not None or options.evaluate or "answer" in options.approve
    revised = revised or context.assessor.floor is not None or not nothing_follows(context)
    if tell is None or revised or means.tools or means.work.reason:
        return None
    written = ""

    def hear(piece: str) -> None:
        nonlocal written
        written = written + piece if piece else ""
        if not written.lstrip().startswith(_MARK_BEGINS) or len(written) > _LONGEST_MARK:
            tell(spoken(written).strip())

    return hear


_MARK_BEGINS = ("<", "[", "\u25c1")
"""How marks of a model's thoughts begin; thoughts are not part of the answer."""
_LONGEST_MARK = 30


def _named(context: RunContext, text: str) -> list[str]:
    """Ids of the shown bullets and cases that the explorer mentions."""
    shown = [offer.id for block in context.fixed_blocks() for offer in block.offers if offer.shown]
    return [id for id in shown if re.search(rf"(?<![\w-]){re.escape(id)}(?![\w-])", text)]


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
