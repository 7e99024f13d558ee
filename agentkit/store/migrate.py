"""Migrations of the store, by Alembic, run from within the package."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from agentkit.errors import StoreError

_FOLDER = Path(__file__).parent / "migrations"


class Migratable(Protocol):
    """The part of `Store` that migrations use."""

    @property
    def name(self) -> str: ...

    def read(self) -> AbstractContextManager[Connection]: ...

    def write(self) -> AbstractContextManager[Connection]: ...


def versions(store: Migratable) -> tuple[str | None, str]:
    """The database's version (None if it is empty) and the newest one this program knows."""
    with store.read() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    head = _scripts().get_current_head()
    assert head is not None
    return current, head


def ensure_current(store: Migratable, *, upgrade: bool = True) -> None:
    """Bring the tables up to date; safe if several processes do it at once.

    Raises:
        StoreError: the database was written by a newer AgentKit, or it is outdated and `upgrade` is False.
    """
    current, head = versions(store)
    if current == head:
        return
    known = {script.revision for script in _scripts().walk_revisions()}
    if current is not None and current not in known:
        raise StoreError(f"{store.name} is at version {current}, newer than this AgentKit ({head}): upgrade AgentKit")
    if not upgrade:
        raise StoreError(f"{store.name} is at version {current or 'none'}, {head} is needed: run  agentkit db upgrade")
    config = _config()
    with store.write() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7201944)")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
