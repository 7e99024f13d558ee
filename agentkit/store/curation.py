"""Tables of curation: documents, the work on them, and all versions of the knowledge base.

A row of `kb_entities` or `kb_claims` is valid in versions `since … until - 1` of its knowledge base. So any version is
a single query, and a diff or rollback only touches what changed.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from agentkit.json_types import JsonObject
from agentkit.store.base import Base, now

OPEN = 2**31 - 1
"""The `until` of a row that is currently valid."""


class DocumentRow(Base):
    """A paper as a parser read it; claims are verified against this text."""

    __tablename__ = "documents"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    parser: Mapped[str] = mapped_column(String(40), primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    content: Mapped[JsonObject]


class KbDocumentRow(Base):
    """The documents that a knowledge base was made from, and the parser of each."""

    __tablename__ = "kb_documents"

    kb: Mapped[str] = mapped_column(String(160), primary_key=True)
    document: Mapped[str] = mapped_column(String(64), primary_key=True)
    parser: Mapped[str] = mapped_column(String(40))


class WorkRow(Base):
    """One question about one paper, identified by everything that decides its answer.

    `findings` are the input of questions that build on this one; `claims` are the ids it added to the knowledge base.
    `live` becomes False when a newer plan no longer asks it. `run_id` is the paper's run, `recalled` the blocks of
    learnt context that the question was asked with, `called` the keys of its model calls, and `question` its key
    without what was recalled. Work of older versions has none of these four.
    """

    __tablename__ = "curation_work"
    __table_args__ = (Index("ix_curation_work_document", "kb", "document"),)

    kb: Mapped[str] = mapped_column(String(160), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    document: Mapped[str] = mapped_column(String(64))
    element: Mapped[str] = mapped_column(String(200))
    subject: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[str] = mapped_column(String(20), default="pending")
    live: Mapped[bool] = mapped_column(default=True)
    attempts: Mapped[int] = mapped_column(default=0)
    owner: Mapped[str] = mapped_column(String(120), default="")
    lease_until: Mapped[dt.datetime | None]
    findings: Mapped[list[Any]]
    claims: Mapped[list[Any]]
    rounds: Mapped[int] = mapped_column(default=0)
    calls: Mapped[int] = mapped_column(default=0)
    tokens: Mapped[int] = mapped_column(default=0)
    cost: Mapped[float] = mapped_column(default=0.0)
    error: Mapped[str] = mapped_column(Text, default="")
    run_id: Mapped[str | None] = mapped_column(String(64))
    recalled: Mapped[list[Any] | None]
    called: Mapped[list[Any] | None]
    question: Mapped[str | None] = mapped_column(String(64))
    updated_at: Mapped[dt.datetime] = mapped_column(default=now)


class KbEntityRow(Base):
    """One state of an entity."""

    __tablename__ = "kb_entities"
    __table_args__ = (Index("ix_kb_entities_since", "kb", "since"), Index("ix_kb_entities_until", "kb", "until", "id"))

    kb: Mapped[str] = mapped_column(String(160), primary_key=True)
    id: Mapped[str] = mapped_column(String(200), primary_key=True)
    since: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    until: Mapped[int] = mapped_column(default=OPEN)
    label: Mapped[str] = mapped_column(Text)
    cls: Mapped[str] = mapped_column(String(120))
    curies: Mapped[list[Any]]
    ambiguous: Mapped[bool]
    groundable: Mapped[bool]
    hash: Mapped[str] = mapped_column(String(32))


class KbClaimRow(Base):
    """One state of a claim, with its evidence and the words that the quotes use for its entities."""

    __tablename__ = "kb_claims"
    __table_args__ = (
        Index("ix_kb_claims_since", "kb", "since"),
        Index("ix_kb_claims_until", "kb", "until", "id"),
        Index("ix_kb_claims_subject", "kb", "subject"),
        Index("ix_kb_claims_document", "kb", "document"),
    )

    kb: Mapped[str] = mapped_column(String(160), primary_key=True)
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    since: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    until: Mapped[int] = mapped_column(default=OPEN)
    subject: Mapped[str] = mapped_column(String(200))
    predicate: Mapped[str] = mapped_column(String(120))
    object: Mapped[str] = mapped_column(String(200))
    document: Mapped[str] = mapped_column(String(64))
    qualifiers: Mapped[JsonObject]
    status: Mapped[str] = mapped_column(String(12))
    confidence: Mapped[float | None]
    disagreement: Mapped[float] = mapped_column(default=0.0)
    evidence: Mapped[list[Any]]
    names: Mapped[JsonObject]
    reason: Mapped[str] = mapped_column(Text, default="")
    run_id: Mapped[str] = mapped_column(String(64), default="")
    model: Mapped[str] = mapped_column(String(200), default="")
    hash: Mapped[str] = mapped_column(String(32))


class KbReviewRow(Base):
    """A person's decision about a claim; rows are only ever appended."""

    __tablename__ = "kb_reviews"
    __table_args__ = (Index("ix_kb_reviews_claim", "kb", "claim"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    kb: Mapped[str] = mapped_column(String(160))
    claim: Mapped[str] = mapped_column(String(64))
    decision: Mapped[str] = mapped_column(String(12))
    reviewer: Mapped[str] = mapped_column(String(120))
    note: Mapped[str] = mapped_column(Text, default="")
    version: Mapped[int]
    created_at: Mapped[dt.datetime] = mapped_column(default=now)
