"""Creating tools from names and functions."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.tools import BaseTool

from agentkit.errors import UserError
from agentkit.registry import Registry
from agentkit.tools.function import tool
from agentkit.tools.sandbox import Sandbox


@dataclass(frozen=True, kw_only=True)
class ToolParts:
    """What a tool created by name may need.

    Attributes:
        root: the folder that it may read.
        allow_hosts: the hosts that it may fetch from.
        sandbox: where it runs code.
        database: the URL or SQLite file that it reads.
    """

    root: str | Path | None = None
    allow_hosts: Sequence[str] = ()
    sandbox: Sandbox | None = None
    database: str | Path | None = None

    def folder(self, name: str) -> str | Path:
        """The folder, for a tool that needs one. Raises UserError if there is none."""
        if self.root is None:
            raise UserError(f"the tool {name!r} needs a folder: set root to the one it may read")
        return self.root

    def database_of(self, name: str) -> str | Path:
        """The database, for a tool that needs one. Raises UserError if there is none."""
        if self.database is None:
            raise UserError(f"the tool {name!r} needs a database: set database to its URL or to a SQLite file")
        return self.database


ToolFactory = Callable[[ToolParts], BaseTool]


def load_tools(
    tools: Iterable[str | Callable[..., Any] | BaseTool],
    *,
    root: str | Path | None = None,
    allow_hosts: Sequence[str] = (),
    sandbox: Sandbox | None = None,
    database: str | Path | None = None,
) -> list[BaseTool]:
    """Create the tools of an agent.

    Args:
        tools: names of built-in tools, `module:function` names, functions, or LangChain tools.
        root: the folder that `read_file` and `search` may read.
        allow_hosts: the hosts that `http_get` may fetch from.
        sandbox: where the `python` tool runs code.
        database: the URL or SQLite file that `sql` and `schema` read.

    Raises:
        UserError: an unknown name, two tools with one name, or a built-in tool that lacks what it needs.
        SandboxUnavailable: `python` is requested and this machine can't isolate code.
    """
    parts = ToolParts(root=root, allow_hosts=allow_hosts, sandbox=sandbox, database=database)
    made = (_load(wanted, parts) for wanted in tools)
    return list(one_of_each_name(made).values())


def one_of_each_name(tools: Iterable[BaseTool]) -> dict[str, BaseTool]:
    """Tools by name.

    Raises:
        UserError: two tools have the same name, so that a call would be ambiguous.
    """
    found: dict[str, BaseTool] = {}
    for made in tools:
        if made.name in found:
            raise UserError(f"two tools are named {made.name!r}: rename one of them, or its MCP server")
        found[made.name] = made
    return found


def approved(
    names: Iterable[str], wanted: Sequence[Any], loaded: Sequence[BaseTool], *, servers: Collection[str] = ()
) -> tuple[str, ...]:
    """The tools that need a person's approval, by the names that calls use.

    Args:
        names: each is a tool's name, the specification it was loaded by (`module:function`), or "answer".
        wanted, loaded: the input and output of `load_tools`.
        servers: names of MCP servers; their tools are called `server_tool` and are unknown until a run connects to
            them.

    Raises:
        UserError: no tool has that name; accepting it would let the intended tool run without approval.
    """
    known = {spec: made.name for spec, made in zip(wanted, loaded, strict=True) if isinstance(spec, str)}
    known |= {made.name: made.name for made in loaded} | {"answer": "answer"}
    heads = tuple(re.sub(r"[^\w-]", "_", f"{server}_", flags=re.ASCII) for server in servers)
    found = []
    for name in names:
        if name not in known and not (heads and name.startswith(heads)):
            raise UserError(f"approve {name!r}: no tool has that name; there are {', '.join(sorted(known))}")
        found.append(known.get(name, name))
    return tuple(dict.fromkeys(found))


def _load(wanted: str | Callable[..., object] | BaseTool, parts: ToolParts) -> BaseTool:
    if isinstance(wanted, BaseTool):
        return wanted
    if callable(wanted):
        return tool(wanted)
    if ":" in wanted:
        found = import_path(wanted, what="tool")
        return found if isinstance(found, BaseTool) else tool(found)
    return TOOLS.get(wanted)(parts)


# Imports are inside the factories, so that each tool loads only what it needs.


def _calculator(parts: ToolParts) -> BaseTool:
    from agentkit.tools.calculator import calculator

    return calculator()


def _calculate_answer(parts: ToolParts) -> BaseTool:
    from agentkit.tools.calculator import calculate_answer

    return calculate_answer()


def _python(parts: ToolParts) -> BaseTool:
    from agentkit.tools.python import python_tool

    return python_tool(parts.sandbox)


def _read_file(parts: ToolParts) -> BaseTool:
    from agentkit.tools.files import read_file_tool

    return read_file_tool(parts.folder("read_file"))


def _search(parts: ToolParts) -> BaseTool:
    from agentkit.tools.folder_search import search_tool

    return search_tool(parts.folder("search"))


def _http_get(parts: ToolParts) -> BaseTool:
    from agentkit.tools.http import http_get_tool

    return http_get_tool(parts.allow_hosts)


def _sql(parts: ToolParts) -> BaseTool:
    from agentkit.tools.sql import sql_tool

    return sql_tool(parts.database_of("sql"))


def _schema(parts: ToolParts) -> BaseTool:
    from agentkit.tools.sql import schema_tool

    return schema_tool(parts.database_of("schema"))


TOOLS: Registry[ToolFactory] = Registry(
    "tool",
    {
        "calculator": _calculator,
        "calculate_answer": _calculate_answer,
        "python": _python,
        "read_file": _read_file,
        "search": _search,
        "http_get": _http_get,
        "sql": _sql,
        "schema": _schema,
    },
    hint=", or name a function as 'module:function'",
    group="tools",
)
"""Every tool with a name; `TOOLS.register("name")` adds one."""

BUILT_IN = tuple(TOOLS)
"""The names of AgentKit's own tools."""


def import_path(path: str, *, what: str) -> Any:
    """The object at `module:attribute`; modules in the current folder are found too.

    Raises:
        UserError: no such module or attribute, or it is not callable.
    """
    module_name, _, attribute = path.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except ImportError as error:
        raise UserError(f"{what} {path!r}: {error}") from None
    except AttributeError:
        raise UserError(f"{what} {path!r}: the module {module_name!r} has no {attribute!r}") from None
    if not callable(found) and not isinstance(found, BaseTool):
        raise UserError(f"{what} {path!r} is not a function")
    return found
