"""Lexical search in the database: FTS5 on SQLite, text search on PostgreSQL.

Both are given words that have been split here, so that they need no support for any script.
"""

from __future__ import annotations

import numpy as np
from sqlalchemy import Connection, text

from agentkit.memory.bank import Bank, Ranking
from agentkit.memory.query import Query
from agentkit.words import asked

_WORDS = 24
"""A query is cut to this many words."""

_INDEX = """
CREATE VIRTUAL TABLE IF NOT EXISTS cases_fts USING fts5(words, content='cases', content_rowid='seq',
  tokenize="unicode61 categories 'L* M* N* Co'");
CREATE TRIGGER IF NOT EXISTS cases_fts_in AFTER INSERT ON cases BEGIN
  INSERT INTO cases_fts(rowid, words) VALUES (new.seq, new.words); END;
CREATE TRIGGER IF NOT EXISTS cases_fts_out AFTER DELETE ON cases BEGIN
  INSERT INTO cases_fts(cases_fts, rowid, words) VALUES ('delete', old.seq, old.words); END;
INSERT INTO cases_fts(cases_fts) VALUES ('rebuild');
"""


class Lexical:
    """BM25 over the words of the states (`ts_rank` on PostgreSQL), filtered in SQL before the ranking is cut off."""

    name = "lexical"

    def rank(self, query: Query, bank: Bank, k: int) -> Ranking:
        found = asked(query.text, _WORDS)
        rows = _search(bank, found, k) if found and bank.size else []
        places = {seq: score for seq, score in rows}
        positions = bank.mirror.positions(list(places))
        seqs = bank.seqs(positions)
        scores = np.asarray([places[seq] for seq in seqs], dtype=np.float32)
        order = np.argsort(-scores, kind="stable")
        return Ranking(positions=positions[order], scores=scores[order])


def _search(bank: Bank, found: list[str], k: int) -> list[tuple[int, float]]:
    sqlite = bank.store.dialect == "sqlite"
    if sqlite:
        ensure_fts(bank)
    query = _SQLITE if sqlite else _POSTGRES
    terms = " OR ".join(f'"{word}"' for word in found) if sqlite else " | ".join(f"'{word}'" for word in found)
    values = {"terms": terms, "memory": bank.rows.memory, "namespace": bank.filters.namespace}
    allowed = set(bank.seqs(bank.allowed))
    hits: list[tuple[int, float]] = []
    with bank.store.read() as connection:
        for seq, score in connection.execute(text(query), values):
            if seq in allowed:  # results stream best first, so stopping early drops nothing that is allowed
                hits.append((seq, float(score)))
                if len(hits) == k:
                    break
    return hits


_SQLITE = """
SELECT c.seq, -bm25(cases_fts) AS score FROM cases_fts JOIN cases c ON c.seq = cases_fts.rowid
WHERE cases_fts MATCH :terms AND c.memory = :memory AND c.namespace = :namespace ORDER BY score DESC, c.seq"""
_POSTGRES = """
SELECT seq, ts_rank(array_to_tsvector(string_to_array(words, ' ')), CAST(:terms AS tsquery)) AS score FROM cases
WHERE memory = :memory AND namespace = :namespace
AND array_to_tsvector(string_to_array(words, ' ')) @@ CAST(:terms AS tsquery) ORDER BY score DESC, seq"""


def has_fts(connection: Connection) -> bool:
    found = connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'cases_fts'")
    return found.first() is not None


def ensure_fts(bank: Bank) -> None:
    """Create the full-text index if it does not exist; from then on, triggers keep it up to date."""
    with bank.store.read() as connection:
        if has_fts(connection):
            return
    with bank.store.write() as connection:
        if not has_fts(connection):
            for statement in _INDEX.strip().split(";\n"):
                ending = ";" if statement.rstrip().endswith("END") else ""
                connection.exec_driver_sql(statement.rstrip().rstrip(";") + ending)
