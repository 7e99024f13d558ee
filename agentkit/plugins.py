"""Tools, checkers and kinds of models that installed packages add through entry points.

    [project.entry-points."agentkit.tools"]
    weather = "my_package:weather"        # (parts: ToolParts) -> a LangChain tool

    [project.entry-points."agentkit.checkers"]
    units = "my_package:units"            # (settings, parts: CheckerParts) -> a checker

    [project.entry-points."agentkit.models"]
    mine = "my_package:open_model"        # (name, **options) -> a chat model, for  mine/NAME

AgentKit's own names take precedence, so that no package can replace a built-in.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any, Literal

from agentkit.errors import UserError

Group = Literal["tools", "checkers", "models"]


def plugin(group: Group, name: str) -> Any:
    """The object that an installed package registers under a name; None if none does.

    Raises:
        UserError: it can't be imported, or two packages register that name.
    """
    found = list(entry_points(group=f"agentkit.{group}", name=name))
    if not found:
        return None
    if len({entry.value for entry in found}) > 1:
        packages = ", ".join(sorted(entry.dist.name if entry.dist else entry.value for entry in found))
        raise UserError(f"agentkit.{group}: several packages ({packages}) register {name!r}: uninstall all but one")
    try:
        return found[0].load()
    except Exception as error:
        line = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"agentkit.{group}: the plug-in {name!r} ({found[0].value}) can't be loaded: {line}") from error


def plugins(group: Group) -> list[str]:
    """The names that installed packages register."""
    return sorted({entry.name for entry in entry_points(group=f"agentkit.{group}")})
