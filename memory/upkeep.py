"""Upkeep: merging near-duplicates reversibly, superseding by better cases, eviction, re-embedding."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, delete, select, update

from agentkit.embedding import Embedder, VectorCache
from agentkit.errors import UserError
from agentkit.ledger import Change
from agentkit.memory.case import Case, Filters
from agentkit.memory.memory import CaseMemory
from agentkit.memory.mirror import BATCH, Mirror
from agentkit.memory.policy_store import PolicyStore
from agentkit.memory.rows import VIEWS, CaseRows
from agentkit.store import Store
from agentkit.store.base import now
from agentkit.store.cases import CaseRow, CaseVectorRow, MemoryRow


def consolidate(memory: CaseMemory, *, namespace: str = "default", likeness: float = 0.97) -> list[Case]:
    """Merge active cases with similar states and equal outcomes into one prototype each; the sources stay, marked
    `merged`.

    The prototype is the source with the best reward (the newest in a tie), and lists its sources.

    Returns:
        the prototypes. `undo` takes one apart again.
    """
    with memory.mirror.lock:
        bank = memory.bank(Filters(namespace=namespace, trusted=True))
        positions = bank.allowed
        vectors = bank.vectors("state", positions)
        cases = {case.seq: case for case in bank.cases(positions)}
        ordered = [cases.get(seq) for seq in bank.seqs(positions)]
    groups = _groups(vectors, ordered, likeness)
    made = [_prototype(group) for group in groups]
    write = memory.writer(made)

    def effect(connection: Connection, change: Change) -> None:
        write(connection)
        for prototype, group in zip(made, groups, strict=True):
            for case in group:
                tags = [*case.tags, f"merged:{prototype.id}"]
                memory.rows.update(connection, [case], status="merged", tags=tags)

    if made:
        operation = {"op": "consolidate", "prototypes": [case.id for case in made]}
        key = f"{memory.target}:consolidate:{made[0].id}"
        PolicyStore(memory.store, memory.name).change(operation, effect, key=key, role="upkeep")
    return made


def _groups(vectors: Any, cases: list[Case | None], likeness: float) -> list[list[Case]]:
    """Greedy groups around the earliest case; every member's similarity to it is at least `likeness`."""
    free, groups = np.array([case is not None and not case.pinned for case in cases]), []
    for i, first in enumerate(cases):
        if first is None or not free[i]:
            continue
        alike = np.flatnonzero((vectors @ vectors[i] >= likeness) & free)
        group = [case for j in alike if (case := cases[j]) is not None and case.outcome == first.outcome]
        if len(group) > 1:
            groups.append(group)
        free[alike] = False
    return groups


def _prototype(group: list[Case]) -> Case:
    best = max(group, key=lambda case: (case.reward or 0.0, case.seq))
    sources = " ".join(dict.fromkeys(word for case in group for word in case.source.split()))
    return replace(
        best,
        id=uuid.uuid4().hex[:16],
        run_id=None,
        parents=tuple(case.id for case in group),
        seq=0,
        source=sources[:400],
        weight=sum(case.weight for case in group),
        created_at=now(),
    )


def undo(memory: CaseMemory, prototype: str, *, namespace: str = "default") -> int:
    """Take a prototype apart and restore its sources; returns how many.

    Raises:
        UserError: no such prototype.
    """
    case = memory.get(prototype, namespace=namespace)
    if not case.parents or case.weight < 2:
        raise UserError(f"case {case.id} was not merged from others")
    mark = f"merged:{case.id}"

    def effect(connection: Connection, change: Change) -> None:
        for source in memory.rows.existing(connection, namespace, ids=case.parents):
            tags = [tag for tag in source.tags if tag != mark]
            memory.rows.update(connection, [source], status="active", tags=tags)
        memory.rows.delete(connection, [case.seq])

    operation = {"op": "unmerge", "prototype": case.id}
    PolicyStore(memory.store, memory.name).change(
        operation, effect, key=f"{memory.target}:unmerge:{case.id}", role="upkeep"
    )
    return len(case.parents)


