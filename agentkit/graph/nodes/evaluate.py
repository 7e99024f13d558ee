"""evaluate: uses a real checker if the task has one, otherwise the evaluator agent."""

from __future__ import annotations

import asyncio
from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from agentkit.confidence import agreement_of, features_of
from agentkit.graph.asking import ask
from agentkit.graph.context import RunContext
from agentkit.graph.events import Evaluated
from agentkit.graph.spending import asking, begin_again, higher
from agentkit.graph.state import Outcome, RunState, StateUpdate
from agentkit.json_types import JsonObject
from agentkit.models.logprobs import Logprobs
from agentkit.protocols import Step
from agentkit.tasks import Feedback

Checked = tuple[Outcome, Feedback | None]
AfterEvaluate = Literal["explore", "confirm", "learn", "__end__"]
"""The nodes a decision can lead to; `__end__` is LangGraph's END."""


async def evaluate(state: RunState, runtime: Runtime[RunContext]) -> Command[AfterEvaluate]:
    """Decide about the current answer: accept, revise, abstain, start again in a higher mode, or ask a person."""
    context, round = runtime.context, state["round"]
    checked = await _check(context, state)
    effort = dict(state.get("effort", {}))
    if checked is None:
        sure = await _confidence(context, state, None)
        up = higher(context, state, sure)
        if up is not None and sure is not None and up.mode != effort.get("mode"):
            return Command(update=begin_again(context, state, up, sure), goto="explore")
        effort |= {} if up is None else {"stayed": up.to_json()}
        checked, asked = await _judged(context, state, sure)
        effort |= asked
    outcome, feedback = checked
    if feedback is not None:
        context.log.save_feedback(context.run_id, feedback, round=round)
    if outcome == "revise" and round + 1 >= context.options.max_rounds:
        outcome = "abstain"
    confidence = await _confidence(context, state, feedback)
    if outcome == "accept" and context.assessor.declines(confidence):
        outcome = "decline"
    if outcome == "accept" and "answer" in context.options.approve:
        outcome = "ask"
    shown = feedback or Feedback(channel="check", score=None, text="not checked")
    context.emit(Evaluated(run_id=context.run_id, outcome=outcome, feedback=shown, round=round))
    update: StateUpdate = {"outcome": outcome, "confidence": confidence}
    if outcome == "revise":
        effort["earlier"] = [*effort.get("earlier", ()), state["answer"] or ""]
        update = revision(context, state, _objection(shown))
    return decided(context, update | ({"effort": effort} if effort else {}))


async def _confidence(context: RunContext, state: RunState, feedback: Feedback | None) -> float | None:
    """The probability that the answer is right; 1 or 0 if a label or a check has decided it."""
    if feedback is not None and feedback.score is not None and feedback.channel in ("label", "check"):
        return feedback.score
    told = state.get("logprobs")
    if not told:
        return None
    judge = feedback.score if feedback is not None else None
    agreement = agreement_of(state.get("effort", {}).get("samples"))
    assessor = context.assessor
    fit = None
    if assessor.likeness is not None:
        fit = await asyncio.to_thread(assessor.likeness.fit, context.task, state["answer"])
    return assessor.confidence(features_of(Logprobs.from_json(told), judge=judge, agreement=agreement, fit=fit))


def decided(context: RunContext, update: StateUpdate) -> Command[AfterEvaluate]:
    """The update with the node that its outcome leads to: back to work, to a person, or to the learners if there are
    any."""
    ways: dict[str, AfterEvaluate] = {"revise": "explore", "ask": "confirm"}
    return Command(update=update, goto=ways.get(update["outcome"], "learn" if context.learners else "__end__"))


def revision(context: RunContext, state: RunState, objection: str) -> StateUpdate:
    """The state update that sends the explorer back to work."""
    message = context.program.revision_message(objection)
    return {
        "outcome": "revise",
        "objection": objection,
        "messages": [message],
        "answer": None,
        "round": state["round"] + 1,
        "since": state["turn"],
    }


async def _check(context: RunContext, state: RunState) -> Checked | None:
    """The checker's verdict; None if there is no checker or it can't tell."""
    checker = context.checker
    if checker is None or (checker.needs_target and context.options.labels == "none"):
        return None
    feedback = await checker.check(state["answer"] or "", context.task)
    if feedback.score is None:
        return None
    return ("accept" if feedback.score >= 1 else "revise"), feedback


async def _judged(context: RunContext, state: RunState, confidence: float | None) -> tuple[Checked, JsonObject]:
    """The evaluator's verdict, if it is asked, and what the run records about asking it.

    If the user left the decision open, the evaluator may have an answer revised once and nothing else, since that is
    what was measured to help.
    """
    if context.options.evaluate is not None:
        return (await _evaluator(context, state) if context.options.evaluate else ("accept", None)), {}
    wanted = asking(context, state, confidence)
    noted = {} if wanted is None else {"evaluator": wanted.to_json()}
    if wanted is None or not wanted.asked:
        return ("accept", None), noted
    outcome, feedback = await _evaluator(context, state)
    revises = outcome == "revise" and state["round"] + 1 < context.options.max_rounds
    return ("revise" if revises else "accept", feedback), noted


async def _evaluator(context: RunContext, state: RunState) -> tuple[Outcome, Feedback]:
    called = context.log.tool_calls(context.run_id) if context.tools else []
    steps = [Step(actor="tool", name=call.tool, text=call.result, ok=call.ok) for call in called]
    round = state["round"]
    messages = context.program.evaluator_messages(context.task, state["answer"] or "", steps, round)
    schema = context.program.evaluation_schema
    reply = await ask(context, "evaluator", messages, scope=f"evaluate:{round}", turn=round, schema=schema)
    return context.program.read_evaluation(reply.parsed)


def _objection(feedback: Feedback) -> str:
    """What the explorer may be told: for a label only that the answer is wrong, never the label's text."""
    return "The answer is wrong." if feedback.channel == "label" else feedback.text or "The check failed."
