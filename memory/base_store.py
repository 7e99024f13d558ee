"""LangGraph's `BaseStore` on a case memory's database, so that any LangGraph program can keep its items there."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
    get_text_at_path,
)
from langgraph.store.memory import _compare_values, _does_match
from sqlalchemy import Connection, delete, select

from agentkit.embedding import Embedder, VectorCache, Vectors, text_hash
from agentkit.json_types import JsonObject
from agentkit.memory.text import ITEMS
from agentkit.store import Store
from agentkit.store.base import now
from agentkit.store.cases import CaseVectorRow, StoreItemRow

_SEPARATOR = "\x1f"


class MemoryStore(BaseStore):
    """Items in SQL, searched exactly over their embedded fields; expired items are never returned.

    Args:
        embedder: with None, searches are not ranked.
        fields: JSON paths whose values are embedded; `$` is the whole value.
        ttl: LangGraph's own settings; `default_ttl` (in minutes) and `refresh_on_read` are supported.
    """

    supports_ttl = True
    ttl_config: TTLConfig | None

    def __init__(
        self,
        store: Store,
        name: str = "store",
        *,
        embedder: Embedder | None = None,
        fields: tuple[str, ...] = ("$",),
        ttl: TTLConfig | None = None,
    ) -> None:
        self.store, self.name, self.fields, self.ttl_config = store, name, fields, ttl
        self.vectors = None if embedder is None else VectorCache(store, _Apart(embedder))
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="agentkit-store")

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Reads see the store as it was before the batch; among several puts of one key the last wins."""
        given = list(ops)
        results: list[Result] = [None if isinstance(op, PutOp) else self._read(op) for op in given]
        puts = {(op.namespace, op.key): op for op in given if isinstance(op, PutOp)}
        if puts:
            texts = {key: self._texts(op) for key, op in puts.items()}
            every = sorted({text for found in texts.values() for text in found})
            vectors = dict(zip(every, self.vectors.vectors(every), strict=True)) if self.vectors is not None else {}

            def work(connection: Connection) -> None:
                for key, op in puts.items():
                    self._put(connection, op, {self._hash(op, text): vectors[text] for text in texts[key]})

            self.store.transaction(work)
        return results

    def _hash(self, op: PutOp, text: str) -> str:
        """The key of a vector. It is unique to the item, so that the vector is deleted together with it."""
        return text_hash("\0".join((self.name, *op.namespace, op.key, text)))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """The asynchronous version of `batch`; concurrent calls are carried out in the order in which they were
        made."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, self.batch, list(ops))

    def _texts(self, op: PutOp) -> list[str]:
        if self.vectors is None or op.value is None or op.index is False:
            return []
        paths = self.fields if op.index is None else op.index
        found = [text for path in paths for text in get_text_at_path(op.value, path)]
        return [text for text in found if text]

    def _put(self, connection: Connection, op: PutOp, vectors: dict[str, Vectors]) -> None:
        key = {"memory": self.name, "prefix": _SEPARATOR.join(op.namespace), "key": op.key}
        where = [getattr(StoreItemRow, name) == value for name, value in key.items()]
        self._drop_vectors(connection, connection.execute(select(StoreItemRow.paths).where(*where)).scalars().all())
        if op.value is None:
            connection.execute(delete(StoreItemRow).where(*where))
            return
        if self.vectors is not None and vectors:
            self.vectors.store_vectors(connection, list(vectors), np.stack(list(vectors.values())))
        stamp = now()
        values = {
            "value": op.value,
            "paths": list(vectors),
            "ttl": op.ttl,
            "expires_at": _expiry(op.ttl),
            "updated_at": stamp,
        }
        statement = self.store.insert(StoreItemRow)
        update = statement.on_conflict_do_update(index_elements=["memory", "prefix", "key"], set_=values)
        connection.execute(update, {**key, **values, "created_at": stamp})

    def _drop_vectors(self, connection: Connection, paths: Iterable[list[str]]) -> None:
        gone = [key for hashes in paths for key in hashes]
        for start in range(0, len(gone), 500):
            mine = CaseVectorRow.hash.in_(gone[start : start + 500])
            connection.execute(delete(CaseVectorRow).where(CaseVectorRow.embedder.startswith(ITEMS), mine))

    def _read(self, op: Op) -> Result:
        if isinstance(op, GetOp):
            rows = self._rows(StoreItemRow.prefix == _SEPARATOR.join(op.namespace), StoreItemRow.key == op.key)
            self._touch(rows if op.refresh_ttl else [])
            return _item(rows[0]) if rows else None
        if isinstance(op, SearchOp):
            return self._search(op)
        assert isinstance(op, ListNamespacesOp)
        return self._namespaces(op)

    def _rows(self, *conditions: Any) -> list[Any]:
        query = select(StoreItemRow.__table__).where(StoreItemRow.memory == self.name, *conditions)
        fresh = (StoreItemRow.expires_at.is_(None)) | (StoreItemRow.expires_at > now())
        with self.store.read() as connection:
            newest = (StoreItemRow.updated_at.desc(), StoreItemRow.key)
            return list(connection.execute(query.where(fresh).order_by(*newest)))

    def _search(self, op: SearchOp) -> list[SearchItem]:
        prefix = op.namespace_prefix
        rows = [row for row in self._rows() if tuple(row.prefix.split(_SEPARATOR))[: len(prefix)] == tuple(prefix)]
        if op.filter:
            wanted = op.filter.items()
            rows = [row for row in rows if all(_compare_values(_at(row.value, k), v) for k, v in wanted)]
        scored: list[tuple[Any, float | None]] = [(row, None) for row in rows]
        if op.query and self.vectors is not None:
            scored = self._scored(rows, op.query)
        page = scored[op.offset : op.offset + op.limit]
        self._touch([row for row, _ in page] if op.refresh_ttl else [])
        return [SearchItem(**_fields(row), score=score) for row, score in page]

    def _scored(self, rows: list[Any], text: str) -> list[tuple[Any, float | None]]:
        """Rank items by the best of their embedded texts; items without any come last."""
        assert self.vectors is not None
        query = self.vectors.vector(text)
        known = self.vectors._look_up(sorted({key for row in rows for key in row.paths}))
        best = [max((float(known[key] @ query) for key in row.paths if key in known), default=None) for row in rows]
        order = sorted(range(len(rows)), key=lambda i: -(best[i] if best[i] is not None else -np.inf))  # type: ignore[operator]
        return [(rows[i], best[i]) for i in order]

    def _namespaces(self, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        spaces = {tuple(row.prefix.split(_SEPARATOR)) for row in self._rows()}
        found = [space for space in spaces if all(_does_match(c, space) for c in op.match_conditions or ())]
        if op.max_depth is not None:
            found = list({space[: op.max_depth] for space in found})
        return sorted(found)[op.offset : op.offset + op.limit]

    def _touch(self, rows: list[Any]) -> None:
        mine = [row for row in rows if row.ttl is not None]
        if not mine:
            return
        with self.store.write() as connection:
            for row in mine:
                where = (
                    StoreItemRow.memory == self.name,
                    StoreItemRow.prefix == row.prefix,
                    StoreItemRow.key == row.key,
                )
                connection.execute(StoreItemRow.__table__.update().where(*where).values(expires_at=_expiry(row.ttl)))  # type: ignore[attr-defined]

    def sweep_ttl(self) -> int:
        """Delete expired items; returns how many."""
        with self.store.write() as connection:
            expired = (StoreItemRow.memory == self.name, StoreItemRow.expires_at <= now())
            gone = (
                connection.execute(delete(StoreItemRow).where(*expired).returning(StoreItemRow.paths)).scalars().all()
            )
            self._drop_vectors(connection, gone)
            return len(gone)


class _Apart:
    """The same embedder under another name, so that the vectors of items and of cases are never mixed up."""

    def __init__(self, inner: Embedder) -> None:
        self.inner, self.name, self.dimension = inner, ITEMS + inner.name, inner.dimension

    def embed_query(self, text: str) -> list[float]:
        return self.inner.embed_query(text)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.inner.embed_documents(texts)


def _at(value: Any, path: str) -> Any:
    """The field with that name, or else the one at that dotted path; None if there is none."""
    if not isinstance(value, dict) or path in value:
        return value.get(path) if isinstance(value, dict) else None
    first, dot, rest = path.partition(".")
    return _at(value.get(first), rest) if dot else None


def _expiry(ttl: float | None) -> dt.datetime | None:
    return None if ttl is None else now() + dt.timedelta(minutes=ttl)


def _fields(row: Any) -> JsonObject:
    return {
        "namespace": tuple(row.prefix.split(_SEPARATOR)),
        "key": row.key,
        "value": row.value,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _item(row: Any) -> Item:
    return Item(**_fields(row))
