"""learn: passes the finished run to the learners, once, within the same durable graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from langgraph.runtime import Runtime

from agentkit.graph.asking import ask
from agentkit.graph.context import RunContext
from agentkit.graph.episode import build_episode
from agentkit.graph.events import LearningDone
from agentkit.graph.state import RunState
from agentkit.protocols import CallModel

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage
    from pydantic import BaseModel

    from agentkit.models import Reply


async def learn(state: RunState, runtime: Runtime[RunContext]) -> dict[str, Any]:
    """Give the episode to each learner. Their writes are keyed by the run, so repeating this node changes nothing."""
    context = runtime.context
    episode = build_episode(context, state)
    for learner in context.learners:
        learnt = await learner.learn(episode, call=learner_call(context, learner.name))
        context.emit(LearningDone(run_id=context.run_id, learner=learner.name, learnt=learnt))
    return {}


def learner_call(context: RunContext, name: str) -> CallModel:
    """The model calls of a learner, journalled under the run."""
    turn = 0

    async def call(role: str, messages: Sequence[BaseMessage], *, schema: type[BaseModel] | None = None) -> Reply:
        nonlocal turn
        turn += 1
        return await ask(context, role, messages, scope=f"learn:{name}", turn=turn, schema=schema)

    return call
