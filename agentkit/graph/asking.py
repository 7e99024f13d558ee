"""One model call of a node: journalled, announced, counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from agentkit.graph.context import RunContext
from agentkit.graph.events import ModelEnded, ModelStarted

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from agentkit.models import Reply
    from agentkit.models.requests import Schema


ANSWERS = ("explorer", "executor")
"""Roles that answer with the run's adapter; who judges and who learns do not."""


async def ask(
    context: RunContext,
    role: str,
    messages: Sequence[BaseMessage],
    *,
    scope: str,
    turn: int,
    tools: Sequence[Any] = (),
    schema: Schema | None = None,
    must_answer: bool = False,
    on_token: Callable[[str], None] | None = None,
) -> Reply:
    """Ask a role's model.

    Args:
        scope: the place in the run that asks; with the request it names the call in the journal, so that a resumed
            run gets the recorded answer.
        turn: for progress.
        must_answer: no tool may be called.
        on_token: gets the text as it is written.
    """
    context.emit(ModelStarted(run_id=context.run_id, role=role, turn=turn))
    reply = await context.caller(role).call(
        messages,
        tools=tools,
        schema=schema,
        must_answer=must_answer,
        role=role,
        scope=scope,
        seed=context.options.seed,
        temperature=context.options.temperature,
        logprobs=role == "explorer",
        adapter=_adapter(context) if role in ANSWERS else "",
        on_token=on_token,
    )
    context.emit(_ended(context, role, turn, reply))
    return reply


def _adapter(context: RunContext) -> str:
    """The file of the adapter that the run was given; empty where it was given none."""
    return next((block.adapter for block in context.fixed_blocks() if block.adapter), "")


def _ended(context: RunContext, role: str, turn: int, reply: Reply) -> ModelEnded:
    return ModelEnded(
        run_id=context.run_id,
        role=role,
        turn=turn,
        text=reply.text,
        model=context.caller(role).name,
        input_tokens=reply.usage.input_tokens,
        output_tokens=reply.usage.output_tokens,
        cached_tokens=reply.usage.cached_tokens,
        cost=reply.usage.cost,
        seconds=reply.usage.seconds,
        replayed=reply.replayed,
    )