def supersede(memory: CaseMemory, *, namespace: str = "default") -> int:
    """If a state has been solved better since, mark the worse cases as superseded; returns how many.

    A failure is superseded only by a success with the same state.
    """
    groups: dict[str, list[Case]] = {}
    for case in memory.rows.where(CaseRow.namespace == namespace, CaseRow.status == "active"):
        groups.setdefault(case.state, []).append(case)
    worse: list[Case] = []
    for group in groups.values():
        best = max(group, key=lambda case: (-1.0 if case.reward is None else case.reward, case.seq))
        if best.outcome == "success" and best.trusted:
            worse += [case for case in group if case.reward is not None and case.reward < (best.reward or 0)]

    def effect(connection: Connection, change: Change) -> None:
        memory.rows.update(connection, worse, status="superseded")

    PolicyStore(memory.store, memory.name).touch("supersede", worse, effect, role="upkeep")
    return len(worse)


def evict(
    memory: CaseMemory,
    *,
    namespace: str = "default",
    keep: int | None = None,
    older_than: dt.timedelta | None = None,
    below: float | None = None,
) -> int:
    """Delete cases by age, by reward, or down to a number, least valuable first; pinned ones stay.

    A case's value is the effect that the policy measured, then its reward, then its age.
    """
    cases = [case for case in memory.rows.where(CaseRow.namespace == namespace) if not case.pinned]
    gone = {case.seq for case in cases if older_than is not None and case.created_at < now() - older_than}
    if below is not None:
        gone |= {case.seq for case in cases if case.reward is not None and case.reward < below}
    if keep is not None:
        total = memory.count(namespace=namespace)
        value = PolicyStore(memory.store, memory.name).current()
        left = sorted(
            (case for case in cases if case.seq not in gone),
            key=lambda case: (value.effect(case.id)[0], case.reward or 0.0, case.seq),
        )
        gone |= {case.seq for case in left[: max(0, total - len(gone) - keep)]}
    found = [case for case in cases if case.seq in gone]

    def effect(connection: Connection, change: Change) -> None:
        memory.rows.delete(connection, sorted(gone))

    PolicyStore(memory.store, memory.name).touch("evict", found, effect, role="upkeep")
    return len(found)


def embedder_drift(memory: CaseMemory, *, sample: int = 32) -> float:
    """Largest cosine distance between stored and fresh vectors of the same texts; 0 if nothing has changed."""
    cases = memory.rows.where(limit=sample, newest=True)
    if not cases:
        return 0.0
    texts = [case.state for case in cases]
    fresh = VectorCache(memory.store, _Renamed(memory.embedder)).vectors(texts)
    stored = VectorCache(memory.store, memory.embedder).vectors(texts)
    return float(np.max(1 - np.einsum("ij,ij->i", fresh, stored)))


class _Renamed:
    """The same embedder under a name for which nothing is cached."""

    def __init__(self, inner: Embedder) -> None:
        self.inner, self.name, self.dimension = inner, f"fresh:{uuid.uuid4().hex}", inner.dimension

    def embed_query(self, text: str) -> list[float]:
        return self.inner.embed_query(text)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.inner.embed_documents(texts)


def reembed(
    memory_name: str, store: Store, embedder: Embedder, *, home: str | Path | None = None, batch: int = BATCH
) -> CaseMemory:
    """Re-embed a memory while the old vectors stay in use, then switch to the new ones in one transaction.

    Searches use the old vectors until the switch; no search mixes the two. If the embedder has the same name but its
    vectors have drifted, the new vectors replace the old ones.

    Args:
        batch: the number of texts that are embedded and written at a time.
    """
    rows = CaseRows(store, memory_name)
    drifted = rows.create(embedder).embedder == embedder.name
    making: Embedder = _Renamed(embedder) if drifted else embedder
    mirror = Mirror(store, rows, VectorCache(store, making), None)
    for view in VIEWS:
        mirror.embed_missing(view, batch=batch)

    def switch(connection: Connection) -> None:
        rows.tick(connection)
        if drifted:
            _replace_vectors(connection, old=embedder.name, new=making.name)
        named = update(MemoryRow).where(MemoryRow.name == memory_name)
        connection.execute(named.values(embedder=embedder.name, dimension=embedder.dimension, epoch=uuid.uuid4().hex))

    store.transaction(switch)
    return CaseMemory.open(store, memory_name, embedder=embedder, home=home)


def _replace_vectors(connection: Connection, *, old: str, new: str) -> None:
    fresh = select(CaseVectorRow.hash).where(CaseVectorRow.embedder == new)
    stale = delete(CaseVectorRow).where(CaseVectorRow.embedder == old, CaseVectorRow.hash.in_(fresh))
    connection.execute(stale)
    connection.execute(update(CaseVectorRow).where(CaseVectorRow.embedder == new).values(embedder=old))
