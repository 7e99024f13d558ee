"""recall: reads the playbook and the cases, and fixes that context for the whole run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from agentkit.graph.context import RunContext
from agentkit.graph.events import Recalled
from agentkit.graph.state import RunState, with_sources
from agentkit.protocols import Block, Recaller
from agentkit.tasks import Task


async def recall(state: RunState, runtime: Runtime[RunContext]) -> Command[Literal["explore"]]:
    """Fix the run's context. If the node runs again after a crash, it reuses what was fixed the first time."""
    context = runtime.context
    blocks = None if context.fresh else context.log.blocks(context.run_id)
    if blocks is None:
        blocks = await recalled(context.recallers, context.task, run_id=context.run_id)
        context.log.save_blocks(context.run_id, blocks)
    context.blocks = blocks
    for block in blocks:
        shown = sum(offer.shown for offer in block.offers)
        event = Recalled(
            run_id=context.run_id, kind=block.kind, target=block.target, version=block.version, shown=shown
        )
        context.emit(event)
    sources = with_sources(state, (source for block in blocks for source in block.outside))
    return Command(update={"sources": sources}, goto="explore")


async def recalled(recallers: Sequence[Recaller], task: Task, *, run_id: str) -> list[Block]:
    """What recallers give to a run, one after the other; those that have nothing are left out."""
    found = [await recaller.recall(task, run_id=run_id) for recaller in recallers]
    return [block for block in found if block is not None]
