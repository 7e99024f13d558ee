"""The sql tool reads a database, within limits, and can do nothing else to it or to anything else."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from agentkit.errors import ToolError, UserError
from agentkit.tools import load_tools, run_tool
from agentkit.tools.database import open_database, without_password


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE items (name TEXT, price REAL)")
        connection.executemany("INSERT INTO items VALUES (?, ?)", [("chair", 49.5), ("lamp", None), ("desk", 120.0)])
    connection.close()
    return path


async def test_a_query_comes_back_as_a_table_and_the_schema_in_the_databases_own_words(file: Path) -> None:
    sql, schema = load_tools(["sql", "schema"], database=file)
    found = await run_tool(sql, {"query": "SELECT name, price FROM items ORDER BY name"})
    assert found.text == "name | price\nchair | 49.5\ndesk | 120.0\nlamp | NULL"
    assert (await run_tool(schema, {})).text == "CREATE TABLE items (name TEXT, price REAL)"
    wrong = await run_tool(sql, {"query": "SELECT colour FROM items"})
    assert not wrong.ok and "no such column: colour" in wrong.text


ATTACKS = [
    "INSERT INTO items VALUES ('x', 1)",
    "DELETE FROM items",
    "UPDATE items SET price = 0",
    "DROP TABLE items",
    "CREATE TABLE mine (a)",
    "CREATE TEMP TABLE mine AS SELECT * FROM items",
    "WITH gone AS (SELECT 1) DELETE FROM items",
    "REPLACE INTO items VALUES ('chair', 0)",
    "PRAGMA query_only = OFF",
    "PRAGMA writable_schema = 1",
    "PRAGMA journal_mode = DELETE",
    "ATTACH DATABASE '{folder}/new.sqlite' AS other",
    "VACUUM INTO '{folder}/new.sqlite'",
    "SELECT load_extension('evil')",
    "SELECT 1; DELETE FROM items",
    "BEGIN EXCLUSIVE",
    "ANALYZE",
    "REINDEX",
    "",
    "-- nothing",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_but_one_select_is_carried_out(file: Path, attack: str) -> None:
    before = file.read_bytes()
    with pytest.raises(ToolError):
        open_database(file).query(attack.format(folder=file.parent))
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


ENDLESS = [
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000)"
    " SELECT count(*) FROM n a, n b, n c, n d WHERE a.i + b.i + c.i = d.i",
]


@pytest.mark.parametrize("query", ENDLESS)
def test_a_query_that_would_run_for_ever_is_ended_and_the_next_one_runs(file: Path, query: str) -> None:
    database = open_database(file, seconds=0.2)
    with pytest.raises(ToolError, match=r"longer than 0\.2 s"):
        database.query(query)
    assert database.query("SELECT count(*) FROM items").rows == [(3,)]


def test_rows_and_values_have_a_limit(file: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    database = open_database(file, max_rows=5)
    found = database.query(endless)
    assert found.rows == [(1,), (2,), (3,), (4,), (5,)] and found.more
    with pytest.raises(ToolError, match="too big"):
        database.query("SELECT zeroblob(1000000000)")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("{folder}/nowhere.sqlite", "can't be reached: no such file"),
        ("sqlite://", "can't be reached: no such file"),
        ("postgresql://nobody@127.0.0.1:1/none", "can't be reached"),
        ("mysql://user@host/name", "a mysql database can't be opened"),
        ("a b://x", "can't be read"),
    ],
)
def test_a_database_that_can_not_be_had_is_one_line(tmp_path: Path, url: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as error:
        open_database(url.format(folder=tmp_path))
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("not a database, but a text that is long enough to be read as one\n" * 20)
    with pytest.raises(UserError, match="not a database"):
        open_database(tmp_path / "a.txt")


def test_the_tools_need_a_database() -> None:
    with pytest.raises(UserError, match="needs a database"):
        load_tools(["sql"])


@pytest.mark.postgres
def test_postgresql_is_read_and_nothing_else(postgres_url: str) -> None:
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("DROP TABLE IF EXISTS items")
        admin.execute("CREATE TABLE items (id int PRIMARY KEY, name text)")
        admin.execute("INSERT INTO items VALUES (1, 'chair'), (2, 'desk')")
        admin.execute("CREATE OR REPLACE FUNCTION sneak() RETURNS int LANGUAGE sql AS 'DELETE FROM items; SELECT 1'")
    database = open_database(postgres_url, seconds=0.5)
    assert "CREATE TABLE items (id INTEGER, name TEXT, PRIMARY KEY (id))" in database.schema()
    for attack in (
        "DELETE FROM items",
        "WITH gone AS (DELETE FROM items RETURNING *) SELECT * FROM gone",
        "SELECT sneak()",
        "SELECT 1; DELETE FROM items",
        "COMMIT",
        "SET TRANSACTION READ WRITE",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "CREATE TABLE mine (a int)",
        "COPY items TO '/tmp/agentkit-items'",
        "",
    ):
        with pytest.raises(ToolError):
            database.query(attack)
    with pytest.raises(ToolError, match="longer than"):
        database.query("SELECT set_config('statement_timeout', '0', false), pg_sleep(5)")
    with pytest.raises(ToolError, match="longer than"):
        database.query("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")
    assert database.query("SELECT name FROM items ORDER BY id").rows == [("chair",), ("desk",)]


def test_a_password_is_not_kept_with_a_run() -> None:
    assert without_password("postgresql://ann:secret@host/shop") == "postgresql://ann@host/shop"
    assert without_password("shop.sqlite") == "shop.sqlite"
