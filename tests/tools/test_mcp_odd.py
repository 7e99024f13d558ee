"""MCP servers that do what providers, LangChain or the SDK don't expect, each a real process."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the mcp extra is not installed")

from agentkit.errors import ToolError
from agentkit.models.requests import openai_tool
from agentkit.tools import connect_mcp, run_tool


def odd(kind: str, **more: Any) -> dict[str, Any]:
    return {"command": [sys.executable, str(Path(__file__).parent / "odd_mcp_server.py"), kind], **more}


async def test_arguments_reach_the_server_under_its_own_names_whatever_they_are() -> None:
    async with connect_mcp({"s": odd("tools")}) as tools:
        echo = next(tool for tool in tools if tool.name == "s_echo")
        shown = openai_tool(echo)["function"]["parameters"]
        spaced = next(name for name in shown["properties"] if name.startswith("user_name_"))
        assert set(shown["properties"]) == {"config", "self", "_filter", "user_name", spaced}
        assert shown["required"] == ["_filter"]
        given = {"config": "a", "self": "b", "run_manager": "c", "_filter": "d", spaced: "e", "user_name": "f"}
        got = json.loads((await run_tool(echo, given)).text)
    expected = {"config": "a", "self": "b", "run_manager": "c", "$filter": "d", "user name": "e", "user_name": "f"}
    assert got == expected


async def test_tools_that_can_not_be_used_are_named_and_the_others_of_every_page_stay(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with connect_mcp({"s": odd("tools")}) as tools:
        names = [tool.name for tool in tools]
    assert names[:2] == ["s_echo", "s_get_it"] and names[2].startswith("s_get_it_") and names[3:] == ["s_tree"]
    left_out = [record.getMessage() for record in caplog.records if "is left out" in record.getMessage()]
    for name in ("untyped", "loop", "wrong", "none", "no. 7"):
        assert any(f"'s': its tool {name!r}" in line for line in left_out)


async def test_every_kind_of_content_reaches_the_model_or_is_named() -> None:
    async with connect_mcp({"s": odd("tools")}) as tools:
        full, structured, unknown = [await run_tool(tool, {}) for tool in tools[1:]]
    assert full.text.splitlines() == [
        "here",
        "[resource repo://a.md]",
        "the code is 7391",
        "[resource repo://a.bin left out: binary, 3 bytes]",
        "[link to file:///r.csv: r.csv, yearly]",
        "[image left out: image/png, 3 bytes]",
        "[audio left out: audio/wav, 3 bytes]",
    ]
    assert json.loads(structured.text) == {"total": 3}
    assert not unknown.ok and "'s' gave an invalid response" in unknown.text


async def test_a_server_without_tools_has_none_and_leaves_the_others_theirs() -> None:
    async with connect_mcp({"r": odd("resources"), "s": odd("tools")}) as tools:
        assert {tool.metadata["mcp_server"] for tool in tools if tool.metadata} == {"s"}


async def test_junk_on_standard_output_is_passed_over() -> None:
    async with connect_mcp({"s": odd("junk")}) as tools:
        assert json.loads((await run_tool(tools[0], {"config": "a"})).text) == {"config": "a"}


async def test_a_silent_server_is_one_line_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.tools.mcp.CONNECT_SECONDS", 0.5)
    with pytest.raises(ToolError, match=r"^MCP server 's' gave no answer within 0\.5 s$"):
        async with connect_mcp({"s": odd("silent")}):
            pass
