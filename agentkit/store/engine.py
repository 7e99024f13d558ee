"""Store: one SQL database; SQLite in WAL mode by default, PostgreSQL by URL."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Engine, Insert, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError, NoSuchModuleError, OperationalError, SQLAlchemyError

from agentkit.errors import MissingExtra, StoreError

T = TypeVar("T")

BUSY_SECONDS = 60
"""How long a writer waits for another one before giving up."""
_SNAPSHOT: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
"""PostgreSQL's default is to show each statement what was committed by then."""
IDLE_SECONDS = 1.0
"""From when on a pooled connection to a server is tested before it is used again."""


class Store:
    """The database that holds the authoritative state of runs, the ledger, playbooks, cases and claims.

    `write()` is one short transaction that happens completely or not at all; `read()` sees one consistent state. Safe
    to use from several threads and processes.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writing = engine.execution_options(agentkit_write=True)
        self._writer = threading.RLock()  # threads of one process queue here rather than spin on SQLite's file lock
        self._sqlite = engine.dialect.name == "sqlite"
        self._reading = engine if self._sqlite else engine.execution_options(**_SNAPSHOT)
        self._writes_on: Connection | None = None
        self._new: dict[Table | type[Any], Insert] = {}
        self._failures = (SQLAlchemyError, getattr(engine.dialect.loaded_dbapi, "Error", sqlite3.Error))

    @classmethod
    def open(cls, url: str | Path, *, upgrade: bool = True) -> Self:
        """Open a database and bring its tables up to date.

        Args:
            url: a SQLAlchemy URL, or the path of a SQLite file (created with its folder if missing).
            upgrade: run pending migrations; with False, a database that has any is refused.

        Raises:
            StoreError: it can't be opened, or it was written by a newer AgentKit.
            MissingExtra: the PostgreSQL driver is not installed.
        """
        from agentkit.store.migrate import ensure_current

        store = cls(_engine(str(url) if "://" in str(url) else f"sqlite:///{url}"))
        try:
            ensure_current(store, upgrade=upgrade)
        except StoreError:
            store.close()
            raise
        return store

    @property
    def name(self) -> str:
        return self.engine.url.render_as_string(hide_password=True)

    @property
    def dialect(self) -> str:
        return self.engine.dialect.name

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Convert any database error inside the block to a StoreError; other exceptions pass through."""
        try:
            yield
        except self._failures as error:
            raise StoreError(f"{self.name}: {_reason(error)}") from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection in a read transaction.

        Raises:
            StoreError: the database is read-only, full, damaged, locked for too long, or gone.
        """
        with self.guarded(), self._reading.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection in a write transaction that commits at the end of the block and rolls back on any exception.

        On SQLite it holds the write lock from the start, so nothing read inside it can be stale.

        Raises:
            StoreError: as for `read`.
        """
        with self.guarded(), self._write() as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        if not self._sqlite:
            with self._writing.begin() as connection:
                yield connection
            return
        with self._writer:
            if self._writes_on is None:  # kept open: taking it from the pool each time costs more than a small insert
                self._writes_on = self._writing.connect()
            try:
                with self._writes_on.begin():
                    yield self._writes_on
            except self._failures:
                self._forget_writer()
                raise

    def _forget_writer(self) -> None:
        """Use a new connection for the next write."""
        if self._writes_on is not None:
            with suppress(*self._failures):
                self._writes_on.close()
            self._writes_on = None

    def transaction(self, work: Callable[[Connection], T], *, attempts: int = 8) -> T:
        """Run `work` in a write transaction; repeat it on a deadlock or serialisation failure."""
        with self.guarded():
            for attempt in range(attempts):
                try:
                    with self._write() as connection:
                        return work(connection)
                except OperationalError as error:
                    if attempt == attempts - 1 or not _transient(error):
                        raise
                    time.sleep(random.uniform(0, 0.02 * 2**attempt))
        raise AssertionError("unreachable")

    def insert(self, table: Table | type[Any]) -> Any:
        """An INSERT that supports `on_conflict_do_nothing` and `on_conflict_do_update` on this database."""
        target: Any = getattr(table, "__table__", table)
        return sqlite.insert(target) if self._sqlite else postgresql.insert(target)

    def insert_new(self, connection: Connection, table: Table | type[Any], rows: Sequence[Mapping[str, Any]]) -> int:
        """Insert the rows whose keys don't exist yet; returns how many were inserted."""
        if not rows:
            return 0
        statement = self._new.get(table)
        if statement is None:
            plain: Insert = self.insert(table).on_conflict_do_nothing()
            statement = self._new[table] = plain.execution_options(preserve_rowcount=True)
        return sum(connection.execute(statement, row).rowcount for row in rows)

    def vacuum(self) -> None:
        """Release the space of deleted rows, and leave nothing of them in the files."""
        options = {"isolation_level": "AUTOCOMMIT"}
        with self.guarded(), self.engine.connect().execution_options(**options) as connection:
            if self._sqlite:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.exec_driver_sql("VACUUM")
            if self._sqlite:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        with self._writer:
            self._forget_writer()
        self.engine.dispose()


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError(
            f"{url!r} is not a database URL; try  sqlite:///agentkit.db  or  postgresql://host/db"
        ) from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(parsed)
    try:
        engine = create_engine(parsed, pool_size=10, max_overflow=20, pool_use_lifo=True, hide_parameters=True)
    except ModuleNotFoundError:
        raise MissingExtra("postgres", "psycopg") from None
    except NoSuchModuleError:
        raise StoreError(f"{parsed.drivername} is not supported; use SQLite or PostgreSQL") from None
    _test_idle_connections(engine)
    return engine


