"""Client tools: the agent may call them, but the caller carries the calls out and returns the results."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.tools import BaseTool, StructuredTool

from agentkit.errors import DataError, ToolError

_CLIENTS = "agentkit:client"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RESERVED = ("Plan", "answer")
"""Names that are reserved for the agent's own calls."""


def client_tools(specs: Sequence[Mapping[str, Any]], *, taken: Sequence[str] = ()) -> list[BaseTool]:
    """Tools whose results the run waits for.

    Args:
        specs: each `{"name", "description", "parameters"}`, where the last is a JSON schema of an object.
        taken: names of the agent's own tools.

    Raises:
        DataError: a name that providers reject, a duplicate or taken name, or parameters that are not an object.
    """
    made: dict[str, BaseTool] = {}
    for spec in specs:
        name = str(spec.get("name", ""))
        if not _NAME.fullmatch(name):
            raise DataError(f"tool {name!r}: a name has 1 to 64 letters, digits, _ and -")
        if name in made or name in taken or name in _RESERVED:
            raise DataError(f"tool {name!r}: the name is taken; choose another")
        made[name] = _made(name, spec)
    return list(made.values())


def _made(name: str, spec: Mapping[str, Any]) -> BaseTool:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    schema = spec.get("parameters") or {}
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise DataError(f"tool {name!r}: its parameters are not a JSON schema: {error.message}") from None
    if not isinstance(schema, Mapping) or schema.get("type", "object") != "object":
        raise DataError(f"tool {name!r}: its parameters must be a JSON schema of an object")

    async def refuse(**arguments: object) -> str:
        raise ToolError(f"{name} is carried out by the caller, not here")

    return StructuredTool(
        name=name,
        description=str(spec.get("description") or name),
        args_schema={"type": "object", "properties": {}, **schema, "title": name},
        coroutine=refuse,
        metadata={_CLIENTS: True},
    )


def is_clients(tool: BaseTool | None) -> bool:
    """Whether a tool's calls are carried out by the caller."""
    return tool is not None and (tool.metadata or {}).get(_CLIENTS) is True
