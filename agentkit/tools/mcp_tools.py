"""Converting what an MCP server lists and returns into what models and their providers accept."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool

from agentkit.errors import ToolError
from agentkit.json_types import JsonObject

_log = logging.getLogger(__name__)

LONGEST_NAME = 64
"""Longest name of a tool or argument, in characters, that providers accept."""

Call = Callable[[str, JsonObject], Awaitable[str]]


class McpTool(BaseTool):
    """A tool of an MCP server. Its arguments are passed as one mapping rather than as keyword arguments, so that their
    names can't collide with LangChain's own (`config`, `run_manager`, `self`).

    Attributes:
        listed_name: the tool's name on the server.
        originals: the server's names for those arguments that the model sees under another name.
        send: calls the tool on the server.
    """

    listed_name: str
    originals: dict[str, str]
    send: Call

    def _to_args_and_kwargs(
        self, tool_input: str | JsonObject, tool_call_id: str | None
    ) -> tuple[tuple[str, ...], JsonObject]:
        given = self._parse_input(tool_input, tool_call_id)
        if not isinstance(given, dict):
            raise ToolError(f"{self.name} takes its arguments by name")
        return (), {"arguments": {self.originals.get(name, name): value for name, value in given.items()}}

    def _run(self, arguments: JsonObject, config: RunnableConfig) -> str:
        raise ToolError(f"{self.name} can only be called asynchronously")

    async def _arun(self, arguments: JsonObject) -> str:
        return await self.send(self.listed_name, arguments)


def make_tool(server: str, listed: Any, taken: Collection[str], send: Call) -> McpTool:
    """Create a tool from a server's listing, under a name that is not taken yet."""
    schema, originals = _shown(listed.input_schema)
    return McpTool(
        name=safe_name(f"{server}_{listed.name}", taken, allowed=r"\w-"),
        description=listed.description or listed.title or listed.name,
        args_schema={"properties": {}, **schema, "title": listed.name},
        listed_name=listed.name,
        originals=originals,
        send=send,
        metadata={"mcp_server": server},
    )


def safe_name(name: str, taken: Collection[str], *, allowed: str) -> str:
    """The name with other characters replaced by `_`, at most 64 characters long; if it is taken, a hash is
    appended."""
    safe = re.sub(rf"[^{allowed}]", "_", name, flags=re.ASCII)[:LONGEST_NAME] or "_"
    if safe not in taken:
        return safe
    return f"{safe[: LONGEST_NAME - 9]}_{sha256(name.encode(errors='replace')).hexdigest()[:8]}"


def _shown(schema: Mapping[str, Any]) -> tuple[JsonObject, dict[str, str]]:
    """The schema with argument names that providers accept, and the server's name for each one that was changed."""
    properties = schema.get("properties") or {}
    fine = {name for name in properties if safe_name(name, (), allowed=r"\w.-") == name}
    names = {name: name for name in fine}
    for name in properties:
        if name not in fine:
            names[name] = safe_name(name, names.values(), allowed=r"\w.-")
    shown = {**schema, "properties": {names[name]: value for name, value in properties.items()}}
    if "required" in schema:
        shown["required"] = [names.get(name, name) for name in schema["required"]]
    return shown, {new: name for name, new in names.items() if new != name}


def fault(listed: Any) -> str | None:
    """Why a tool, as listed by the server, can't be used; None if it can."""
    from mcp_types import Tool

    if not isinstance(listed, dict) or not isinstance(listed.get("name"), str):
        return "it has no name"
    schema = listed.get("inputSchema")
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return "its inputSchema is not that of an object"
    try:
        Tool.model_validate(listed, by_name=False)
        return _schema_fault(schema)
    except (ValueError, RecursionError) as error:
        return " ".join(str(error).split())[:200]


def _schema_fault(schema: JsonObject) -> str | None:
    from jsonschema import SchemaError
    from jsonschema.validators import validator_for

    try:
        validator_for(schema).check_schema(schema)
    except SchemaError as error:
        return f"its schema is wrong: {' '.join(error.message.split())[:200]}"
    for reference in _references(schema):
        if not _leads_somewhere(schema, reference):
            return f"its schema's $ref {reference!r} leads nowhere"
    return None


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from _references(inner)


def _leads_somewhere(schema: JsonObject, reference: str) -> bool:
    """Whether a reference resolves to a part of the schema, rather than to nothing, to another document or to
    itself."""
    seen: set[str] = set()
    while reference not in seen:
        seen.add(reference)
        found: Any = schema
        if reference != "#" and not reference.startswith("#/"):
            return False
        for step in reference.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or key not in found:
                return False
            found = found[key]
        if not isinstance(found, dict) or "$ref" not in found:
            return True
        reference = found["$ref"]
    return False


def sift(result: Any) -> dict[str, str]:
    """Remove the unusable tools from a tools/list response, in place: the SDK would reject the whole list for one bad
    tool.

    Returns:
        What is wrong with each removed tool, by name.
    """
    if not isinstance(result, dict) or not isinstance(result.get("tools"), list):
        return {}
    kept, faults = [], {}
    for place, listed in enumerate(result["tools"], 1):
        if (wrong := fault(listed)) is None:
            kept.append(listed)
        else:
            name = listed.get("name") if isinstance(listed, dict) else None
            faults[name if isinstance(name, str) else f"no. {place}"] = wrong
    result["tools"] = kept
    return faults


@asynccontextmanager
async def sifted(transport: Any, name: str) -> AsyncIterator[tuple[Any, Any]]:
    """The transport, with those tools removed for which the SDK would reject the whole list."""
    async with transport as (read, write):
        yield _Sifted(read, name), write


class _Sifted:
    """A stream of a server's messages that filters each one as it is read."""

    def __init__(self, inner: Any, name: str) -> None:
        self._inner, self._name = inner, name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)  # such as last_context, which only some transports have

    async def __aenter__(self) -> _Sifted:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> bool | None:
        left: bool | None = await self._inner.__aexit__(*error)
        return left

    def __aiter__(self) -> _Sifted:
        return self

    async def __anext__(self) -> Any:
        return self._seen(await self._inner.__anext__())

    async def receive(self) -> Any:
        return self._seen(await self._inner.receive())

    def _seen(self, item: Any) -> Any:
        for tool, wrong in sift(getattr(getattr(item, "message", None), "result", None)).items():
            _log.warning("MCP server %r: its tool %r is left out: %s", self._name, tool, wrong)
        return item


def as_text(content: Iterable[Any], structured: Any) -> str:
    """A result as text for the model: everything textual, and a description of the rest.

    Args:
        content: the result's content blocks.
        structured: its structured content, used if no block contains text.
    """
    blocks = list(content)
    lines = [_block(block) for block in blocks]
    if structured is not None and not any(block.type == "text" and block.text for block in blocks):
        lines.append(json.dumps(structured, ensure_ascii=False))
    return "\n".join(line for line in lines if line)


def _block(block: Any) -> str:
    if block.type == "text":
        return str(block.text)
    if block.type == "resource_link":
        told = ", ".join(part for part in (block.title or block.name, block.mime_type, block.description) if part)
        return f"[link to {block.uri}: {told}]"
    if block.type == "resource":
        resource = block.resource
        if hasattr(resource, "text"):
            return f"[resource {resource.uri}]\n{resource.text}"
        return f"[resource {resource.uri} left out: {_size(resource.mime_type, resource.blob)}]"
    return f"[{block.type} left out: {_size(block.mime_type, block.data)}]"


def _size(kind: str | None, base64: str) -> str:
    return f"{kind or 'binary'}, {len(base64.rstrip('=')) * 3 // 4} bytes"
