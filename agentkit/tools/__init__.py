"""Tools: made from functions, built in, or served over MCP; and the sandbox for model-written code.

Every tool is a `langchain_core` `BaseTool`. What a tool returns is data, never an instruction.
"""

from langchain_core.tools import BaseTool

from agentkit.tools.client import client_tools, is_clients
from agentkit.tools.function import arithmetic, is_arithmetic, reads_outside, tool
from agentkit.tools.isolation import SandboxLimits, SandboxResult
from agentkit.tools.loading import BUILT_IN, TOOLS, ToolParts, approved, load_tools, one_of_each_name
from agentkit.tools.mcp import connect_mcp
from agentkit.tools.running import ToolResult, run_tool
from agentkit.tools.sandbox import Sandbox

__all__ = [
    "BUILT_IN",
    "TOOLS",
    "BaseTool",
    "Sandbox",
    "SandboxLimits",
    "SandboxResult",
    "ToolParts",
    "ToolResult",
    "approved",
    "arithmetic",
    "client_tools",
    "connect_mcp",
    "is_arithmetic",
    "is_clients",
    "load_tools",
    "one_of_each_name",
    "reads_outside",
    "run_tool",
    "tool",
]
