"""Tools of MCP servers, over stdio or streamable HTTP, using the official SDK."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import IO, Any

import anyio
from langchain_core.tools import BaseTool
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agentkit.errors import MissingExtra, SettingsError, ToolError
from agentkit.json_types import JsonObject
from agentkit.tools.mcp_tools import as_text, make_tool, sifted

CONNECT_SECONDS = 30.0
MAX_PAGES = 100
"""Limit on the pages of a server's tool list, so that an endless one can't block us."""


class McpServer(BaseModel):
    """How to reach one MCP server: a command to start, or a URL.

    Attributes:
        command: the program and its arguments; the process ends when the connection is closed.
        args: further arguments, for compatibility with other clients' settings.
        env: added to the few variables that MCP servers inherit (which include no API keys).
        cwd: the folder to start the command in.
        url: the address of a streamable HTTP server.
        headers: sent to it with every request, such as Authorization.
        timeout: seconds that one request to the server may take.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: str | list[str] | None = None
    args: list[str] = Field(default_factory=list)
    env: dict[str, str] = Field(default_factory=dict)
    cwd: str | None = None
    url: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    timeout: float = Field(default=60.0, gt=0)

    @model_validator(mode="after")
    def _one_of_two(self) -> McpServer:
        if bool(self.command) == bool(self.url):
            raise ValueError("give either a command or a url")
        return self

    @property
    def words(self) -> list[str]:
        return [*([self.command] if isinstance(self.command, str) else self.command or []), *self.args]


@asynccontextmanager
async def connect_mcp(servers: Mapping[str, Mapping[str, Any] | McpServer]) -> AsyncIterator[list[BaseTool]]:
    """Connect to MCP servers and yield their tools, named `server_tool`; the connections last as long as the block.

    A tool with an unusable schema is left out, with a warning in the log that names it.

    Args:
        servers: by name, `{"command": ["python", "server.py"]}` or `{"url": "http://127.0.0.1:8000/mcp"}`; see
            `McpServer`.

    Raises:
        MissingExtra: the `mcp` package is not installed.
        SettingsError: a server's settings are invalid.
        ToolError: a server can't be started or reached; names it.
    """
    parsed = {name: _parse(name, given) for name, given in servers.items()}
    if importlib.util.find_spec("mcp") is None:
        raise MissingExtra("mcp", "mcp")
    async with AsyncExitStack() as stack:
        tools: dict[str, BaseTool] = {}
        for name, server in parsed.items():
            for made in await _connect(stack, name, server):
                if made.name in tools:
                    raise SettingsError(f"two MCP tools are named {made.name!r}: rename one of the servers")
                tools[made.name] = made
        yield list(tools.values())


def _parse(name: str, given: Mapping[str, Any] | McpServer) -> McpServer:
    if isinstance(given, McpServer):
        return given
    try:
        return McpServer.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"MCP server {name!r}: {where + ': ' if where else ''}{first['msg']}") from None


async def _connect(stack: AsyncExitStack, name: str, server: McpServer) -> list[BaseTool]:
    log = TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed by the stack
    stack.callback(log.close)
    connection = _Connection(name=name, server=server, log=log)
    stack.push_async_callback(connection.close)
    tools: dict[str, BaseTool] = {}
    for listed in await connection.open():
        made = make_tool(name, listed, tools, connection.call)
        tools[made.name] = made
    return list(tools.values())


async def _client(stack: AsyncExitStack, name: str, server: McpServer, log: IO[str]) -> Any:
    from mcp import Client, StdioServerParameters, stdio_client
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared._httpx_utils import create_mcp_http_client

    transport: Any
    if server.url is None:
        program, *arguments = server.words
        start = StdioServerParameters(command=program, args=arguments, env=server.env, cwd=server.cwd)
        transport = stdio_client(start, errlog=log)
    elif server.headers:
        http = await stack.enter_async_context(create_mcp_http_client(headers=server.headers))
        transport = streamable_http_client(server.url, http_client=http)
    else:
        transport = streamable_http_client(server.url)
    return Client(sifted(transport, name), read_timeout_seconds=server.timeout)


