"""Tables of cases: the memories, their cases and vectors, what was offered to runs, and the retrieval policies."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import Boolean, Double, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from agentkit.json_types import JsonObject
from agentkit.store.base import Base, now


class MemoryRow(Base):
    """One case memory. Its clock counts every change to its cases, so that other processes can follow."""

    __tablename__ = "case_memories"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    epoch: Mapped[str] = mapped_column(String(32))
    """Drawn anew whenever cached indexes must not be trusted any more."""
    clock: Mapped[int] = mapped_column(default=0)
    embedder: Mapped[str] = mapped_column(String(200))
    dimension: Mapped[int]
    settings: Mapped[JsonObject]
    created_at: Mapped[dt.datetime] = mapped_column(default=now)


class CaseRow(Base):
    """One case: a state, what was done, and how it went."""

    __tablename__ = "cases"
    __table_args__ = (
        UniqueConstraint("memory", "namespace", "id"),
        UniqueConstraint("memory", "namespace", "run_id"),
        Index("ix_cases_memory_rev", "memory", "rev"),
        {"sqlite_autoincrement": True},
    )

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    """Rises with every case and is never used twice."""
    rev: Mapped[int]
    """The memory's clock at the last change of this row."""
    memory: Mapped[str] = mapped_column(ForeignKey("case_memories.name"))
    namespace: Mapped[str] = mapped_column(String(200))
    id: Mapped[str] = mapped_column(String(64))
    run_id: Mapped[str | None] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(Text)
    plan: Mapped[str] = mapped_column(Text)
    answer: Mapped[str | None] = mapped_column(Text)
    """What the run answered, right or wrong."""
    correction: Mapped[str | None] = mapped_column(Text)
    """The right answer, where the run's own was wrong and somebody said so."""
    corrected_by: Mapped[str] = mapped_column(String(200), default="", server_default="")
    instructions: Mapped[str] = mapped_column(String(32), default="", server_default="")
    """A hash of the instructions that the task was solved under."""
    reward: Mapped[float | None] = mapped_column(Double)
    """Of what the case teaches: 1 where it was corrected."""
    channel: Mapped[str] = mapped_column(String(16))
    source: Mapped[str] = mapped_column(String(400))
    trusted: Mapped[bool] = mapped_column(Boolean)
    status: Mapped[str] = mapped_column(String(16))
    """active · quarantined · merged · superseded"""
    pinned: Mapped[bool] = mapped_column(Boolean)
    tags: Mapped[list[Any]]
    parents: Mapped[list[Any]]
    """Ids of the cases that this one was made from."""
    weight: Mapped[int]
    """How many episodes stand behind it."""
    masked: Mapped[str] = mapped_column(Text)
    """The state with its entities masked."""
    words: Mapped[str] = mapped_column(Text, default="", server_default="")
    """The words of the state with spaces between them, for the full-text index."""
    state_hash: Mapped[str] = mapped_column(String(32))
    masked_hash: Mapped[str] = mapped_column(String(32))
    plan_hash: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[dt.datetime] = mapped_column(default=now)


class CaseVectorRow(Base):
    """An embedding, found by the embedder's version and a hash of the text."""

    __tablename__ = "case_vectors"

    embedder: Mapped[str] = mapped_column(String(200), primary_key=True)
    hash: Mapped[str] = mapped_column(String(32), primary_key=True)
    vector: Mapped[bytes] = mapped_column(LargeBinary)
    """Unit length, little-endian float32."""


class CaseRemovalRow(Base):
    """That a case was removed: numbers alone, so that nothing of it is left."""

    __tablename__ = "case_removals"
    __table_args__ = (Index("ix_case_removals_memory_rev", "memory", "rev"),)

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    memory: Mapped[str] = mapped_column(ForeignKey("case_memories.name"))
    rev: Mapped[int]


class CaseOfferRow(Base):
    """One case that was considered for a run: what credit assignment needs."""

    __tablename__ = "case_offers"
    __table_args__ = (Index("ix_case_offers_case_id", "memory", "case_id"),)

    memory: Mapped[str] = mapped_column(String(80), primary_key=True)
    namespace: Mapped[str] = mapped_column(String(200), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Its rank among those considered, from 0."""
    case_id: Mapped[str] = mapped_column(String(64))
    shown: Mapped[bool] = mapped_column(Boolean)
    probability: Mapped[float] = mapped_column(Double)
    score: Mapped[float] = mapped_column(Double)
    features: Mapped[list[Any]]


class CaseRecallRow(Base):
    """One recall of a run: its block stays the same every time it is asked for."""

    __tablename__ = "case_recalls"

    memory: Mapped[str] = mapped_column(String(80), primary_key=True)
    namespace: Mapped[str] = mapped_column(String(200), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    policy: Mapped[str] = mapped_column(String(80))
    version: Mapped[int]
    state_hash: Mapped[str] = mapped_column(String(32))
    outcome: Mapped[float | None] = mapped_column(Double)
    """The run's reward, once it is known."""
    learnt: Mapped[int | None]
    """The policy's version that took the outcome in."""
    created_at: Mapped[dt.datetime] = mapped_column(default=now)


class PolicySnapshotRow(Base):
    """The learned state of a retrieval policy after a change; written in the change's own transaction."""

    __tablename__ = "policy_snapshots"

    target: Mapped[str] = mapped_column(String(200), primary_key=True)
    policy: Mapped[str] = mapped_column(String(80), primary_key=True)
    version: Mapped[int]
    state: Mapped[bytes] = mapped_column(LargeBinary)
    hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[dt.datetime] = mapped_column(default=now)


class StoreItemRow(Base):
    """What the LangGraph `BaseStore` face keeps beside a case: the value as JSON, and when it expires."""

    __tablename__ = "case_items"
    __table_args__ = (Index("ix_case_items_expires", "memory", "expires_at"),)

    memory: Mapped[str] = mapped_column(String(80), primary_key=True)
    prefix: Mapped[str] = mapped_column(String(400), primary_key=True)
    key: Mapped[str] = mapped_column(String(400), primary_key=True)
    value: Mapped[JsonObject]
    paths: Mapped[list[Any]]
    """The indexed texts' hashes."""
    ttl: Mapped[float | None] = mapped_column(Double)
    """Minutes."""
    expires_at: Mapped[dt.datetime | None]
    created_at: Mapped[dt.datetime] = mapped_column(default=now)
    updated_at: Mapped[dt.datetime] = mapped_column(default=now)