def _test_idle_connections(engine: Engine) -> None:
    """Test a pooled connection before use if it has been idle: the server may have closed it. SQLAlchemy's
    `pool_pre_ping` tests all of them, which is three round trips to the server before each short transaction."""

    def returned(connection: Any, record: Any) -> None:
        record.info["used_at"] = time.monotonic()

    def taken(connection: Any, record: Any, proxy: Any) -> None:
        if time.monotonic() - record.info["used_at"] < IDLE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error:
            raise DisconnectionError from None

    event.listen(engine, "connect", returned)
    event.listen(engine, "checkin", returned)
    event.listen(engine, "checkout", taken)


def _sqlite_engine(url: Any) -> Engine:
    if url.database and url.database != ":memory:":
        try:
            _private(Path(url.database))
        except OSError as error:
            raise StoreError(f"can't create the folder of {url.database}: {error.strerror}") from None
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS, "isolation_level": None}, hide_parameters=True)
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    return engine


def _private(path: Path) -> None:
    """Create a database file, and any missing folders on the way to it, accessible only to their owner; the files that
    SQLite keeps next to a database inherit its permissions."""
    missing = [folder for folder in path.parents if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    with contextlib.suppress(FileExistsError, PermissionError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    with contextlib.suppress(OSError):  # somebody else's file, or a file system without permissions
        if path.is_file() and path.stat().st_mode & 0o077:
            path.chmod(0o600)


def _set_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode=WAL")
    # NORMAL survives a killed process; a power cut may lose the last commits but never corrupts the file.
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    """Execute BEGIN on the driver's own connection: a statement through SQLAlchemy costs as much as a small insert."""
    statement = "BEGIN IMMEDIATE" if connection.get_execution_options().get("agentkit_write") else "BEGIN"
    driver: Any = connection.connection.driver_connection
    try:
        driver.execute(statement)
    except sqlite3.OperationalError as error:
        raise OperationalError(statement, None, error) from error


def _transient(error: OperationalError) -> bool:
    text = str(error.orig).lower()
    return any(word in text for word in ("locked", "deadlock", "serializ"))


_MENDS = (
    ("readonly", "make the file and its folder writable, or choose another with AGENTKIT_HOME"),
    ("unable to open", "make sure that its folder exists and is writable"),
    ("locked", "another process kept writing; try again when it has finished"),
    ("is full", "free some space on its disk; nothing that was completed is lost"),
    ("malformed", "restore it from a backup"),
    ("not a database", "name another file, or move this one away"),
    ("connection", "make sure that the server is up, then try again"),
)


def _reason(error: Exception) -> str:
    """The driver's message in one line, with the fix if one is known."""
    said = str(getattr(error, "orig", None) or error).strip().split("\n")[0] or type(error).__name__
    mend = next((mend for word, mend in _MENDS if word in said.lower()), "")
    return f"{said}: {mend}" if mend else said