async def _every_tool(client: Any) -> list[Any]:
    from mcp import MCPError
    from mcp_types import METHOD_NOT_FOUND

    listed: list[Any] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        try:
            page = await client.list_tools(cursor=cursor)
        except MCPError as error:
            if error.code == METHOD_NOT_FOUND and not listed:
                return []  # a server that only offers resources or prompts
            raise
        listed += page.tools
        cursor = page.next_cursor
        if cursor is None:
            break
    return listed


@dataclass(kw_only=True)
class _Connection:
    """One connected server, held by a task of its own.

    When its transport fails, the SDK cancels the task that holds the connection. If that were the caller's own task, a
    dying server would end the whole run instead of one tool call.
    """

    name: str
    server: McpServer
    log: IO[str]
    client: Any = None
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _holder: asyncio.Task[None] | None = None

    async def open(self) -> list[Any]:
        """Connect, and list the server's tools. Raises ToolError."""
        listed: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._holder = asyncio.create_task(self._hold(listed), name=f"mcp {self.name}")
        both: set[asyncio.Future[Any]] = {listed, self._holder}
        done, _ = await asyncio.wait(both, timeout=CONNECT_SECONDS, return_when="FIRST_COMPLETED")
        if listed in done:
            return listed.result()
        if not done:
            self._holder.cancel()
            raise ToolError(f"MCP server {self.name!r} gave no answer within {CONNECT_SECONDS:g} s{_said(self.log)}")
        raise ToolError(f"MCP server {self.name!r} can't be reached: {self._end()}{_said(self.log)}")

    async def close(self) -> None:
        self._stop.set()
        if self._holder is not None:
            await asyncio.wait({self._holder})
            self._end()

    async def _hold(self, listed: asyncio.Future[list[Any]]) -> None:
        async with AsyncExitStack() as stack:
            self.client = await stack.enter_async_context(await _client(stack, self.name, self.server, self.log))
            tools = await _every_tool(self.client)
            if not listed.done():
                listed.set_result(tools)
            await self._stop.wait()

    def _end(self) -> str:
        """Why the connection ended."""
        if self._holder is None or not self._holder.done() or self._holder.cancelled():
            return "the connection was closed"
        error = self._holder.exception()
        return "the connection was closed" if error is None else _reason(error)

    async def call(self, name: str, arguments: JsonObject) -> str:
        """Call a tool. Raises ToolError if the tool reports failure, or the server is gone or does not answer."""
        holder = self._holder
        if holder is None or holder.done() or self._stop.is_set():
            raise ToolError(f"MCP server {self.name!r} is gone: {self._end()}{_said(self.log)}")
        request = asyncio.ensure_future(self.client.call_tool(name, arguments))
        both: set[asyncio.Future[Any]] = {request, holder}
        try:
            await asyncio.wait(both, return_when="FIRST_COMPLETED")
            if not request.done():
                raise ToolError(f"MCP server {self.name!r} is gone: {self._end()}{_said(self.log)}")
            result = _result(self.name, request, self.log)
        finally:
            request.cancel()
        text = as_text(result.content, result.structured_content)
        if result.is_error:
            raise ToolError(text or f"{name} failed")
        return text


def _result(name: str, request: asyncio.Future[Any], log: IO[str]) -> Any:
    from mcp import MCPError

    try:
        return request.result()
    except MCPError as error:
        raise ToolError(f"MCP server {name!r}: {_reason(error)}{_said(log)}") from None
    except (RuntimeError, ValidationError) as error:
        raise ToolError(f"MCP server {name!r} gave an invalid response: {_reason(error)}") from None
    except (OSError, anyio.ClosedResourceError, anyio.BrokenResourceError) as error:
        raise ToolError(f"MCP server {name!r} is gone: {_reason(error)}{_said(log)}") from None


def _reason(error: BaseException) -> str:
    """An error as one line; for a group of errors, the first one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " ".join(str(error).split())[:300] or type(error).__name__


def _said(log: IO[str]) -> str:
    """The last line that a server wrote to its standard error, which may explain why it ended."""
    log.flush()
    log.seek(0, 2)
    log.seek(max(0, log.tell() - 4000))
    lines = [line.strip() for line in log.read().splitlines() if line.strip()]
    return f" (its last words: {lines[-1][:200]})" if lines else ""
