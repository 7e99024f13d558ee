"""Read-only access to a database: one query at a time, with limits on time and rows.

SQLite files are opened with `mode=ro`, `query_only` and an authoriser that permits only what a SELECT needs. On
PostgreSQL a query runs as a cursor declaration, which only accepts a SELECT, in a read-only transaction with a
statement timeout. Neither replaces a role with read-only rights: functions run with the rights of the role.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from sqlalchemy import create_engine, inspect, pool
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError

from agentkit.errors import MissingExtra, ToolError, UserError

Row = tuple[Any, ...]

MAX_ROWS = 200
SECONDS = 10.0
MAX_CELL = 10_000_000
"""Largest value in bytes; a larger one is an error, so that a query can't exhaust the memory."""
_STEPS = 2000
"""SQLite instructions between two checks of the time."""
_READS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
_BANNED = {"load_extension", "fts3_tokenizer"}
_ONE_SELECT = "only one SELECT is allowed: no writing, no settings, no attached files, no second statement"


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The result of a query; `more` if rows were cut off by the limit."""

    columns: tuple[str, ...]
    rows: list[Row]
    more: bool = False


class Database(Protocol):
    """A database opened for reading.

    Attributes:
        name: its address, without a password.
    """

    @property
    def name(self) -> str: ...

    def query(self, sql: str) -> Rows:
        """The rows of one SELECT.

        Raises:
            ToolError: it is not a single SELECT, it is invalid, or it exceeded the time limit.
        """
        ...

    def schema(self) -> str:
        """The tables as CREATE statements."""
        ...


def open_database(url: str | Path, *, seconds: float = SECONDS, max_rows: int = MAX_ROWS) -> Database:
    """Open a database for reading.

    Args:
        url: a SQLAlchemy URL for SQLite or PostgreSQL, or the path of a SQLite file.
        seconds: how long one query may take.
        max_rows: how many rows one query may return.

    Raises:
        UserError: the database does not exist, is of another kind, or can't be reached.
        MissingExtra: PostgreSQL without its driver.
    """
    parsed = _parsed(url)
    kind = SqliteFile if parsed.get_backend_name() == "sqlite" else PostgresDatabase
    return kind(parsed, seconds=seconds, max_rows=max_rows)


class SqliteFile:
    """A `Database` for a SQLite file; each query uses a connection of its own."""

    def __init__(self, url: URL, *, seconds: float, max_rows: int) -> None:
        self.name, self.seconds, self.max_rows = str(url), seconds, max_rows
        self._path = Path(str(url.database)).expanduser().resolve()
        try:
            self.query("SELECT 1 FROM sqlite_master LIMIT 1")
        except (ToolError, sqlite3.Error) as error:
            raise UserError(f"the database {self._path} can't be reached: {error}") from None

    def query(self, sql: str) -> Rows:
        with closing(self._open()) as connection:
            deadline = time.monotonic() + self.seconds
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            try:
                cursor = connection.execute(sql)
                if cursor.description is None:
                    raise ToolError(_ONE_SELECT)
                return _fetched(cursor, [column[0] for column in cursor.description], self.max_rows)
            except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
                raise ToolError(self._problem(str(error))) from None

    def schema(self) -> str:
        """The tables as CREATE statements, exactly as the file has them."""
        found = self.query("SELECT sql FROM sqlite_master WHERE type IN ('table', 'view') AND sql IS NOT NULL")
        return "\n".join(str(row[0]) for row in found.rows)

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(f"file:{quote(str(self._path))}?mode=ro", uri=True)
        connection.execute("PRAGMA query_only = ON")
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_CELL)
        connection.set_authorizer(_authorised)
        return connection

    def _problem(self, text: str) -> str:
        if "interrupted" in text:
            return f"the query took longer than {self.seconds:g} s"
        refused = ("not authorized", "prohibited", "one statement", "readonly")
        return _ONE_SELECT if any(part in text for part in refused) else text


class PostgresDatabase:
    """A `Database` for PostgreSQL; each query uses a connection of its own."""

    def __init__(self, url: URL, *, seconds: float, max_rows: int) -> None:
        self.name, self.seconds, self.max_rows = url.render_as_string(hide_password=True), seconds, max_rows
        try:
            self.engine = create_engine(url, poolclass=pool.NullPool)
            self.engine.connect().close()
        except ModuleNotFoundError:
            raise MissingExtra("postgres", "psycopg") from None
        except OperationalError as error:
            raise UserError(f"the database {self.name} can't be reached: {_line(error)}") from None

    def query(self, sql: str) -> Rows:
        import psycopg

        with self.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.rollback()
            driver.read_only = True
            try:
                return self._read(driver, sql)
            except psycopg.errors.QueryCanceled:
                raise ToolError(f"the query took longer than {self.seconds:g} s") from None
            except (psycopg.errors.SyntaxError, psycopg.errors.ReadOnlySqlTransaction) as error:
                raise ToolError(f"{_line(error)} ({_ONE_SELECT})") from None
            except (psycopg.Error, UnicodeError) as error:
                raise ToolError(_line(error)) from None
            finally:
                driver.rollback()

    def _read(self, driver: Any, sql: str) -> Rows:
        """Declare a named cursor with the query and fetch from it. The timeout is set again in between, since the query
        could have changed it."""
        limit = f"SET LOCAL statement_timeout = {int(self.seconds * 1000)}"
        driver.execute(limit)
        with driver.cursor(name="agentkit_query") as cursor:
            cursor.execute(sql)
            driver.execute(limit)
            return _fetched(cursor, [column.name for column in cursor.description], self.max_rows)

    def schema(self) -> str:
        inspector = inspect(self.engine)
        return "\n".join(_create(inspector, table) for table in sorted(inspector.get_table_names()))


def _fetched(cursor: Any, columns: Sequence[str], limit: int) -> Rows:
    found = [tuple(row) for row in cursor.fetchmany(limit + 1)]
    return Rows(columns=tuple(columns), rows=found[:limit], more=len(found) > limit)


def without_password(url: str | Path) -> str:
    """A database's URL without its password, which the driver finds in the environment or in `~/.pgpass`.

    Raises:
        UserError: the URL is invalid.
    """
    return (
        str(url)
        if "://" not in str(url)
        else _parsed(url)._replace(password=None).render_as_string(hide_password=False)
    )


def _parsed(url: str | Path) -> URL:
    text = str(url)
    try:
        parsed = make_url(text if "://" in text else f"sqlite:///{text}")
        name = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError):
        raise UserError("the database's address can't be read: write a path or dialect://user@host/name") from None
    if name not in ("sqlite", "postgresql"):
        raise UserError(f"a {name} database can't be opened read-only: only SQLite and PostgreSQL can")
    if name == "sqlite" and not Path(str(parsed.database)).expanduser().is_file():
        raise UserError(f"the database {parsed.database or ':memory:'} can't be reached: no such file")
    return parsed


def _authorised(action: int, first: str | None, second: str | None, *where: str | None) -> int:
    """SQLite calls this for everything that a statement is about to do."""
    if action == sqlite3.SQLITE_FUNCTION and str(second).lower() in _BANNED:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _READS else sqlite3.SQLITE_DENY


def _create(inspector: Any, table: str) -> str:
    columns = [f"{column['name']} {column['type']}" for column in inspector.get_columns(table)]
    keys = inspector.get_pk_constraint(table)["constrained_columns"]
    parts = [*columns, *([f"PRIMARY KEY ({', '.join(keys)})"] if keys else [])]
    for key in inspector.get_foreign_keys(table):
        there = f"{key['referred_table']} ({', '.join(key['referred_columns'])})"
        parts.append(f"FOREIGN KEY ({', '.join(key['constrained_columns'])}) REFERENCES {there}")
    return f"CREATE TABLE {table} ({', '.join(parts)})"


def _line(error: Exception) -> str:
    found = str(getattr(error, "orig", None) or error).strip().splitlines()
    return found[0] if found else type(error).__name__


def shown(value: Any) -> str:
    """A value as shown in a table."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return value.isoformat() if isinstance(value, dt.date | dt.time) else str(value)
