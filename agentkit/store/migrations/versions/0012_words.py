"""Words of cases in every script: input for the full-text index, and new hash embeddings made from them.

SQLite's index is rebuilt on its next use. Hash embeddings of ASCII texts are unchanged, so they are kept under the
embedder's new name. Others are recomputed when needed, with two exceptions: those of LangGraph items are recomputed
when the item is next put, and those of states that only a recall refers to are lost, since their texts are not stored.
"""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from agentkit.words import spaced

revision = "0012"
down_revision = "0011"

_BATCH = 500
_HASHED = "(embedder LIKE 'hash-%' OR embedder LIKE 'items:hash-%') AND embedder NOT LIKE '%@%'"


def upgrade() -> None:
    op.add_column("cases", sa.Column("words", sa.Text(), server_default="", nullable=False))
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        for thing in ("TRIGGER IF EXISTS cases_fts_in", "TRIGGER IF EXISTS cases_fts_out", "TABLE IF EXISTS cases_fts"):
            connection.exec_driver_sql(f"DROP {thing}")
    _cases(connection)
    _items(connection)
    connection.execute(sa.text(f"DELETE FROM playbook_vectors WHERE {_HASHED}"))
    connection.execute(sa.text(f"UPDATE case_vectors SET embedder = embedder || '@2' WHERE {_HASHED}"))
    for name in connection.execute(sa.text(f"SELECT name FROM case_memories WHERE {_HASHED}")).scalars().all():
        renamed = sa.text("UPDATE case_memories SET embedder = embedder || '@2', epoch = :epoch WHERE name = :name")
        connection.execute(renamed, {"epoch": uuid.uuid4().hex, "name": name})


def _cases(connection: sa.Connection) -> None:
    """Fill in the words of every case, and delete hash embeddings of texts that are not ASCII."""
    names = ("seq", "state", "plan", "words", "state_hash", "masked_hash", "plan_hash")
    cases = sa.table("cases", *map(sa.column, names))
    change = sa.update(cases).where(cases.c.seq == sa.bindparam("case")).values(words=sa.bindparam("found"))
    last = 0
    while rows := connection.execute(
        sa.select(cases).where(cases.c.seq > last).order_by(cases.c.seq).limit(_BATCH)
    ).all():
        connection.execute(change, [{"case": row.seq, "found": spaced(row.state)} for row in rows])
        other = [row for row in rows if not (row.state + row.plan).isascii()]
        _drop(connection, [key for row in other for key in (row.state_hash, row.masked_hash, row.plan_hash)])
        last = rows[-1].seq


def _items(connection: sa.Connection) -> None:
    rows = connection.execute(sa.text("SELECT value, paths FROM case_items WHERE paths IS NOT NULL"))
    for value, paths in rows.all():
        if not json.dumps(_data(value), ensure_ascii=False).isascii():
            _drop(connection, list(_data(paths)))


def _data(stored: Any) -> Any:
    """A JSON column as data; SQLite returns it as text."""
    return json.loads(stored) if isinstance(stored, str) else stored


def _drop(connection: sa.Connection, hashes: list[str]) -> None:
    gone = sa.text(f"DELETE FROM case_vectors WHERE {_HASHED} AND hash IN :hashes")
    for part in _parts(sorted(set(hashes))):
        connection.execute(gone.bindparams(sa.bindparam("hashes", expanding=True)), {"hashes": part})


def _parts(values: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(values), _BATCH):
        yield values[start : start + _BATCH]
