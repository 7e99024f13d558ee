"""One pass of the state machine, and the log of a pass that is a part of a larger run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from langgraph.errors import GraphRecursionError

from agentkit.errors import RunError
from agentkit.graph.build import build_graph
from agentkit.graph.state import first_state
from agentkit.protocols import Block
from agentkit.store.run_log import ToolCall
from agentkit.tasks import Feedback

if TYPE_CHECKING:
    from langgraph.types import Durability

    from agentkit.graph.build import Graph
    from agentkit.graph.context import RunContext
    from agentkit.graph.state import RunState


class PassLog:
    """The log of one pass that is a part of a run, such as a question about a paper: kept for as long as it lasts.

    What outlives it is the business of whoever has the pass made: it is written with what came of the pass.

    Args:
        blocks: the context that was fixed for the pass.
    """

    def __init__(self, blocks: Sequence[Block] = ()) -> None:
        self._blocks = list(blocks)
        self._feedback: list[Feedback] = []
        self._calls: list[ToolCall] = []

    def blocks(self, run_id: str) -> list[Block] | None:
        return self._blocks

    def save_blocks(self, run_id: str, blocks: Sequence[Block]) -> None:
        self._blocks = list(blocks)

    def feedback(self, run_id: str) -> list[Feedback]:
        return self._feedback

    def save_feedback(self, run_id: str, feedback: Feedback, *, round: int = 0) -> None:
        self._feedback.append(feedback)

    def tool_calls(self, run_id: str) -> list[ToolCall]:
        return self._calls

    def save_tool_call(self, run_id: str, call: ToolCall) -> None:
        self._calls.append(call)


async def run_pass(context: RunContext) -> None:
    """Take a pass through the state machine from its first node to its last, without checkpoints.

    Interrupted, it is made again from its beginning, with the answers that the journal of calls has.

    Raises:
        RunError: it took more steps than it may.
    """
    await through(machine(), first_state(context.run_id, context.task), context)


async def through(
    graph: Graph, given: RunState | Any, context: RunContext, *, durability: Durability | None = None
) -> Any:
    """Have a graph work on what it is given, and return LangGraph's output.

    Args:
        given: the first state; None or a command to go on from the last checkpoint.
        durability: when checkpoints are written, in LangGraph's words; None leaves it to LangGraph.

    Raises:
        RunError: it took more steps than the run may.
    """
    limit = 10 + 3 * context.options.max_rounds * (context.options.max_steps + 2)
    config: Any = {"configurable": {"thread_id": context.run_id}, "recursion_limit": limit}
    try:
        return await graph.ainvoke(given, config, context=context, version="v2", durability=durability)
    except GraphRecursionError:
        raise RunError(f"run {context.run_id} took more than {limit} steps") from None


@cache
def machine() -> Graph:
    """The one graph of all passes."""
    return build_graph()
