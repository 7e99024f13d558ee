"""Tables of the ledger: targets, every change to them, and every decision about a change."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from agentkit.json_types import JsonObject
from agentkit.store.base import Base, now


class TargetRow(Base):
    """One target, such as `playbook:default`, and its current version."""

    __tablename__ = "targets"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    version: Mapped[int] = mapped_column(default=0)
    head: Mapped[str] = mapped_column(String(64), default="")
    """The chained hash of the last version; it covers all earlier ones."""


class ChangeRow(Base):
    """A proposed edit. Only `status` and `version` are ever updated; they repeat its last event."""

    __tablename__ = "changes"
    __table_args__ = (UniqueConstraint("target", "version"), Index("ix_changes_target_status", "target", "status"))

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(64), unique=True)
    key: Mapped[str] = mapped_column(String(200), unique=True)
    kind: Mapped[str] = mapped_column(String(40))
    target: Mapped[str] = mapped_column(ForeignKey("targets.name"))
    base: Mapped[int]
    operations: Mapped[list[Any]]
    role: Mapped[str] = mapped_column(String(40))
    model: Mapped[str] = mapped_column(String(200), default="")
    run_id: Mapped[str | None] = mapped_column(String(64), index=True)
    source: Mapped[str] = mapped_column(String(400), default="")
    signal: Mapped[str] = mapped_column(String(16), default="")
    note: Mapped[str] = mapped_column(Text, default="")
    hash: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16), default="proposed")
    version: Mapped[int | None]
    created_at: Mapped[dt.datetime] = mapped_column(default=now)


class ChangeEventRow(Base):
    """One decision about a change; rows are only ever appended."""

    __tablename__ = "change_events"

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    change_id: Mapped[str] = mapped_column(ForeignKey("changes.id"), index=True)
    status: Mapped[str] = mapped_column(String(16))
    verdict: Mapped[JsonObject | None]
    version: Mapped[int | None]
    chain: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[dt.datetime] = mapped_column(default=now)
