"""One model call made by a node: journalled, announced by events, counted against the budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from agentkit.graph.context import RunContext
from agentkit.graph.events import ModelEnded, ModelStarted
from agentkit.graph.sampling import TEMPERATURE

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from agentkit.models import Reply
    from agentkit.models.requests import Schema


ANSWERS = ("explorer", "executor")
"""Roles that use the run's adapter; roles that judge or learn use the base model."""


async def ask(
    context: RunContext,
    role: str,
    messages: Sequence[BaseMessage],
    *,
    scope: str,
    turn: int,
    sample: int = 0,
    tools: Sequence[Any] = (),
    schema: Schema | None = None,
    must_answer: bool = False,
    on_token: Callable[[str], None] | None = None,
) -> Reply:
    """Ask a role's model.

    Args:
        scope: the place in the run that asks. Together with the request it identifies the call in the journal, so that
            a resumed run gets the recorded answer.
        turn: the number shown in events.
        sample: the number of this answer among several. All but the first, 0, are drawn with a seed of their own and a
            temperature.
        must_answer: whether tool calls are forbidden.
        on_token: called with the text as it is written.
    """
    context.emit(ModelStarted(run_id=context.run_id, role=role, turn=turn))
    options = context.options
    drawn = TEMPERATURE if sample and options.temperature is None else options.temperature
    reply = await context.caller(role).call(
        messages,
        tools=tools,
        schema=schema,
        must_answer=must_answer,
        role=role,
        scope=f"{context.scope}/{scope}" if context.scope else scope,
        seed=options.seed + sample,
        temperature=drawn,
        logprobs=role == "explorer" and context.logprobs,
        adapter=_adapter(context) if role in ANSWERS else "",
        on_token=on_token,
    )
    context.emit(_ended(context, role, turn, reply))
    return reply


def _adapter(context: RunContext) -> str:
    """The adapter file that the run was given; empty if none."""
    return next((block.adapter for block in context.fixed_blocks() if block.adapter), "")


def _ended(context: RunContext, role: str, turn: int, reply: Reply) -> ModelEnded:
    used = reply.usage
    return ModelEnded(
        run_id=context.run_id,
        role=role,
        turn=turn,
        text=reply.text,
        model=context.caller(role).name,
        input_tokens=used.input_tokens,
        output_tokens=used.output_tokens,
        cached_tokens=used.cached_tokens,
        cost=used.cost,
        seconds=used.seconds,
        replayed=reply.replayed,
    )
