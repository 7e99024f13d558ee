"""Decisions of the nodes about spending: which mode to use, whether to spend more on an answer, whether to ask the
evaluator."""

from __future__ import annotations

from agentkit.graph.context import RunContext
from agentkit.graph.effort import Asking, Decision, decide
from agentkit.graph.events import EffortChosen
from agentkit.graph.state import RunState, StateUpdate
from agentkit.json_types import JsonObject


def chosen(context: RunContext, state: RunState) -> RunState:
    """The state with the run's mode filled in; the mode is decided before the first call and then kept."""
    if "effort" in state:
        return state
    if state["turn"]:  # a run begun by a version without modes
        return {**state, "effort": {"mode": "agentic"}}
    decision = decide(context.options.effort, context.router, context.situation)
    told(context, decision)
    tools: JsonObject = {"tools": list(context.situation.tools)} if context.situation.tools else {}
    return {**state, "effort": decision.to_json() | tools}


def told(context: RunContext, decision: Decision) -> None:
    """Emit the event that announces a mode."""
    context.emit(
        EffortChosen(run_id=context.run_id, mode=decision.mode, why=decision.why, probability=decision.probability)
    )


def higher(context: RunContext, state: RunState, confidence: float | None) -> Decision | None:
    """Whether past runs suggest a higher mode for an answer that nothing has checked yet; None if they say
    nothing."""
    mode = state.get("effort", {}).get("mode")
    if context.thrift is None or context.options.effort != "auto" or mode != "instant" or confidence is None:
        return None
    return context.thrift.higher(context.situation, confidence)


def begin_again(context: RunContext, state: RunState, decision: Decision, confidence: float) -> StateUpdate:
    """The update that starts the task again in a higher mode, with an empty conversation."""
    told(context, decision)
    effort = state.get("effort", {})
    before = {"mode": effort.get("mode"), "answer": state["answer"], "confidence": confidence}
    return {
        "effort": {**effort, **decision.to_json(), "before": before},
        "start": len(state["messages"]),
        "answer": None,
        "since": state["turn"],
    }


def asking(context: RunContext, state: RunState, confidence: float | None) -> Asking | None:
    """Whether to ask the evaluator about a first answer; None if nothing is known about that."""
    if context.thrift is None or state["round"]:
        return None
    return context.thrift.asks(context.situation, confidence)


def nothing_follows(context: RunContext) -> bool:
    """Whether the next answer is final as far as spending decisions go."""
    if context.options.samples != 1:
        return False
    sure = context.assessor.calibration is not None
    return not (sure and context.thrift is not None and context.thrift.may_change(context.situation))
