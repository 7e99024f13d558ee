"""What the nodes decide about spending: which mode, whether an answer is worth more, whether the evaluator is asked."""

from __future__ import annotations

from agentkit.graph.context import RunContext
from agentkit.graph.effort import Asking, Decision, decide
from agentkit.graph.events import EffortChosen
from agentkit.graph.state import RunState, StateUpdate
from agentkit.json_types import JsonObject


def chosen(context: RunContext, state: RunState) -> RunState:
    """The state with the run's mode in it, which is decided before its first call and kept from then on."""
    if "effort" in state:
        return state
    if state["turn"]:  # begun by a version that knew no modes
        return {**state, "effort": {"mode": "agentic"}}
    decision = decide(context.options.effort, context.router, context.situation)
    told(context, decision)
    tools: JsonObject = {"tools": list(context.situation.tools)} if context.situation.tools else {}
    return {**state, "effort": decision.to_json() | tools}


def told(context: RunContext, decision: Decision) -> None:
    """Announce a mode."""
    context.emit(
        EffortChosen(run_id=context.run_id, mode=decision.mode, why=decision.why, probability=decision.probability)
    )


def higher(context: RunContext, state: RunState, confidence: float | None) -> Decision | None:
    """What past runs say about going up from an answer that no check has seen; None where they say nothing."""
    mode = state.get("effort", {}).get("mode")
    if context.thrift is None or context.options.effort != "auto" or mode != "instant" or confidence is None:
        return None
    return context.thrift.higher(context.situation, confidence)


def begin_again(context: RunContext, state: RunState, decision: Decision, confidence: float) -> StateUpdate:
    """The update that has the task done anew in a higher mode, as if nothing had been said before."""
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
    """Whether the evaluator is asked about a first answer; None where nobody can say."""
    if context.thrift is None or state["round"]:
        return None
    return context.thrift.asks(context.situation, confidence)


def nothing_follows(context: RunContext) -> bool:
    """Whether the next answer is the run's, as far as spending goes."""
    if context.options.samples != 1:
        return False
    sure = context.assessor.calibration is not None
    return not (sure and context.thrift is not None and context.thrift.may_change(context.situation))
