"""Shared by the commands: printing JSON or tables, opening the settings and the store."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import typer

from agentkit.text import printable

if TYPE_CHECKING:
    from agentkit.settings import Settings
    from agentkit.store import Store

JSON_HELP = "Print JSON."


def emit(data: Any, *, json_: bool, human: Callable[[Any], None]) -> None:
    """Print data as JSON, or with `human` for people."""
    if json_:
        say(as_json(data))
    else:
        human(data)


def as_json(data: Any) -> str:
    """One line of JSON that the terminal's encoding can represent: escaped unless the encoding is a Unicode one."""
    wide = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")
    text = json.dumps(data, ensure_ascii=not wide, default=str)
    return re.sub("[\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", text)


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str | None = None, lines: bool = False
) -> None:
    """Print a table on standard output. Nothing in a cell is read as markup, and the first column is never cut.

    Args:
        lines: print each row on one line, cutting long cells to fit the terminal.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title and printable(title), title_justify="left")
    for number, name in enumerate(columns):
        least = max((len(str(row[0])) for row in rows), default=0) if number == 0 else None
        table.add_column(name, no_wrap=lines or number == 0, overflow="ellipsis" if lines else "fold", min_width=least)
    for row in rows:
        table.add_row(*(Text("–" if cell is None else printable(str(cell))) for cell in row))
    Console().print(table)


def terminal_width() -> int:
    """Columns of the terminal; 80 if there is none."""
    from rich.console import Console

    return Console().width


def note(text: str) -> None:
    """Print a line for people, on standard error."""
    typer.echo(printable(text), err=True)


def say(text: str = "", *, nl: bool = True) -> None:
    """Print text on standard output. Everything that commands print goes through this, a table or `note`."""
    typer.echo(printable(text), nl=nl)


def open_settings(**flags: object) -> Settings:
    from agentkit.settings import load_settings

    return load_settings(**flags)


def open_store() -> Store:
    """Open the store of the current settings."""
    from agentkit.store import Store

    return Store.open(open_settings().database_url)
