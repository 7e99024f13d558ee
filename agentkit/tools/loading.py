"""From names and functions to tools."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from langchain_core.tools import BaseTool

from agentkit.errors import UserError
from agentkit.tools.function import tool
from agentkit.tools.sandbox import Sandbox

BUILT_IN = ("calculator", "calculate_answer", "python", "read_file", "search", "http_get", "sql", "schema")


def load_tools(
    tools: Iterable[str | Callable[..., Any] | BaseTool],
    *,
    root: str | Path | None = None,
    allow_hosts: Sequence[str] = (),
    sandbox: Sandbox | None = None,
    database: str | Path | None = None,
) -> list[BaseTool]:
    """Make tools ready for an agent.

    Args:
        tools: names of built-in tools, `module:function` names, functions, or LangChain tools.
        root: the folder that `read_file` and `search` may read.
        allow_hosts: the hosts that `http_get` may fetch.
        sandbox: where the `python` tool runs code.
        database: the URL or SQLite file that `sql` and `schema` read.

    Raises:
        UserError: an unknown name, two tools of one name, or a built-in tool that lacks what it needs.
        SandboxUnavailable: `python` is asked for and this machine can't isolate code.
    """
    loaded: dict[str, BaseTool] = {}
    for wanted in tools:
        made = _load(wanted, root, allow_hosts, sandbox, database)
        if made.name in loaded:
            raise UserError(f"two tools are named {made.name!r}")
        loaded[made.name] = made
    return list(loaded.values())


def approved(
    names: Iterable[str], wanted: Sequence[Any], loaded: Sequence[BaseTool], *, servers: Collection[str] = ()
) -> tuple[str, ...]:
    """The tools that a person must approve, by the names under which they are called.

    Args:
        names: each a tool's name, what the tool was loaded by (`module:function`), or "answer".
        wanted, loaded: what `load_tools` was given and gave.
        servers: MCP servers, whose tools are named `server_tool` and are not known before a run connects to them.

    Raises:
        UserError: a name that no tool has, which would let the tool that was meant run unasked.
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


def _load(
    wanted: str | Callable[..., Any] | BaseTool,
    root: str | Path | None,
    allow_hosts: Sequence[str],
    sandbox: Sandbox | None,
    database: str | Path | None,
) -> BaseTool:
    if isinstance(wanted, BaseTool):
        return wanted
    if callable(wanted):
        return tool(wanted)
    if ":" in wanted:
        found = import_path(wanted, what="tool")
        return found if isinstance(found, BaseTool) else tool(found)
    if wanted in ("sql", "schema"):
        return _of_database(wanted, database)
    return _built_in(wanted, root, allow_hosts, sandbox)


def _built_in(
    name: str, root: str | Path | None, allow_hosts: Sequence[str], sandbox: Sandbox | None
) -> BaseTool:  # imports here: each tool loads only what it needs
    match name:
        case "calculator":
            from agentkit.tools.calculator import calculator

            return calculator()
        case "calculate_answer":
            from agentkit.tools.calculator import calculate_answer

            return calculate_answer()
        case "python":
            from agentkit.tools.python import python_tool

            return python_tool(sandbox)
        case "read_file":
            from agentkit.tools.files import read_file_tool

            return read_file_tool(_needed(root, name))
        case "search":
            from agentkit.tools.folder_search import search_tool

            return search_tool(_needed(root, name))
        case "http_get":
            from agentkit.tools.http import http_get_tool

            return http_get_tool(allow_hosts)
    raise UserError(f"unknown tool {name!r}: there are {', '.join(BUILT_IN)}, or name a function as 'module:function'")


def _of_database(name: str, database: str | Path | None) -> BaseTool:
    from agentkit.tools.sql import schema_tool, sql_tool

    if database is None:
        raise UserError(f"the tool {name!r} needs a database: set database to its URL or to a SQLite file")
    return sql_tool(database) if name == "sql" else schema_tool(database)


def _needed(root: str | Path | None, name: str) -> str | Path:
    if root is None:
        raise UserError(f"the tool {name!r} needs a folder: set root to the one it may read")
    return root


def import_path(path: str, *, what: str) -> Any:
    """The object that `module:attribute` names; modules of the current folder are found too.

    Raises:
        UserError: no such module or attribute, or it can't be called.
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
