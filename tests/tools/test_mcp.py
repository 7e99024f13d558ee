"""MCP servers as tools, against real servers over stdio and streamable HTTP."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the mcp extra is not installed")

from langchain_core.messages import AIMessage

from agentkit import Agent
from agentkit.errors import MissingExtra, SettingsError, ToolError, UserError
from agentkit.settings import Settings
from agentkit.testing import ScriptedModel
from agentkit.tools import connect_mcp, run_tool

SERVER = Path(__file__).parent / "mcp_server.py"
STDIO = {"command": [sys.executable, str(SERVER)]}


@pytest.fixture
def http_url() -> Iterator[str]:
    """A streamable HTTP server in a process of its own; ready once its log says so."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(SERVER), str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        while "running on" not in (line := process.stderr.readline()):
            assert line, "the server ended before it was ready"
        try:
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            process.kill()
            process.stderr.read()


@pytest.fixture(params=["stdio", "http"])
def server(request: pytest.FixtureRequest) -> dict[str, Any]:
    return STDIO if request.param == "stdio" else {"url": request.getfixturevalue("http_url")}


async def test_a_servers_tools_are_named_after_it_and_answer_with_their_schema_passed_through(
    server: dict[str, Any],
) -> None:
    async with connect_mcp({"demo": server}) as tools:
        by_name = {tool.name: tool for tool in tools}
        assert set(by_name) == {"demo_add", "demo_fail", "demo_die", "demo_secret"}
        schema = by_name["demo_add"].tool_call_schema
        assert isinstance(schema, dict) and set(schema["properties"]) == {"a", "b"} and schema["required"] == ["a", "b"]
        assert (await run_tool(by_name["demo_add"], {"a": 2, "b": 40})).text == "42"


async def test_a_tool_that_fails_on_the_server_fails_here_with_one_line(server: dict[str, Any]) -> None:
    async with connect_mcp({"demo": server}) as tools:
        fail = next(tool for tool in tools if tool.name == "demo_fail")
        result = await run_tool(fail, {})
    assert not result.ok and result.text.startswith("error: demo_fail:") and "\n" not in result.text


async def test_a_server_that_dies_in_a_call_ends_the_call_with_its_name_and_not_the_run(
    server: dict[str, Any],
) -> None:
    async with connect_mcp({"demo": server}) as tools:
        by_name = {tool.name: tool for tool in tools}
        died = await run_tool(by_name["demo_die"], {}, timeout=30)
        later = await run_tool(by_name["demo_add"], {"a": 1, "b": 1}, timeout=30)
    assert not died.ok and "MCP server 'demo'" in died.text and "\n" not in died.text
    assert not later.ok and "MCP server 'demo'" in later.text


async def test_what_a_dying_stdio_server_wrote_last_is_in_the_error() -> None:
    async with connect_mcp({"demo": STDIO}) as tools:
        die = next(tool for tool in tools if tool.name == "demo_die")
        assert "out of memory" in (await run_tool(die, {}, timeout=30)).text


async def test_api_keys_of_this_process_do_not_reach_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-private")
    async with connect_mcp({"demo": STDIO}) as tools:
        secret = next(tool for tool in tools if tool.name == "demo_secret")
        assert (await run_tool(secret, {})).text == "nothing"


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"command": ["no-such-program"]}, ToolError, "can't be reached"),
        ({"command": [sys.executable, "-c", "raise SystemExit('bad config')"]}, ToolError, "bad config"),
        ({"url": "http://127.0.0.1:9/mcp"}, ToolError, "can't be reached"),
        ({}, SettingsError, "either a command or a url"),
        ({"command": "x", "colour": 1}, SettingsError, "colour"),
    ],
)
async def test_a_server_that_can_not_be_used_is_one_line_with_its_name(
    settings: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match="'demo'") as caught:
        async with connect_mcp({"demo": settings}):
            pass
    assert words in str(caught.value) and "\n" not in str(caught.value)


async def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"agentkit-evolve\[mcp\]"):
        async with connect_mcp({}):
            pass


def test_a_servers_tool_never_takes_the_place_of_another(tmp_path: Path) -> None:
    called: list[str] = []

    def demo_add(a: int, b: int) -> int:
        """Add."""
        called.append("own")
        return a + b

    settings = Settings(mcp={"demo": STDIO}, home=tmp_path)
    call = {"name": "demo_add", "args": {"a": 1, "b": 2}, "id": "1"}
    model = ScriptedModel([AIMessage("", tool_calls=[call]), AIMessage("3")])
    with (
        Agent(model, tools=[demo_add], settings=settings, effort="agentic") as agent,
        pytest.raises(UserError, match="two tools are named 'demo_add'"),
    ):
        agent.run("add")
    assert called == []
