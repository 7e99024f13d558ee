"""Tables of case memories: memories, cases and vectors, cases offered to runs, and retrieval policies."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import Boolean, Double, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from agentkit.json_types import JsonObject
from agentkit.store.base import Base, now


class MemoryRow(Base):
    """One case memory. Its clock counts every change to its cases, so that other processes can catch up."""

    __tablename__ = "case_memories"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    epoch: Mapped[str] = mapped_column(String(32))
    """Renewed whenever cached indexes must no longer be trusted."""
    clock: Mapped[int] = mapped_column(default=0)
    embedder: Mapped[str] = mapped_column(String(200))
    dimension: Mapped[int]
    settings: Mapped[JsonObject]
    created_at: Mapped[dt.datetime] = mapped_column(default=now)


class CaseRow(Base):
    """One case: a state, what was done, and the reward."""

    __tablename__ = "cases"
    __table_args__ = (
        UniqueConstraint("memory", "namespace", "id"),
        UniqueConstraint("memory", "namespace", "run_id"),
        Index("ix_cases_memory_rev", "memory", "rev"),
        {"sqlite_autoincrement": True},
    )

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    """Increases with every case; never reused."""
    rev: Mapped[int]
    """The value of the memory's clock when this row last changed."""
    memory: Mapped[str] = mapped_column(ForeignKey("case_memories.name"))
    namespace: Mapped[str] = mapped_column(String(200))
    id: Mapped[str] = mapped_column(String(64))
    run_id: Mapped[str | None] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(Text)
    plan: Mapped[str] = mapped_column(Text)
    answer: Mapped[str | None] = mapped_column(Text)
    """The run's answer, right or wrong."""
    correction: Mapped[str | None] = mapped_column(Text)
    """The right answer, if the run's was wrong and somebody corrected it."""
    corrected_by: Mapped[str] = mapped_column(String(200), default="", server_default="")
    instructions: Mapped[str] = mapped_column(String(32), default="", server_default="")
    """A hash of the instructions for the task."""
    reward: Mapped[float | None] = mapped_column(Double)
    """The reward for what the case teaches: 1 if it was corrected."""
    channel: Mapped[str] = mapped_column(String(16))
    source: Mapped[str] = mapped_column(String(400))
    trusted: Mapped[bool] = mapped_column(Boolean)
    status: Mapped[str] = mapped_column(String(16))
    """active · quarantined · merged · superseded"""
    pinned: Mapped[bool] = mapped_column(Boolean)
    tags: Mapped[list[Any]]
    parents: Mapped[list[Any]]
    """Ids of the cases that this one was merged from."""
    weight: Mapped[int]
    """How many episodes it stands for."""
    masked: Mapped[str] = mapped_column(Text)
    """The state with its entities masked."""
    words: Mapped[str] = mapped_column(Text, default="", server_default="")
    """The words of the state separated by spaces, for the full-text index."""
    state_hash: Mapped[str] = mapped_column(String(32))
    masked_hash: Mapped[str] = mapped_column(String(32))
    plan_hash: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[dt.datetime] = mapped_column(default=now)


class CaseVectorRow(Base):
    """An embedding, keyed by the embedder's version and the text's hash."""

    __tablename__ = "case_vectors"

    embedder: Mapped[str] = mapped_column(String(200), primary_key=True)
    hash: Mapped[str] = mapped_column(String(32), primary_key=True)
    vector: Mapped[bytes] = mapped_column(LargeBinary)
    """Unit length, little-endian float32."""


class CaseRemovalRow(Base):
    """Records that a case was removed; only numbers, so that nothing of the case is left."""

    __tablename__ = "case_removals"
    __table_args__ = (Index("ix_case_removals_memory_rev", "memory", "rev"),)

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    memory: Mapped[str] = mapped_column(ForeignKey("case_memories.name"))
    rev: Mapped[int]


class CaseOfferRow(Base):
    """One case that was considered for a run, as needed for credit assignment."""

    __tablename__ = "case_offers"
    __table_args__ = (Index("ix_case_offers_case_id", "memory", "case_id"),)

    memory: Mapped[str] = mapped_column(String(80), primary_key=True)
    namespace: Mapped[str] = mapped_column(String(200), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Its rank among the cases considered, from 0."""
    case_id: Mapped[str] = mapped_column(String(64))
    shown: Mapped[bool] = mapped_column(Boolean)
    probability: Mapped[float] = mapped_column(Double)
    score: Mapped[float] = mapped_column(Double)
    features: Mapped[list[Any]]


class CaseRecallRow(Base):
    """One recall for a run; asking again returns the same block."""

    __tablename__ = "case_recalls"

    memory: Mapped[str] = mapped_column(String(80), primary_key=True)
    namespace: Mapped[str] = mapped_column(String(200), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    policy: Mapped[str] = mapped_column(String(80))
    version: Mapped[int]
    state_hash: Mapped[str] = mapped_column(String(32))
    outcome: Mapped[float | None] = mapped_column(Double)
    """The run's reward, once known."""
    learnt: Mapped[int | None]
    """The version of the policy that learnt from the outcome."""
    created_at: Mapped[dt.datetime] = mapped_column(default=now)


class PolicySnapshotRow(Base):
    """The learnt state of a retrieval policy after a change; written in the change's own transaction."""

    __tablename__ = "policy_snapshots"

    target: Mapped[str] = mapped_column(String(200), primary_key=True)
    policy: Mapped[str] = mapped_column(String(80), primary_key=True)
    version: Mapped[int]
    state: Mapped[bytes] = mapped_column(LargeBinary)
    hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[dt.datetime] = mapped_column(default=now)


class StoreItemRow(Base):
    """What the LangGraph `BaseStore` adapter stores with a case: the value as JSON, and when it expires."""

    __tablename__ = "case_items"
    __table_args__ = (Index("ix_case_items_expires", "memory", "expires_at"),)

    memory: Mapped[str] = mapped_column(String(80), primary_key=True)
    prefix: Mapped[str] = mapped_column(String(400), primary_key=True)
    key: Mapped[str] = mapped_column(String(400), primary_key=True)
    value: Mapped[JsonObject]
    paths: Mapped[list[Any]]
    """Hashes of the indexed texts."""
    ttl: Mapped[float | None] = mapped_column(Double)
    """In minutes."""
    expires_at: Mapped[dt.datetime | None]
    created_at: Mapped[dt.datetime] = mapped_column(default=now)
    updated_at: Mapped[dt.datetime] = mapped_column(default=now)
