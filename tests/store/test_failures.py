"""A database that fails: every way ends in one StoreError that says where and what to do, and never shows the data."""

from __future__ import annotations

import sqlite3
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from agentkit.errors import StoreError
from agentkit.graph.checkpoints import open_checkpoints
from agentkit.store import Store
from agentkit.store.changes import TargetRow

SECRET = "what nobody else may read"


def add(connection: Connection, name: str = SECRET) -> None:
    connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS filled (name TEXT)")
    connection.exec_driver_sql("INSERT INTO filled VALUES (?)", (name,))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "a.db")
    yield opened
    opened.close()


def assert_one_line(error: StoreError, *parts: str) -> None:
    said = str(error)
    assert "\n" not in said
    assert SECRET not in "".join(traceback.format_exception(error))
    for part in ("a.db", *parts):
        assert part in said


def test_a_read_only_database_says_what_to_make_writable(store: Store) -> None:
    with store.write() as connection:
        connection.exec_driver_sql("PRAGMA query_only=ON")
    with pytest.raises(StoreError) as caught, store.write() as connection:
        add(connection)
    assert_one_line(caught.value, "readonly", "writable")


def test_a_full_disk_says_so_and_the_store_goes_on_when_there_is_room(store: Store) -> None:
    with store.write() as connection:
        pages = int(connection.exec_driver_sql("PRAGMA page_count").scalar() or 0)
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StoreError) as caught, store.write() as connection:
        add(connection, SECRET * 4000)
    assert_one_line(caught.value, "full", "free some space")
    with store.write() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 1000}")
        add(connection, SECRET * 4000)
        assert connection.exec_driver_sql("SELECT count(*) FROM filled").scalar() == 1


def test_a_damaged_database_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    Store.open(path).close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    with pytest.raises(StoreError) as caught:
        opened = Store.open(path)
        with opened.read() as connection:
            connection.execute(select(func.count()).select_from(TargetRow))
    assert_one_line(caught.value, "malformed", "backup")


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("a letter, not a database " * 100)
    with pytest.raises(StoreError) as caught:
        Store.open(tmp_path / "a.db")
    assert_one_line(caught.value, "not a database", "name another file")


def test_checkpoints_fail_as_the_store_does(store: Store) -> None:
    saver = open_checkpoints(store)
    with sqlite3.connect(store.engine.url.database or "") as other:
        other.execute("DROP TABLE checkpoints")
    with pytest.raises(StoreError) as caught:
        saver.get_tuple({"configurable": {"thread_id": "t", "checkpoint_ns": ""}})
    assert_one_line(caught.value, "no such table")


def test_a_transaction_that_fails_for_good_is_one_line_and_changes_nothing(store: Store) -> None:
    def work(connection: Connection) -> None:
        add(connection)
        connection.exec_driver_sql("INSERT INTO nowhere VALUES (?)", (SECRET,))

    with pytest.raises(StoreError) as caught:
        store.transaction(work)
    assert_one_line(caught.value, "nowhere")
    with store.read() as connection:
        found = "SELECT count(*) FROM sqlite_master WHERE name = 'filled'"
        assert connection.exec_driver_sql(found).scalar() == 0


@pytest.mark.postgres
def test_a_server_that_ends_the_connection_is_one_line_and_the_next_write_is_on_a_new_one(pg_store: Store) -> None:
    with pytest.raises(StoreError, match="terminat") as caught, pg_store.write() as connection:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        with pg_store.engine.connect() as other:
            other.exec_driver_sql(f"SELECT pg_terminate_backend({pid}, 5000)")
        connection.exec_driver_sql("SELECT 1")
    assert "\n" not in str(caught.value)
    with pg_store.write() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1


@pytest.mark.postgres
def test_an_idle_connection_that_the_server_has_ended_is_replaced_before_it_is_used(
    pg_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pg_store.read() as connection:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    other = Store.open(pg_store.engine.url.render_as_string(hide_password=False))
    with other.read() as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend({pid}, 5000)")
    other.close()
    monkeypatch.setattr("agentkit.store.engine.IDLE_SECONDS", 0.0)
    with pg_store.read() as connection:
        assert connection.exec_driver_sql("SELECT pg_backend_pid()").scalar() != pid
