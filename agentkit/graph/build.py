"""The state machine: recall → explore ⇄ tools → evaluate → (revise) → learn.

Each node decides where the run continues, in the `Command` that it returns; the node's return type lists the options.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from langgraph.graph import START, StateGraph

from agentkit.graph.context import RunContext
from agentkit.graph.nodes.client import client
from agentkit.graph.nodes.evaluate import evaluate
from agentkit.graph.nodes.explore import explore
from agentkit.graph.nodes.learn import learn
from agentkit.graph.nodes.person import approve, confirm
from agentkit.graph.nodes.recall import recall
from agentkit.graph.nodes.tools import tools
from agentkit.graph.state import RunState

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

    from agentkit.graph.checkpoints import Saver

    Graph = CompiledStateGraph[RunState, RunContext, RunState, RunState]


def build_graph(checkpoints: Saver | None = None, *, first: Literal["recall", "explore"] = "recall") -> Graph:
    """Compile the graph that every run goes through.

    Args:
        checkpoints: makes runs durable; None keeps them in memory only.
        first: the node that runs begin with: "explore" if there is nothing to recall from. A conditional edge, taken in
            every run, cost 7 % of the work of a short one.
    """
    graph = StateGraph(RunState, context_schema=RunContext)
    nodes: dict[str, Any] = {
        "recall": recall,
        "explore": explore,
        "approve": approve,
        "client": client,
        "tools": tools,
        "evaluate": evaluate,
        "confirm": confirm,
        "learn": learn,
    }
    for name, node in nodes.items():
        graph.add_node(name, node)
    graph.add_edge(START, first)
    return graph.compile(checkpointer=checkpoints, name="agentkit")
