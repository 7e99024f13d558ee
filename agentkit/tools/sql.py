"""`sql` and `schema`: tools that read a database."""

from __future__ import annotations

from pathlib import Path

from langchain_core.tools import BaseTool

from agentkit.tools.database import Database, Rows, open_database, shown
from agentkit.tools.function import tool

MAX_CHARACTERS = 20_000


def sql_tool(database: Database | str | Path) -> BaseTool:
    """The built-in `sql` tool for one database."""
    opened = open_database(database) if isinstance(database, str | Path) else database

    def sql(query: str) -> str:
        """Run one SELECT on the database and read its rows. Writing is not possible.

        Args:
            query: one SELECT statement.
        """
        return table(opened.query(query))

    return tool(sql)


def schema_tool(database: Database | str | Path) -> BaseTool:
    """The built-in `schema` tool for one database."""
    opened = open_database(database) if isinstance(database, str | Path) else database

    def schema() -> str:
        """Read the tables of the database, with their columns and keys."""
        return opened.schema() or "the database has no tables"

    return tool(schema)


def table(found: Rows) -> str:
    """Rows as lines of cells separated by ` | `, below the column names."""
    lines = [" | ".join(found.columns), *(" | ".join(shown(value) for value in row) for row in found.rows)]
    text = "\n".join(lines)
    if len(text) > MAX_CHARACTERS:
        return f"{text[:MAX_CHARACTERS]}\n[… the rest was cut off: ask for less …]"
    rest = "\n[… there are more rows: ask for less …]" if found.more else ""
    return text + rest if found.rows else f"{lines[0]}\n[no rows]"
