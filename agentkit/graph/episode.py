"""Turns a finished run into the episode that learners are given."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from agentkit.graph.context import RunContext
from agentkit.graph.state import RunState
from agentkit.protocols import Episode, Step
from agentkit.tasks import Feedback, Labels, Task

_STRENGTH = ("label", "user", "check", "judge")
"""Feedback channels, strongest first."""


def build_episode(context: RunContext, state: RunState) -> Episode:
    """The episode of a run; it contains no more of the target than the run's labels allow."""
    labels = context.options.labels
    latest = {item.channel: item for item in allowed(context.log.feedback(context.run_id), labels)}
    steps = _steps(state.get("messages", []))
    sources = state.get("sources", [])
    return Episode(
        run_id=context.run_id,
        task=visible(context.task, gold=labels == "gold"),
        labels=labels,
        answer=state.get("answer"),
        plan=tuple(state.get("plan", []))
        or tuple(f"{step.name}({step.text})" for step in steps if step.actor == "call"),
        steps=tuple(steps),
        feedback=tuple(latest[name] for name in _STRENGTH if name in latest),
        blocks=tuple(context.fixed_blocks()),
        cited=tuple(state.get("used", [])),
        model=context.caller("explorer").name,
        untrusted=bool(sources),
        source=" ".join(sources),
        effort=state.get("effort", {}),
    )


def visible(task: Task, *, gold: bool) -> Task:
    """The task as learners may see it: without its target and checker unless labels are "gold"."""
    return task if gold else task.model_copy(update={"target": None, "checker": None})


def allowed(feedback: list[Feedback], labels: Labels) -> list[Feedback]:
    """The feedback that learners may see: of a gold label nothing, only its score, or all of it, depending on
    `labels`."""
    if labels == "gold":
        return feedback
    bare = [item.model_copy(update={"text": ""}) if item.channel == "label" else item for item in feedback]
    return bare if labels == "check" else [item for item in bare if item.channel != "label"]


def _steps(messages: list[Any]) -> list[Step]:
    steps: list[Step] = []
    names: dict[str, str] = {}
    for message in messages:
        if isinstance(message, AIMessage):
            for call in message.tool_calls:
                names[str(call["id"])] = call["name"]
                arguments = ", ".join(f"{key}={value}" for key, value in call["args"].items())
                steps.append(Step(actor="call", name=call["name"], text=arguments))
            if message.text:
                steps.append(Step(actor="explorer", text=message.text))
        elif isinstance(message, ToolMessage):
            name, ok = names.get(message.tool_call_id, ""), message.status != "error"
            steps.append(Step(actor="tool", name=name, text=message.text, ok=ok))
        elif isinstance(message, BaseMessage):
            steps.append(Step(actor="evaluator", text=message.text))
    return steps
