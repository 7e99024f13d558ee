"""The Agent class: it is built from names and objects (`building`, `parts`) and can be called in many ways
(`runnable`); its runs are driven through the graph by `running`."""

from agentkit.agent.agent import Agent
from agentkit.agent.parts import AgentParts
from agentkit.agent.runnable import RunArguments, StreamArguments

__all__ = ["Agent", "AgentParts", "RunArguments", "StreamArguments"]
