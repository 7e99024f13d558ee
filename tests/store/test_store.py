"""The store: versions, transactions, and what happens when several want it at once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, func, select

from agentkit.errors import StoreError
from agentkit.store import Store
from agentkit.store.changes import TargetRow
from agentkit.store.migrate import _config, versions
from agentkit.store.schema import metadata


def test_migrations_lead_to_exactly_the_declared_tables(any_store: Store) -> None:
    with any_store.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_opening_twice_changes_nothing(tmp_path: Path) -> None:
    first = Store.open(tmp_path / "a.db")
    second = Store.open(tmp_path / "a.db")
    assert versions(first) == versions(second)
    assert versions(first)[0] == versions(first)[1]
    first.close()
    second.close()


def test_a_database_from_a_newer_version_is_refused_in_one_line(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "a.db")
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    store.close()
    with pytest.raises(StoreError, match="newer than this AgentKit"):
        Store.open(tmp_path / "a.db")


def test_an_old_database_is_refused_when_asked_not_to_upgrade(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="agentkit db upgrade"):
        Store.open(tmp_path / "new.db", upgrade=False)


def test_a_write_that_raises_leaves_nothing_behind(any_store: Store) -> None:
    with pytest.raises(RuntimeError), any_store.write() as connection:
        connection.execute(any_store.insert(TargetRow), {"name": "a", "kind": "k"})
        raise RuntimeError
    with any_store.read() as connection:
        assert connection.execute(select(func.count()).select_from(TargetRow)).scalar() == 0


def test_a_read_sees_one_state_whatever_is_written_meanwhile(any_store: Store) -> None:
    count = select(func.count()).select_from(TargetRow)
    with any_store.read() as connection:
        before = connection.execute(count).scalar()
        with any_store.write() as other:
            other.execute(any_store.insert(TargetRow), {"name": "a", "kind": "k"})
        assert connection.execute(count).scalar() == before == 0
    with any_store.read() as connection:
        assert connection.execute(count).scalar() == 1


def test_inserting_the_same_key_twice_counts_once(any_store: Store) -> None:
    with any_store.write() as connection:
        row = {"name": "a", "kind": "k"}
        assert any_store.insert_new(connection, TargetRow, [row]) == 1
        assert any_store.insert_new(connection, TargetRow, [row]) == 0


def test_threads_that_write_at_once_all_succeed(any_store: Store) -> None:
    def write(number: int) -> None:
        for index in range(20):
            with any_store.write() as connection:
                any_store.insert_new(connection, TargetRow, [{"name": f"{number}-{index}", "kind": "k"}])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with any_store.read() as connection:
        assert connection.execute(select(func.count()).select_from(TargetRow)).scalar() == 160


@pytest.mark.parametrize(
    "url", ["nonsense://x", "sqlite:////proc/nowhere/a.db", "postgresql://nobody@127.0.0.1:1/none", "a b://"]
)
def test_a_database_that_cannot_be_opened_says_so_in_one_line(url: str) -> None:
    with pytest.raises(StoreError) as caught:
        Store.open(url)
    assert "\n" not in str(caught.value)


def _database_at(path: Path, version: str) -> Store:
    store = Store(create_engine(f"sqlite:///{path}"))
    config = _config()
    with store.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
    return store


def test_cases_of_an_old_database_know_their_answers(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old = _database_at(path, "0005")
    with old.write() as connection:
        connection.exec_driver_sql("INSERT INTO case_memories VALUES ('m', 'e', 2, 'hash-4', 4, '{}', '2026-01-01')")
        fixed = "'[]', '[]', 1, '', '', '', '', '2026-01-01T00:00:00.000000+00:00'"
        names = (
            "(seq, rev, memory, namespace, id, run_id, state, plan, reward, channel, source, trusted, status, pinned,"
        )
        names += " tags, parents, weight, masked, state_hash, masked_hash, plan_hash, created_at)"
        for seq, plan in ((1, "1. look\nWrong answer: two\nlines"), (2, "Answer: yes"), (3, "no answer was found")):
            values = (
                f"({seq}, {seq}, 'm', 'default', 'c{seq}', 'r{seq}', 's', ?, 0.0, 'label', '', 1, 'active', 0, {fixed})"
            )
            connection.exec_driver_sql(f"INSERT INTO cases {names} VALUES {values}", (plan,))
    old.close()
    with Store.open(path).read() as connection:
        rows = connection.exec_driver_sql("SELECT answer, correction, corrected_by FROM cases ORDER BY seq").all()
    assert [tuple(row) for row in rows] == [("two\nlines", None, ""), ("yes", None, ""), (None, None, "")]


def test_cases_of_an_old_database_are_found_by_words_of_every_script(tmp_path: Path) -> None:
    from agentkit.memory import Case, CaseMemory, HashEmbedder
    from agentkit.memory.policies.lexical import ensure_fts

    path = tmp_path / "old.db"
    memory = CaseMemory.open(Store.open(path), embedder=HashEmbedder(16))
    memory.add_many([Case(state="plain words", plan="p", id="a"), Case(state="水龙头", plan="p", id="b")])
    ensure_fts(memory.bank())
    hashes = dict(memory.store.engine.connect().exec_driver_sql("SELECT id, state_hash FROM cases").all())
    with memory.store.write() as connection:  # as the version before left it
        for statement in (
            "DROP TABLE run_files", "DROP TABLE files", "DROP TABLE cases_fts", "DROP TRIGGER cases_fts_in",
            "DROP TRIGGER cases_fts_out", "ALTER TABLE cases DROP COLUMN words",
            *(f"ALTER TABLE curation_work DROP COLUMN {name}" for name in ("run_id", "recalled", "called", "question")),
            "UPDATE alembic_version SET version_num = '0011'",
            "UPDATE case_vectors SET embedder = 'hash-16'", "UPDATE case_memories SET embedder = 'hash-16'",
            "CREATE VIRTUAL TABLE cases_fts USING fts5(state, content='cases', content_rowid='seq')",
            "INSERT INTO case_vectors SELECT 'openai/hash-like', hash, vector FROM case_vectors",
            "INSERT INTO playbook_vectors SELECT 'hash-stems-16', hash, vector FROM case_vectors LIMIT 1",
        ):  # fmt: skip
            connection.exec_driver_sql(statement)
    memory.store.close()
    again = CaseMemory.open(Store.open(path), embedder=HashEmbedder(16))
    with again.store.read() as connection:
        kept = connection.exec_driver_sql("SELECT embedder, hash FROM case_vectors WHERE embedder LIKE 'hash%'").all()
        others = connection.exec_driver_sql("SELECT count(*) FROM case_vectors WHERE embedder = 'openai/hash-like'")
        assert others.scalar() == 2
        assert connection.exec_driver_sql("SELECT count(*) FROM playbook_vectors").scalar() == 0
    assert [tuple(row) for row in kept] == [("hash-16@2", hashes["a"])]
    for query, wanted in (("龙头", "b"), ("words", "a")):
        for policy in ("lexical", "dense"):
            assert again.search(query, 1, policy=policy)[0].case.id == wanted
