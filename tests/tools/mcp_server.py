"""A real MCP server for the tests: over stdio, or over streamable HTTP on the port given."""

import os
import sys

from mcp.server.mcpserver import MCPServer

server = MCPServer("demo")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def fail() -> str:
    """Fail."""
    raise ValueError("no such luck")


@server.tool()
def die() -> str:
    """End the server in the middle of a call."""
    print("out of memory", file=sys.stderr, flush=True)
    os._exit(3)


@server.tool()
def secret() -> str:
    """Show whether a key of the client's environment got here."""
    return os.environ.get("OPENAI_API_KEY", "nothing")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
    else:
        server.run()
