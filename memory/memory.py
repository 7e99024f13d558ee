"""CaseMemory: an agent's episodes, stored in SQL and searched through indexes that follow the database."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Self

from sqlalchemy import Connection

from agentkit import faults
from agentkit.embedding import Embedder, VectorCache, text_hash
from agentkit.errors import UserError
from agentkit.memory.bank import Bank
from agentkit.memory.case import Case, Filters, Hit, check_case, check_namespace
from agentkit.memory.mirror import Mirror
from agentkit.memory.policies import Policy, load_policy
from agentkit.memory.query import Query
from agentkit.memory.rows import CaseRows, view_text
from agentkit.store import Store
from agentkit.store.cases import CaseRow

_BATCH = 2000


class CaseMemory:
    """One memory in a store. Safe to use from several threads and processes; every read sees all acknowledged writes.

    Args:
        store: the database.
        name: the memory's name.
        embedder: makes the vectors; the memory records its name and refuses another one.
        home: folder for cached indexes; None keeps none.
        views: texts to embed when a case is written; others are embedded when a policy first needs them.
    """

    def __init__(
        self,
        store: Store,
        name: str = "default",
        *,
        embedder: Embedder,
        home: str | Path | None = None,
        views: Sequence[str] = ("state",),
    ) -> None:
        if not re.fullmatch(r"[\w.-]{1,80}", name):
            raise UserError(f"{name!r} can't name a memory: use letters, digits, '.', '_' and '-'")
        self.store, self.name, self.embedder, self.views = store, name, embedder, tuple(views)
        self.rows = CaseRows(store, name)
        self.vectors = VectorCache(store, embedder)
        self.folder = None if home is None else Path(home) / "indexes"
        self.mirror = Mirror(store, self.rows, self.vectors, self.folder)
        self._check_embedder()

    @classmethod
    def open(
        cls,
        store: Store,
        name: str = "default",
        *,
        embedder: Embedder,
        home: str | Path | None = None,
        views: Sequence[str] = ("state",),
    ) -> Self:
        """A memory by name, created when it is first opened.

        Raises:
            UserError: an invalid name, or an embedder other than the memory's own.
        """
        return cls(store, name, embedder=embedder, home=home, views=views)

    @property
    def target(self) -> str:
        """The ledger target of its retrieval policy."""
        return f"policy:{self.name}"

    def _check_embedder(self) -> None:
        row = self.rows.create(self.embedder)
        if row.dimension != self.embedder.dimension:
            raise UserError(
                f"memory {self.name!r} holds vectors of {row.dimension} dimensions from {row.embedder!r}, but"
                f" {self.embedder.name!r} gives {self.embedder.dimension}: name that embedder, or run"
                f"  agentkit memory rebuild --embedder {self.embedder.name}"
            )
        if row.embedder != self.embedder.name:
            raise UserError(
                f"memory {self.name!r} was embedded by {row.embedder!r}, not {self.embedder.name!r}: name that"
                f" embedder, or run  agentkit memory rebuild --embedder {self.embedder.name}"
            )

    def add(self, case: Case) -> Case:
        """Store one case durably; a second case for the same run and namespace is ignored.

        Returns:
            the case as stored, which is the earlier one if the run already had one.
        """
        return self.add_many([case])[0]

    def add_many(self, cases: Iterable[Case]) -> list[Case]:
        """Store cases, each batch completely or not at all; cases whose id or run exists already are skipped.

        Returns:
            the cases as stored.

        Raises:
            DataError: an invalid case; nothing of its batch is written.
        """
        given = [check_case(case) for case in cases]
        stored: list[Case] = []
        for start in range(0, len(given), _BATCH):
            part = given[start : start + _BATCH]
            write = self.writer(part)
            stored += self.store.transaction(write)
            faults.point("after:memory.add")
        return stored

    def writer(self, cases: Sequence[Case]) -> Callable[[Connection], list[Case]]:
        """Embed cases now and return a function that writes them, to be used in a larger transaction."""
        hashes = {text_hash(t): t for case in cases for t in (view_text(case, view) for view in self.views)}
        vectors = self.vectors.vectors(list(hashes.values()))

        def write(connection: Connection) -> list[Case]:
            if self._all_new(connection, cases):
                self.vectors.store_vectors(connection, list(hashes), vectors)
                return list(cases)
            known = self._known(connection, cases)
            new = {(c.namespace, c.run_id or c.id): c for c in cases if _key(c) not in known and _id(c) not in known}
            if new:
                self.rows.insert(connection, list(new.values()))
                self.vectors.store_vectors(connection, list(hashes), vectors)
            return [known.get(_key(c)) or known.get(_id(c)) or new[(c.namespace, c.run_id or c.id)] for c in cases]

        return write

    def _all_new(self, connection: Connection, cases: Sequence[Case]) -> bool:
        """Append all cases, or none if one of them exists already."""
        if len(cases) == 1:
            return self.rows.insert_one(connection, cases[0])
        savepoint = connection.begin_nested()
        done = self.rows.insert(connection, cases) == len(cases)
        savepoint.commit() if done else savepoint.rollback()
        return done

    def _known(self, connection: Connection, cases: Sequence[Case]) -> dict[tuple[str, str, str], Case]:
        known: dict[tuple[str, str, str], Case] = {}
        for space in {case.namespace for case in cases}:
            mine = [case for case in cases if case.namespace == space]
            runs = [case.run_id for case in mine if case.run_id]
            for case in self.rows.existing(connection, space, ids=[c.id for c in mine], run_ids=runs):
                known[_id(case)] = case
                if case.run_id:
                    known[_key(case)] = case
        return known

    def bank(self, filters: Filters | None = None, *, reading: Connection | None = None) -> Bank:
        """The cases that filters allow, for a policy to choose from; up to date at this moment."""
        filters = filters or Filters()
        with self.mirror.lock, self.store.read() if reading is None else nullcontext(reading) as connection:
            self.mirror.refresh(connection)
            mask = self.mirror.mask(filters)
            if filters.exclude:
                found = self.rows.existing(connection, filters.namespace, ids=filters.exclude)
                mask[self.mirror.positions([case.seq for case in found])] = False
            return Bank(self.store, self.rows, self.mirror, filters, mask)

    def search(
        self,
        text: str,
        k: int = 4,
        *,
        filters: Filters | None = None,
        policy: str | Policy = "dense",
        exact_k: bool = False,
    ) -> list[Hit]:
        """The k best cases for a state, best first.

        Args:
            policy: a policy or its name.
            exact_k: raise rather than return fewer than k.

        Raises:
            UserError: k is below 1 or, with `exact_k`, larger than the number of cases.
        """
        if k < 1:
            raise UserError(f"k must be at least 1, not {k}")
        query, chooser = Query(text, self.vectors), load_policy(policy)
        _ = query.state  # embed before taking the lock: it is slow
        with self.mirror.lock, self.store.read() as connection:
            bank = self.bank(filters, reading=connection)
            self._check_k(k, bank, exact_k)
            return bank.hits(chooser.rank(query, bank, k), connection)

    def _check_k(self, k: int, bank: Bank, exact_k: bool) -> None:
        if exact_k and k > bank.size:
            raise UserError(f"k = {k}, but memory {self.name!r} has {bank.size} such cases: ask for fewer")

    async def asearch(
        self,
        text: str,
        k: int = 4,
        *,
        filters: Filters | None = None,
        policy: str | Policy = "dense",
        exact_k: bool = False,
    ) -> list[Hit]:
        """The asynchronous version of `search`."""
        return await asyncio.to_thread(self.search, text, k, filters=filters, policy=policy, exact_k=exact_k)

    async def aadd(self, case: Case) -> Case:
        return await asyncio.to_thread(self.add, case)

    def get(self, id: str, *, namespace: str = "default") -> Case:
        """A case by its id or a unique prefix of it.

        Raises:
            UserError: no such case, or several.
        """
        conditions = (CaseRow.namespace == check_namespace(namespace), CaseRow.id.startswith(id, autoescape=True))
        found = self.rows.where(*conditions, limit=2)
        exact = [case for case in found if case.id == id] or found
        if len(exact) != 1:
            raise UserError(
                f"no case {id!r} in namespace {namespace!r}" if not exact else f"{id!r} matches several ids"
            )
        return exact[0]

    def list(self, *, namespace: str = "default", status: str | None = None, limit: int | None = 50) -> list[Case]:
        """Cases of a namespace, newest first."""
        conditions = [CaseRow.namespace == namespace]
        if status is not None:
            conditions.append(CaseRow.status == status)
        return self.rows.where(*conditions, limit=limit, newest=True)

    def count(self, *, namespace: str | None = None) -> int:
        return self.rows.count(*([] if namespace is None else [CaseRow.namespace == namespace]))

    def delete(self, ids: Sequence[str], *, namespace: str = "default") -> int:
        """Remove cases with their vectors; returns how many. See `forget` for everything that came from a source."""

        return self.store.transaction(lambda connection: self.drop(connection, ids, namespace=namespace))

    def drop(self, connection: Connection, ids: Sequence[str], *, namespace: str = "default") -> int:
        """As `delete`, in a transaction of the caller's."""
        found = self.rows.existing(connection, namespace, ids=ids)
        return self.rows.delete(connection, [case.seq for case in found])

    def save(self) -> None:
        """Write the cached indexes now."""
        self.mirror.refresh()
        for view in self.views:
            self.mirror.view(view)
        self.mirror.save(always=True)


def _key(case: Case) -> tuple[str, str, str]:
    return ("run", case.namespace, case.run_id or f"id:{case.id}")


def _id(case: Case) -> tuple[str, str, str]:
    return ("id", case.namespace, case.id)
