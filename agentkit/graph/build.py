"""The state machine: recall → explore ⇄ tools → evaluate → (revise) → learn.

The functions on its edges are coroutines because LangGraph calls any other in a thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from agentkit.graph.context import RunContext
from agentkit.graph.nodes.evaluate import evaluate
from agentkit.graph.nodes.explore import explore
from agentkit.graph.nodes.learn import learn
from agentkit.graph.nodes.person import approve, confirm
from agentkit.graph.nodes.recall import recall
from agentkit.graph.nodes.tools import tools
from agentkit.graph.state import RunState, View

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

    from agentkit.graph.checkpoints import Saver


def build_graph(checkpoints: Saver | None = None) -> CompiledStateGraph[RunState, RunContext, RunState, RunState]:
    """Compile the one graph that serves solving, evolving and curating.

    Args:
        checkpoints: makes runs durable; None keeps them in memory only.
    """
    graph = StateGraph(RunState, context_schema=RunContext)
    nodes: dict[str, Any] = {
        "recall": recall,
        "explore": explore,
        "approve": approve,
        "tools": tools,
        "evaluate": evaluate,
        "confirm": confirm,
        "learn": learn,
    }
    for name, node in nodes.items():
        graph.add_node(name, node)
    graph.add_conditional_edges(START, at_start, ["recall", "explore"])
    graph.add_edge("recall", "explore")
    graph.add_conditional_edges("explore", after_explore, ["explore", "approve", "tools", "evaluate"])
    graph.add_conditional_edges("approve", after_approve, ["explore", "tools"])
    graph.add_conditional_edges("tools", after_tools, ["explore", "evaluate"])
    graph.add_conditional_edges("evaluate", after_evaluate, ["explore", "confirm", "learn", END])
    graph.add_conditional_edges("confirm", after_evaluate, ["explore", "confirm", "learn", END])
    graph.add_edge("learn", END)
    return graph.compile(checkpointer=checkpoints, name="agentkit")


async def at_start(state: RunState, runtime: Runtime[RunContext]) -> Literal["recall", "explore"]:
    return "recall" if runtime.context.blocks is None else "explore"


async def after_explore(
    state: RunState, runtime: Runtime[RunContext]
) -> Literal["explore", "approve", "tools", "evaluate"]:
    """An answer is evaluated, tool calls are carried out, and a plan or a finished sub-task is explored further."""
    if state.get("answer") is not None:
        return "evaluate"
    calls = View(state).pending_calls
    if not calls:
        return "explore"
    watched = set(runtime.context.options.approve)
    return "approve" if any(call["name"] in watched for call in calls) else "tools"


async def after_approve(state: RunState) -> Literal["explore", "tools"]:
    return "tools" if View(state).pending_calls else "explore"


async def after_tools(state: RunState) -> Literal["explore", "evaluate"]:
    """A tool may have given the answer; else the explorer reads what the tools found."""
    return "explore" if state.get("answer") is None else "evaluate"


async def after_evaluate(state: RunState, runtime: Runtime[RunContext]) -> str:
    """Back to work, to a person, or to what learns from the run, where anything does."""
    following = {"revise": "explore", "ask": "confirm"}
    return following.get(state["outcome"] or "", "learn" if runtime.context.learners else END)
