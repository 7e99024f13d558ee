"""The front door: an agent is built from names and objects (`building`, `parts`) and called in many ways (`runnable`);
its runs are driven through the graph (`running`)."""

from agentkit.agent.agent import Agent
from agentkit.agent.parts import AgentParts
from agentkit.agent.runnable import RunArguments, StreamArguments

__all__ = ["Agent", "AgentParts", "RunArguments", "StreamArguments"]
